"""`netspec plot`: curves of the log, filters and maps of the network, and reproducible files."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from accepted import accepted
from matplotlib.figure import Figure
from PIL import Image
from small import command
from torch import nn

from netspec.evaluation import plots
from netspec.evaluation.load import load_checkpoint
from netspec.evaluation.maps import layer_output, mosaic
from netspec.evaluation.plots import draw_confusion, draw_curves

DIGITS = """network Digits(classes = 3)
input image: 1x10x10
c1: conv(6, 3); relu1: relu
pool: maxpool(2)
flatten; fc: linear(classes)
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder: Path = tmp_path_factory.mktemp("plot")
    (folder / "digits.net").write_text(DIGITS)
    line = ["train", folder / "digits.net", "--data", "digits", "--epochs", 2, "--out", folder / "run"]
    assert command(*line, "--device", "cpu").exit_code == 0
    return folder / "run"


@pytest.mark.parametrize(("ending", "magic"), [("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF")])
@pytest.mark.parametrize("options", [[], ["--filters"], ["--features", "grey.png"]], ids=str)
def test_every_figure_in_every_format(run, tmp_path, monkeypatch, ending, magic, options):
    monkeypatch.chdir(tmp_path)
    Image.new("L", (20, 20), 77).save("grey.png")
    for name in ("one", "two"):
        result = command("plot", run, "-o", f"{name}.{ending}", *options)
        assert accepted(result)
    first = Path(f"one.{ending}").read_bytes()
    assert first.startswith(magic)
    assert first == Path(f"two.{ending}").read_bytes()  # no date and no random id
    assert not list(tmp_path.glob(".*"))


def log(folder: Path, rates: list[float]) -> Path:
    folder.mkdir(parents=True)
    rows = [
        {"epoch": k + 1, "lr": lr, "loss": 3 - k, "accuracy": 0.1 * k, "val": {"loss": 2, "top1_error": 0.5}}
        for k, lr in enumerate(rates)
    ]
    (folder / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture
def figures(monkeypatch) -> list[Figure]:
    """Collect the figures that are drawn, without writing them."""
    drawn: list[Figure] = []

    @contextlib.contextmanager
    def keep(path, width, height):
        drawn.append(Figure(figsize=(width, height), layout="constrained"))
        yield drawn[-1]

    monkeypatch.setattr(plots, "new_figure", keep)
    return drawn


def test_curves_show_the_values_of_the_log(tmp_path, figures):
    runs = [log(tmp_path / "a" / "run", [0.1, 0.01, 0.001]), log(tmp_path / "b" / "run", [0.1, 0.1])]
    draw_curves(runs, Path("x.svg"))
    loss, error, rate = figures[0].axes
    drawn = [line.get_ydata().tolist() for axes in (loss, error, rate) for line in axes.lines]
    assert drawn == [
        [3, 2, 1], [2, 2, 2], [3, 2], [2, 2],
        pytest.approx([1, 0.9, 0.8]), [0.5] * 3, [1, 0.9], [0.5] * 2,
        [0.1, 0.01, 0.001], [0.1, 0.1],
    ]  # fmt: skip
    assert rate.get_yscale() == "log"
    assert [t.get_text() for t in figures[0].legends[0].get_texts()] == ["a/run", "b/run"]
    assert loss.lines[0].get_color() == loss.lines[1].get_color() != loss.lines[2].get_color()


def test_an_unfinished_run_is_drawn(tmp_path, figures):
    folder = log(tmp_path / "run", [0.1])
    with (folder / "log.jsonl").open("a") as file:
        file.write('{"epoch": 2, "lr"')
    draw_curves([folder], Path("x.svg"))
    assert len(figures[0].axes[0].lines[0].get_xdata()) == 1


def test_errors(run, tmp_path):
    photo = tmp_path / "grey.png"
    Image.new("L", (20, 20), 77).save(photo)
    flat = tmp_path / "flat.net"
    flat.write_text("network Flat(classes = 3)\ninput image: 1x8x8\nflatten; linear(classes)\n")
    line = ["train", flat, "--data", "digits", "--epochs", 1, "--out", tmp_path / "flat", "--device", "cpu"]
    assert command(*line).exit_code == 0
    picture = tmp_path / "x.png"
    refused = [
        ([tmp_path, "-o", picture], 1, "no log"),
        ([run, "-o", tmp_path / "x.jpg"], 2, ".pdf"),
        ([run, "-o", tmp_path / "none" / "x.png"], 1, "cannot be written"),
        ([run, run, "-o", picture], 2, "twice"),
        ([run, run, "-o", picture, "--filters"], 2, "one network"),
        ([run, "-o", picture, "--filters", "--features", photo], 2, "cannot be combined"),
        ([run, "-o", picture, "--layer", "c1"], 2, "--features"),
        ([run, "-o", picture, "--ema"], 2, "--ema"),
        (
            [run, "-o", picture, "--features", photo, "--layer", "c2"],
            2,
            "available are c1, relu1, pool, fc\n",
        ),
        ([run, "-o", picture, "--features", photo, "--layer", "fc"], 1, "no feature maps"),
        ([run, "-o", picture, "--features", flat], 1, "cannot be read"),
        ([tmp_path / "flat", "-o", picture, "--filters"], 1, "no convolution"),
    ]
    for arguments, status, message in refused:
        result = command("plot", *arguments)
        assert (result.exit_code, message in result.stderr) == (status, True), (arguments, result.output)
    assert not picture.exists()


def test_maps_equal_the_output_of_the_layer(run, tmp_path):
    """They are the convolution's, although the ReLU that follows changes them in place."""
    pixels = np.random.default_rng(0).integers(0, 256, (10, 10), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    saved = load_checkpoint(run)
    mean, scale = saved.preprocessing.mean[0], saved.preprocessing.scale[0]
    image = (torch.from_numpy(pixels).float()[None, None] - mean) * scale
    state = saved.module.state_dict()
    by_hand = nn.functional.conv2d(image, state["c1.weight"], state["c1.bias"])[0]
    shown, maps = layer_output(saved, tmp_path / "x.png", "c1")
    assert torch.equal(shown[0], torch.from_numpy(pixels).float())
    assert torch.allclose(maps, by_hand, atol=1e-5)
    assert (maps < 0).any()
    _, pooled = layer_output(saved, tmp_path / "x.png", "pool")
    assert torch.allclose(pooled, nn.functional.max_pool2d(by_hand.relu(), 2), atol=1e-5)


def test_tiles_are_in_rows_and_scaled_one_by_one():
    tiles = torch.arange(2 * 1 * 2 * 2).float().view(2, 1, 2, 2)
    tiles[1] = 7.0
    third = [1.0, 0.0, 1 / 3, 1.0, 0.5, 0.5, 1.0]
    fourth = [1.0, 2 / 3, 1.0, 1.0, 0.5, 0.5, 1.0]
    assert mosaic(tiles, 1) == pytest.approx(np.array([[1.0] * 7, third, fourth, [1.0] * 7]))
    assert mosaic(torch.rand(96, 3, 11, 11), 1).shape == (6 * 12 + 1, 16 * 12 + 1, 3)


@pytest.mark.parametrize("classes", [2, 12, 30, 80])
def test_confusions_of_many_classes_and_odd_names(tmp_path, classes):
    matrix = torch.randint(5, (classes, classes), generator=torch.Generator().manual_seed(0))
    names = ["$x_{", "犬", *(f"class {k}" for k in range(classes - 2))]
    draw_confusion(tmp_path / "c.png", matrix, names)
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
