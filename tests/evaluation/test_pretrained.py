"""`netspec train --weights`: training starts from trained weights, which must fit the network."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from small import DIGITS, PHOTOS, command
from torchvision import models

from netspec import weights
from netspec.checkpoint import load, save


@pytest.fixture
def trained(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("digits.net").write_text(DIGITS)
    train("digits.net", "--data", "digits", "--out", "first")
    return Path("first")


def train(*arguments: object, status: int = 0) -> str:
    run = command("train", *arguments, "--epochs", 1, "--device", "cpu")
    assert run.exit_code == status, run.output
    return run.stderr


def start(run: Path) -> dict:
    """The initial weights of a run, which a learning rate close to 0 leaves unchanged."""
    return load(run / "weights.safetensors")


def close(one: torch.Tensor, two: torch.Tensor) -> bool:
    return one.shape == two.shape and torch.allclose(one, two, rtol=0, atol=1e-20)


STILL = ["--lr", "1e-30", "--set", "train.optimizer.momentum=0"]


# Files of training scripts: the entry with the weights, and the prefix of their names.
WRAPPED = {
    "more.pt": ("state_dict", ""),
    "parallel.pt": ("model_state_dict", "module."),
    "compiled.pt": ("net", "module._orig_mod."),
    "lightning.pt": ("state_dict", "model."),
}


@pytest.mark.parametrize(
    "what", ["first", "first/best.safetensors", "first/checkpoint.pt", "state.pt", *WRAPPED]
)
def test_a_run_starts_from_the_weights_of_another(trained, what):
    weights = load(trained / "weights.safetensors")
    save(Path("state.pt"), weights)
    for name, (key, prefix) in WRAPPED.items():
        save(Path(name), {key: {prefix + k: v for k, v in weights.items()}, "epoch": 1})
    told = train("digits.net", "--data", "digits", "--weights", what, "--out", "second", *STILL)
    assert f"training starts from the weights {what}\n" in told
    assert all(value.equal(start(Path("second"))[name]) for name, value in start(trained).items())
    heading = Path("second/recipe.net").read_text().splitlines()[0]
    assert heading == f"# netspec train digits.net --set classes=10 --weights {what}"


def test_layers_for_other_classes_are_newly_initialized(trained, photos):
    few, more = photos("few", classes=2), photos("more")
    Path("photos.net").write_text(PHOTOS)
    train("photos.net", "--data", f"folder:{few}", "--out", "two", "--seed", 1)
    told = train("photos.net", "--data", f"folder:{more}", "--weights", "two", "--out", "three", *STILL)
    assert "fc.weight and fc.bias are newly initialized, for 3 classes" in told
    two, three = start(Path("two")), start(Path("three"))
    assert two["conv.weight"].equal(three["conv.weight"])
    assert three["fc.weight"].shape[0] == 3


BROKEN = {
    "nowhere.pt": (None, "nowhere.pt cannot be read"),
    "text.pt": (b"text", "text.pt is not a checkpoint"),
    "list.pt": ({"model": [1]}, "contains no weights"),
    "more.pt": ({"more": torch.ones(2)}, "it has no more"),
    "less.pt": ({"fc.bias": None}, "they have no fc.bias"),
    "inner.pt": ({"conv.weight": torch.ones(5, 1, 3, 3)}, "conv.weight is 5x1x3x3, expected 4x1x3x3"),
    "wide.pt": ({"fc.weight": torch.ones(10, 9)}, "fc.weight is 10x9, expected 10x256"),
    "nan.pt": ({"fc.bias": torch.full((10,), math.nan)}, "contain values that are not finite, in fc.bias"),
    "odd.pt": ({"fc.weight": torch.ones(10, 256, dtype=torch.int32)}, "the wrong dtype"),
}


@pytest.mark.parametrize(("name", "change", "message"), [(k, *v) for k, v in BROKEN.items()], ids=BROKEN)
def test_weights_that_do_not_fit_are_errors(trained, name, change, message):
    if isinstance(change, bytes):
        Path(name).write_bytes(change)
    elif change is not None:
        state = load(trained / "weights.safetensors") | change
        save(
            Path(name), {k: v for k, v in state.items() if v is not None} if "model" not in change else change
        )
    assert message in train("digits.net", "--data", "digits", "--weights", name, "--out", "x", status=1)
    assert not Path("x").exists()


def test_published_weights(tmp_path, photos, monkeypatch):
    """The card's published weights, without a download, for another number of classes."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    theirs = models.squeezenet1_1()
    monkeypatch.setattr(weights, "fetch", lambda card, entry: theirs.state_dict())
    line = ["squeezenet1_1", "--data", f"folder:{photos('set')}", "--weights", "IMAGENET1K_V1", *STILL]
    told = train(*line, "--out", "one")
    assert "classifier.1.weight and classifier.1.bias are newly initialized, for 3 classes" in told
    assert "warning: the weights IMAGENET1K_V1" in told
    assert "--set train.normalize=imagenet" in told
    ours = start(tmp_path / "one")
    same = [name for name, value in theirs.state_dict().items() if close(ours[name], value)]
    assert set(ours) - set(same) == {"classifier.1.weight", "classifier.1.bias"}
    assert "normalizes differently" not in train(*line, "--out", "two", "--set", "train.normalize=imagenet")


REFUSED = [
    (["digits.net", "--weights", ""], 2, "--weights is empty"),
    (["digits.net", "--weights", "IMAGENET1K_V1"], 2, "only zoo networks have published weights"),
    (["resnet18", "--weights", "IMAGENET1K_V9"], 1, "has no weights `IMAGENET1K_V9`"),
    (["--resume", "first", "--weights", "first"], 2, "--weights cannot change when a run is resumed"),
]


@pytest.mark.parametrize(("line", "status", "message"), REFUSED)
def test_missing_weights(trained, line, status, message):
    data = [] if "--resume" in line else ["--data", "synthetic:10"]
    run = command("train", *line, *data, "--device", "cpu")
    assert (run.exit_code, message in run.stderr) == (status, True), run.stderr


def test_weights_that_cannot_be_downloaded(tmp_path, photos, monkeypatch):
    monkeypatch.chdir(tmp_path)
    entry = models.SqueezeNet1_1_Weights.IMAGENET1K_V1

    def fail(*_: object) -> dict:
        raise weights.WeightsError(f"the weights could not be loaded from {entry.url}")

    monkeypatch.setattr(weights, "fetch", fail)
    line = ["squeezenet1_1", "--data", f"folder:{photos('set')}", "--weights", "IMAGENET1K_V1"]
    assert "could not be loaded from https" in train(*line, "--out", "x", status=1)
