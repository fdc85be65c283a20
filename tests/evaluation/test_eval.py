"""`netspec eval`: scores equal to those of training, ensembles, confusions, and errors."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from accepted import accepted
from PIL import Image
from sklearn import metrics
from small import DIGITS, PHOTOS, command
from torch import nn

from netspec import weights, zoo
from netspec.checkpoint import load, save
from netspec.datasets.base import LoaderConfig
from netspec.datasets.registry import open_data
from netspec.evaluation.load import load_checkpoint, open_model


def evaluated(*arguments: object) -> dict:
    run = command("eval", *arguments, "--format", "json", "--device", "cpu")
    assert accepted(run)
    return json.loads(run.stdout)


def train(spec: str, *arguments: object) -> None:
    run = command("train", spec, *arguments, "--epochs", 2, "--device", "cpu")
    assert accepted(run)


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """Two runs on digits, one on photos."""
    folder: Path = tmp_path_factory.mktemp("runs")
    (folder / "digits.net").write_text(DIGITS)
    for seed in (1, 2):
        train(folder / "digits.net", "--data", "digits", "--seed", seed, "--out", folder / f"d{seed}")
    return folder


@pytest.fixture
def photo_run(tmp_path, photos) -> Path:
    (tmp_path / "photos.net").write_text(PHOTOS)
    where = photos("set", count=5)
    train(tmp_path / "photos.net", "--data", f"folder:{where}", "--val-share", 0.4, "--out", tmp_path / "p")
    return tmp_path / "p"


def last(run: Path) -> dict:
    return json.loads((run / "log.jsonl").read_text().splitlines()[-1])["val"]


def test_scores_equal_those_of_training(runs):
    found = evaluated(runs / "d1" / "checkpoint.pt")
    assert (found["data"], found["crops"]) == ("digits", 1)
    network, expected = found["networks"][0], last(runs / "d1")
    for key in ("top1_error", "top5_error"):
        assert network[key] == expected[key]
    assert network["loss"] == pytest.approx(expected["loss"], rel=1e-6)
    assert evaluated(runs / "d1", "--crops", 10)["crops"] == 1  # small images are not cropped


def test_photos_are_those_that_training_held_out(photo_run):
    """The checkpoint stores the share and the seed; images are normalized as in training."""
    network, expected = evaluated(photo_run / "checkpoint.pt")["networks"][0], last(photo_run)
    assert network["images"] == expected["images"] == 6
    assert network["loss"] == pytest.approx(expected["loss"], rel=1e-6)
    shutil.copytree(photo_run.parent / "set", photo_run.parent / "other")
    other = evaluated(photo_run, "--data", f"folder:{photo_run.parent / 'other'}", "--crops", 10)
    assert (other["networks"][0]["images"], other["crops"]) == (15, 10)


def test_other_images_are_prepared_as_in_training(photo_run, photos):
    """Images of another set are normalized by the training set's mean, not by their own."""
    other = photos("dark", count=2, classes=1)
    saved = load_checkpoint(photo_run)
    pixels = []
    for path in sorted((other / "class0").iterdir()):
        image = Image.open(path).resize((24, 18), Image.Resampling.BILINEAR).crop((4, 1, 20, 17))
        pixels.append(torch.from_numpy(np.array(image)).permute(2, 0, 1).double())
    mean, scale = (
        torch.tensor(v).view(3, 1, 1) for v in (saved.preprocessing.mean, saved.preprocessing.scale)
    )
    ready = ((torch.stack(pixels) - mean) * scale).float()
    loss = nn.functional.cross_entropy(saved.module(ready), torch.zeros(2, dtype=torch.long))
    found = evaluated(photo_run, "--data", f"folder:{other}")
    assert found["networks"][0]["images"] == 2
    assert found["networks"][0]["loss"] == pytest.approx(loss.item(), rel=1e-4)


def test_an_ensemble_equals_the_average_computed_with_torch(runs):
    data = open_data("digits")
    chances, alone = [], []
    for seed in (1, 2):
        saved = load_checkpoint(runs / f"d{seed}")
        batches = data.open(LoaderConfig((1, 10, 10), saved.recipe, torch.device("cpu")))
        images, labels = (torch.cat(part) for part in zip(*batches.validate(), strict=True))
        with torch.no_grad():
            chances.append(saved.module(images).double().softmax(1))
        alone.append(metrics.accuracy_score(labels, chances[-1].argmax(1)))
    found = evaluated(runs / "d1", runs / "d2")
    assert [n["top1_accuracy"] for n in found["networks"]] == pytest.approx(alone)
    mean = torch.stack(chances).mean(0)
    assert found["ensemble"]["top1_accuracy"] == metrics.accuracy_score(labels, mean.argmax(1))
    assert found["ensemble"]["loss"] == pytest.approx(metrics.log_loss(labels, mean), rel=1e-5)


def test_confusions_equal_scikit_learns(runs, tmp_path):
    run = command("eval", runs / "d1", "--confusion", tmp_path / "c.csv", "--per-class")
    assert accepted(run)
    assert "predicted as" in run.stdout
    head, *rows = csv.reader((tmp_path / "c.csv").read_text().splitlines())
    assert head[1:] == [row[0] for row in rows] == list("0123456789")
    saved = load_checkpoint(runs / "d1")
    batches = open_data("digits").open(LoaderConfig((1, 10, 10), saved.recipe, torch.device("cpu")))
    images, labels = (torch.cat(part) for part in zip(*batches.validate(), strict=True))
    expected = metrics.confusion_matrix(labels, saved.module(images).argmax(1))
    assert [[int(n) for n in row[1:]] for row in rows] == expected.tolist()
    worst = evaluated(runs / "d1", "--confusion", tmp_path / "c.png", "--per-class")
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
    assert len(worst["classes"]) == 10
    off = expected - expected.diagonal() * torch.eye(10).numpy()
    assert [c["count"] for c in worst["confusions"]] == sorted(off.flatten().tolist(), reverse=True)[:10]


def test_classes_are_matched_by_name(runs, tmp_path, photos, photo_run):
    """The folder has two of the three classes, with other numbers."""
    shutil.copytree(photo_run.parent / "set", tmp_path / "fewer")
    shutil.rmtree(tmp_path / "fewer" / "class0")
    found = evaluated(photo_run, "--data", f"folder:{tmp_path / 'fewer'}", "--per-class")
    assert [c["label"] for c in found["classes"]] == ["class1", "class2"]
    whole = evaluated(photo_run, "--data", f"folder:{photo_run.parent / 'set'}/.", "--per-class")
    assert [c["label"] for c in whole["classes"]] == ["class0", "class1", "class2"]
    (tmp_path / "fewer" / "class2").rename(tmp_path / "fewer" / "zebra")
    run = command("eval", photo_run, "--data", f"folder:{tmp_path / 'fewer'}")
    assert run.exit_code == 1
    assert "zebra" in run.stderr


def test_ensemble_members_with_classes_in_another_order(runs, tmp_path):
    """A network whose classes are renumbered gives the same predictions."""
    content = load(runs / "d1" / "checkpoint.pt")
    order = torch.tensor([3, 1, 2, 0, 9, 8, 7, 6, 5, 4])
    content["class_names"] = [content["class_names"][k] for k in order]
    content["model"] |= {k: content["model"][k][order] for k in ("fc.weight", "fc.bias")}
    save(tmp_path / "turned.pt", content)
    found = evaluated(runs / "d1" / "checkpoint.pt", tmp_path / "turned.pt")
    plain, turned = found["networks"]
    assert turned["top1_error"] == plain["top1_error"] == found["ensemble"]["top1_error"]
    assert found["ensemble"]["loss"] == pytest.approx(plain["loss"], rel=1e-5)


def test_errors(runs, tmp_path, photo_run, photos):
    other = tmp_path / "q"
    spec, where = tmp_path / "photos.net", f"folder:{tmp_path / 'set'}"
    train(spec, "--data", where, "--seed", 5, "--val-share", 0.4, "--out", other)
    refused = [
        ([tmp_path / "nowhere"], 1, "there is no checkpoint"),
        (["resnet18"], 1, "--weights"),
        ([runs / "d1", photo_run], 2, "--data"),
        ([runs / "d1", photo_run, "--data", "digits"], 1, "1 channel"),
        ([photo_run, other], 1, "held out different images"),
        ([runs / "d1", "--data", "nothing"], 2, "unknown data set"),
        ([runs / "d1", "--ema"], 2, "averaged"),
        ([runs / "d1", "--confusion", tmp_path / "c.txt"], 2, "c.txt"),
        ([runs / "d1", "--confusion", tmp_path / "none" / "c.csv"], 1, "c.csv"),
        ([runs / "d1", "--weights", "DEFAULT"], 2, "zoo"),
        (["alexnet_paper", "--weights", "DEFAULT"], 1, "no weights are published"),
    ]
    for line, status, message in refused:
        run = command("eval", *line)
        assert (run.exit_code, message in run.stderr) == (status, True), (line, run.output)
        assert run.stderr.count("\n") == 1


def test_a_checkpoint_cannot_choose_the_download_folder(runs, tmp_path, monkeypatch):
    def download(*arguments, **more):
        raise AssertionError("a download was tried")

    monkeypatch.setattr("torchvision.datasets.MNIST", download)
    content = load(runs / "d1" / "checkpoint.pt")
    content["about"]["root"] = str(tmp_path / "there")
    save(tmp_path / "x.pt", content | {"data": "mnist"})
    run = command("eval", tmp_path / "x.pt")
    assert (run.exit_code, "holds no MNIST" in run.stderr) == (1, True)
    assert not (tmp_path / "there").exists()


def test_the_data_folder_is_stored_in_the_checkpoint(mnist_root, tmp_path):
    (tmp_path / "m.net").write_text(DIGITS)
    train(tmp_path / "m.net", "--data", "mnist", "--root", mnist_root, "--out", tmp_path / "m")
    assert evaluated(tmp_path / "m")["networks"][0]["images"] == 16


def test_a_run_finds_its_photos_from_another_folder(tmp_path, photos, monkeypatch):
    """Resuming and evaluating work from another working directory, though the folder was named relatively."""
    photos("set", count=5)
    (tmp_path / "photos.net").write_text(PHOTOS)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    train("photos.net", "--data", "folder:set", "--out", "p")
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert evaluated("../p")["networks"][0]["images"] == 3
    assert command("train", "--resume", "../p", "--device", "cpu").exit_code == 0


def test_published_weights_use_the_preprocessing_of_the_card(tmp_path, photos, monkeypatch):
    """The card gives resize, crop, mean and deviation; the classes are in the data set's order."""
    torch.manual_seed(0)
    monkeypatch.setattr(weights, "fetch", lambda card, entry: built.state_dict())
    from netspec import load as load_spec

    built = load_spec("squeezenet1_1").module()
    saved = open_model("squeezenet1_1", "IMAGENET1K_V1")
    looks = zoo.card("squeezenet1_1").results[0].evaluation
    assert saved.input_shape == (3, looks.crop, looks.crop)
    assert (saved.recipe.resize, saved.recipe.crop) == (looks.resize, looks.crop)
    pixel = torch.full((3,), 128.0)
    ours = (pixel - torch.tensor(saved.preprocessing.mean)) * torch.tensor(saved.preprocessing.scale)
    theirs = (pixel / 255 - torch.tensor(looks.mean)) / torch.tensor(looks.std)
    assert torch.allclose(ours, theirs)
    run = command("eval", "squeezenet1_1", "--weights", "IMAGENET1K_V1", "--data", f"folder:{photos('few')}")
    assert run.exit_code == 1
    assert "1000 unnamed" in run.stderr
