"""Training a finished run for longer, and what a run says about its rates, classes and scores."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from accepted import accepted
from click.testing import CliRunner

import netspec
from netspec.checkpoint import load, read_log
from netspec.cli import main
from netspec.datasets.info import class_titles
from netspec.errors import DataError, TrainError
from netspec.recipe import RecipeError
from netspec.training import resume, train

NET = """network Net(classes = 10)
input image: 1x8x8
flatten; linear(classes)
train { data: digits; batch: 128; epochs: %s; optimizer: sgd(lr=0.1, momentum=0.9); schedule: %s }
"""


def begin(folder: Path, epochs: int, schedule: str = "step(size=2, factor=0.5)") -> Path:
    train(NET % (epochs, schedule), out=folder, device="cpu")
    return folder


def test_a_longer_run_ends_as_if_it_had_been_longer_from_the_start(tmp_path):
    whole, short = begin(tmp_path / "whole", 4), begin(tmp_path / "short", 2)
    run = resume(short, epochs=4, device="cpu")
    assert (run.epochs, run.recipe.epochs) == (4, 4)
    first, second = (load(folder / "weights.safetensors") for folder in (whole, short))
    assert all(value.equal(second[name]) for name, value in first.items())
    assert [row["lr"] for row in read_log(whole)] == [row["lr"] for row in read_log(short)]
    assert (short / "recipe.net").read_text() == (whole / "recipe.net").read_text()


def test_a_finished_run_is_not_shortened(tmp_path):
    folder = begin(tmp_path / "run", 2)
    with pytest.raises(TrainError, match="has finished 2 epochs: `epochs` must be at least that, not 1"):
        resume(folder, epochs=1, device="cpu")
    with pytest.raises(RecipeError):
        resume(folder, epochs=0, device="cpu")
    assert resume(folder, device="cpu").epochs == 2


@pytest.mark.parametrize(("schedule", "warned"), [("cosine", True), ("poly", True), ("constant", False)])
def test_a_schedule_that_ends_with_the_run_is_warned_about(schedule, warned, tmp_path, caplog):
    folder = begin(tmp_path / "run", 1, schedule)
    with caplog.at_level(logging.WARNING, "netspec"):
        resume(folder, epochs=2, device="cpu")
    text = f"the schedule {schedule} ends with the run, which now has 2 epochs instead of 1"
    assert any(text in record.getMessage() for record in caplog.records) == warned


def test_the_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    begin(Path("run"), 1)
    result = CliRunner().invoke(main, ["train", "--resume", "run", "--epochs", "2", "--device", "cpu"])
    assert accepted(result)
    assert "epoch 2/2" in result.output
    refused = CliRunner().invoke(main, ["train", "--resume", "run", "--batch", "9"])
    assert refused.exit_code == 2
    assert "--batch cannot change" in refused.output


def test_a_diverged_run_names_the_rate_that_was_given(tmp_path, caplog):
    with caplog.at_level(logging.WARNING, "netspec"):
        train(NET % (2, "cosine"), lr=100.0, out=tmp_path / "run", device="cpu")
    assert any("diverged with a learning rate of 100" in record.getMessage() for record in caplog.records)


def test_a_parameter_that_nothing_uses_is_not_suggested(tmp_path):
    text = "network Net(classes = 10)\ninput image: 1x8x8\nflatten; linear(5)\n"
    with pytest.raises(DataError, match="digits has 10 classes, but linear has 5 outputs: give its layer 10"):
        train(text, data="digits", out=tmp_path / "run", device="cpu")


def photos(folder: Path, classes: int) -> Path:
    from PIL import Image

    for label in range(classes):
        (folder / f"c{label}").mkdir(parents=True)
        for number in range(4):
            Image.new("RGB", (9, 9), (40 * label, 9, number)).save(folder / f"c{label}" / f"{number}.png")
    return folder


@pytest.mark.parametrize(("classes", "shown"), [(3, False), (5, False), (6, True)])
def test_the_top_5_error_of_few_classes_is_left_out(classes, shown, tmp_path):
    folder, net = photos(tmp_path / "set", classes), tmp_path / "small.net"
    net.write_text("network Small(classes = 2)\ninput image: 3x8x8\nflatten; linear(classes)\n")
    words = ["train", net, "--data", f"folder:{folder}", "--epochs", 1, "--out", tmp_path / "run"]
    trained = CliRunner().invoke(main, [*map(str, words), "--device", "cpu"])
    assert accepted(trained)
    scored = CliRunner().invoke(main, ["eval", str(tmp_path / "run"), "--per-class", "--device", "cpu"])
    assert accepted(scored)
    for text in (trained.output, scored.output):
        assert "top-1 error" in text
        assert ("top-5" in text) == shown


def test_imagenets_classes_are_shown_by_their_words():
    numbers = tuple(f"n{10**7 + 7 * k:08}" for k in reversed(range(1000)))
    titles = class_titles(numbers)
    assert titles[-1] == "n10000000 tench"
    assert titles[0].endswith(" toilet tissue")
    assert class_titles(numbers[:999]) == numbers[:999]
    assert class_titles(("cat", "dog")) == ("cat", "dog")


COMPLETIONS = {
    "a spec": ("netspec check resnet1", ["resnet18", "resnet101"]),
    "a spec to train": ("netspec train Swin", ["swin_t"]),
    "a data set": ("netspec train lenet --data f", ["folder:", "food101"]),
    "a recipe": ("netspec train lenet --recipe alex", ["alexnet_torchvision"]),
    "a card": ("netspec zoo show vgg", ["vgg16"]),
    "a layer type": ("netspec ops con", ["conv", "concat"]),
    "a code": ("netspec explain shape", ["shape-mismatch"]),
    "a format": ("netspec check lenet --format j", ["json"]),
}


@pytest.mark.parametrize(("typed", "expected"), COMPLETIONS.values(), ids=COMPLETIONS)
def test_names_are_completed_in_a_shell(typed, expected):
    environment = {
        "_NETSPEC_COMPLETE": "bash_complete",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(typed.split()) - 1),
    }
    result = CliRunner().invoke(main, [], prog_name="netspec", env=environment)
    assert set(expected) <= {line.partition(",")[2] for line in result.output.splitlines()}


def test_a_sweep_that_cannot_start_ends_at_once_and_one_that_ran_is_drawn(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("net.net").write_text(NET % (1, "constant"))
    Path("bad.net").write_text("network Bad(n = 1)\ninput image: 1x8x8\nconv(n, 99)\n")
    for words, message in (
        (["bad.net", "--set", "n=1,2"], "empty-output"),
        (["net.net", "--set", "train.batch=64,x"], "batch"),
        (["net.net", "--data", "nothing"], "unknown data set nothing"),
        (["net.net", "--data", "folder:gone"], "gone does not exist"),
    ):
        result = CliRunner().invoke(main, ["sweep", *words, "--out", "sweep"])
        assert result.exit_code in (1, 2)
        assert message in result.output
        assert not Path("sweep").exists()
    words = ["sweep", "net.net", "--set", "train.batch=64,128", "--out", "sweep", "--device", "cpu"]
    result = CliRunner().invoke(main, words)
    assert accepted(result)
    assert "the curves of all runs are in sweep/curves.svg" in result.output
    assert "<svg" in Path("sweep/curves.svg").read_text()


def test_zoo_names_load_in_any_case():
    assert netspec.load("AlexNet_Paper").net.name == netspec.load("alexnet_paper").net.name
