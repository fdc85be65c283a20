"""`netspec predict`: inputs bit-identical to validation's, and predictions in spite of unreadable files."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from accepted import accepted
from PIL import Image
from small import DIGITS, PHOTOS, command
from torch import nn

from netspec.datasets.base import LoaderConfig
from netspec.datasets.registry import open_data
from netspec.evaluation.evaluation import open_images, predict_images
from netspec.evaluation.load import load_checkpoint
from netspec.evaluation.metrics import collect_predictions, log_probabilities
from netspec.evaluation.prediction import read_images


def answers(*arguments: object) -> list[dict]:
    run = command("predict", *arguments, "--format", "json", "--device", "cpu")
    assert accepted(run)
    return json.loads(run.stdout)


@pytest.fixture(scope="module")
def digits(tmp_path_factory) -> Path:
    folder: Path = tmp_path_factory.mktemp("digits")
    (folder / "digits.net").write_text(DIGITS)
    line = ["train", folder / "digits.net", "--data", "digits", "--epochs", 2, "--out", folder / "run"]
    assert command(*line, "--device", "cpu").exit_code == 0
    return folder / "run"


@pytest.fixture
def photo_run(tmp_path, photos) -> Path:
    (tmp_path / "photos.net").write_text(PHOTOS)
    line = ["train", tmp_path / "photos.net", "--data", f"folder:{photos('set')}", "--epochs", 2]
    assert command(*line, "--out", tmp_path / "p", "--device", "cpu").exit_code == 0
    return tmp_path / "p"


@pytest.mark.parametrize(("crops", "view"), [("1", "center_crop"), ("10", "ten_crop")])
def test_photos_are_prepared_as_in_validation(photo_run, crops, view):
    model = load_checkpoint(photo_run)
    images = open_images(model, None, None)
    files = images.data.val
    paths = [Path(files[k][0]) for k in range(len(files))]
    recipe = model.recipe.model_copy(update={"augment": ()})
    batches = images.data.open(LoaderConfig((3, 16, 16), recipe, torch.device("cpu")))
    assert batches.preprocessing == model.preprocessing
    validated = torch.cat([pixels for pixels, _ in batches.validate(view)])
    seen = torch.stack([one.pixels for one in read_images(model, paths, view)])
    assert torch.equal(seen, validated)
    predictions = predict_images(model, images, view, torch.device("cpu"))
    found = answers(photo_run, *paths, "--crops", crops, "--top", 3)
    for row, chances in zip(found, predictions.log_probs.exp(), strict=True):
        order = chances.argsort(descending=True)
        assert [c["class"] for c in row["classes"]] == [model.class_names[k] for k in order]
        assert [c["probability"] for c in row["classes"]] == pytest.approx(chances[order].tolist(), rel=1e-5)


def test_small_images_are_prepared_as_in_validation(digits, tmp_path):
    """Digits' validation images are written to files, a few in RGB, which does not change them."""
    model, data = load_checkpoint(digits), open_data("digits")
    paths = []
    for number, image in enumerate(data.val_part.images[:20, 0]):
        paths.append(tmp_path / f"{number:02}.png")
        picture = Image.fromarray(image.numpy())
        (picture.convert("RGB") if number % 2 else picture).save(paths[-1])
    batches = data.open(LoaderConfig((1, 10, 10), model.recipe, torch.device("cpu")))
    validated = next(iter(batches.validate()))[0][:20]
    seen = list(read_images(model, paths, "center_crop"))
    assert torch.equal(torch.stack([s.pixels for s in seen]), validated)
    assert {s.change for s in seen} == {"resized from 8x8 to 10x10"}
    chances = log_probabilities(model.module, validated).exp()
    found = answers(digits, tmp_path, "--top", 10)
    assert [row["classes"][0]["class"] for row in found] == [str(k) for k in chances.argmax(1).tolist()]
    assert all(sum(c["probability"] for c in row["classes"]) == pytest.approx(1, abs=1e-5) for row in found)


def test_a_colour_photo_for_a_network_of_grey_images(digits, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    run = command("predict", digits, tmp_path / "photo.png", "--device", "cpu")
    assert accepted(run)
    assert "converted to greyscale and resized from 40x30 to 10x10" in run.stderr
    grey = torch.from_numpy(np.array(Image.open(tmp_path / "photo.png").convert("L")))[None, None]
    small = nn.functional.interpolate(grey, size=(10, 10), mode="bilinear", antialias=True)
    model = load_checkpoint(digits)
    ready = (small.float() - model.preprocessing.mean[0]) * model.preprocessing.scale[0]
    chance, best = collect_predictions(model.module, [(ready, torch.zeros(1).long())]).log_probs.exp().max(1)
    first = run.stdout.splitlines()[2].split()
    assert first[1:3] == [str(int(best)), f"{chance.item():.2%}".rstrip("%")]


def test_grey_photos_for_a_network_of_colour_images(photo_run, tmp_path):
    Image.new("L", (30, 40), 90).save(tmp_path / "grey.png")
    Image.new("RGB", (30, 40), (90, 90, 90)).save(tmp_path / "same.png")
    grey, same = answers(photo_run, tmp_path / "grey.png", tmp_path / "same.png")
    assert grey["classes"] == same["classes"]


def test_unreadable_images_are_named_and_the_rest_predicted(digits, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    Path("empty").mkdir()
    Image.new("L", (8, 8), 90).save("in/fine.png")
    Path("in/broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut")
    Path("in/text.txt").write_text("no image, and not asked for")
    Path("notes.txt").write_text("no image")
    run = command(
        "predict", digits, "in", "notes.txt", "gone.png", "empty", "x*.png", "in/f*", "--format", "csv"
    )
    assert run.exit_code == 1
    rows = list(csv.DictReader(run.stdout.splitlines()))
    assert {row["image"] for row in rows} == {"in/fine.png"}
    assert [row["rank"] for row in rows] == list("12345")
    for name in ("in/broken.jpg", "notes.txt", "gone.png", "empty", "x*.png"):
        assert any(line.startswith("error: ") and name in line for line in run.stderr.splitlines())
    listed = json.loads(command("predict", digits, "in", "--format", "json").stdout)
    assert [sorted(row) for row in listed] == [["error", "image"], ["classes", "image"]]
    nothing = command("predict", digits, "gone.png")
    assert (nothing.exit_code, nothing.stdout) == (1, "")


def test_predictions_do_not_depend_on_batches(digits, tmp_path):
    for number in range(7):
        Image.new("L", (8, 8), number * 40).save(tmp_path / f"{number}.png")
    (tmp_path / "3.png").write_bytes(b"")
    run = command("predict", digits, tmp_path, "--batch", 2, "--format", "json", "--top", 1)
    for row in json.loads(run.stdout):
        if "classes" in row:
            assert row["classes"][0]["class"] == answers(digits, row["image"])[0]["classes"][0]["class"]


def test_real_photos(photo_run, data_root):
    found = answers(photo_run, data_root / "imagenet-sample" / "n01440764")
    assert [len(row["classes"]) for row in found] == [3]
