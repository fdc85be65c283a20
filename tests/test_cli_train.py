"""`netspec train`: end to end on bundled digits, and refusals before the first step."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from accepted import accepted
from click.testing import CliRunner, Result
from places import SPECS
from safetensors.torch import load_file

import netspec
from netspec.cli import main

DIGITS = "network Digits(classes = 3)\ninput image: 1x12x12\nconv(8, 3); relu\nflatten; fc: linear(classes)\n"


def train(*arguments: object) -> Result:
    run = CliRunner().invoke(main, ["train", *map(str, arguments)])
    assert run.exception is None or isinstance(run.exception, SystemExit), run.exc_info
    return run


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("digits.net").write_text(DIGITS)
    Path("grey.net").write_text(DIGITS.replace("1x12x12", "3x12x12"))
    Path("image.net").write_text("network Net\ninput image: 1x12x12\nconv(10, 3)\n")
    Path("few.net").write_text("network Net\ninput image: 1x12x12\nflatten; linear(4)\n")
    Path("two.net").write_text(
        DIGITS.replace("input", "input other: 3\ninput") + "add { identity; linear(classes) <- other }"
    )
    Path("odd.net").write_text(DIGITS + "train { optimiser: sgd }\n")


def weights(folder: Path) -> list[dict[str, torch.Tensor]]:
    return [load_file(path) for path in sorted(folder.rglob("*.safetensors"))]


def test_train_and_load():
    run = train(
        "digits.net", "--data", "digits", "--epochs", 2, "--out", "run", "--seed", 1, "--device", "cpu"
    )
    assert accepted(run)
    assert "run" in run.output
    module = netspec.load("digits.net", classes=10).module()
    for state in weights(Path("run")):
        module.load_state_dict(state, strict=True)
    assert weights(Path("run"))


def test_lenet_learns_in_a_fresh_process(tmp_path):
    command = [sys.executable, "-m", "netspec", "train", str(SPECS / "lenet.net"), "--set", "caffe=true"]
    command += ["--data", "digits", "--epochs", "1", "--out", "run", "--device", "cpu"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=100, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert "\x1b" not in run.stdout + run.stderr
    assert "Traceback" not in run.stderr
    module = netspec.load("lenet", caffe=True).module()
    module.load_state_dict(weights(Path("run"))[0], strict=True)


def test_the_same_seed_gives_the_same_weights():
    for name in ("a", "b"):
        train("digits.net", "--data", "digits", "--epochs", 1, "--out", name, "--seed", 3, "--device", "cpu")
    (a, *_), (b, *_) = weights(Path("a")), weights(Path("b"))
    assert all(torch.equal(a[k], b[k]) for k in a)


REFUSED = [
    ("grey.net --data digits", "input to 1x12x12"),
    ("few.net --data digits", "10 classes"),
    ("digits.net --data digits --set classes=4", "--set classes=10"),
    ("digits.net --data digits --set classes=20", "--set classes=10"),
    ("image.net --data digits", "flatten"),
    ("two.net --data digits", "2 inputs"),
    ("digits.net --data imagenet --root nowhere", "nowhere"),
    ("digits.net --data folder:nowhere", "nowhere"),
    ("odd.net --data digits", "optimizer"),
    ("none.net --data digits", "none.net"),
    ("digits.net --data digits --out digits.net", "digits.net"),
]


@pytest.mark.parametrize(("line", "message"), REFUSED)
def test_invalid_runs_are_rejected_before_training(line, message):
    run = train(*line.split(), *([] if "--out" in line else ["--out", "run"]), "--epochs", 1)
    assert run.exit_code == 1
    assert message in run.stderr
    assert not weights(Path("run"))


WRONG_USE = [
    ("digits.net --data digit", "unknown data set digit"),
    ("digits.net --data imagenet", "--root"),
    ("digits.net --data folder:", "folder: has no path"),
    ("digits.net --data digits --set depth=3", "no parameter `depth`"),
    ("digits.net --data digits --device nonsense", "nonsense"),
    ("digits.net --data digits --lr -1", "--lr"),
    ("digits.net --data digits --root .", "digits does not take --root"),
    ("digits.net --data digits --set train.epochs=3", "give only one"),
    ("digits.net --data digits --lr 1 --set train.optimizer.lr=2", "give only one"),
    ("digits.net", "--data"),
]


@pytest.mark.parametrize(("line", "message"), WRONG_USE)
def test_wrong_use_exits_with_2(line, message):
    run = train(*line.split(), "--out", "run", "--epochs", 1)
    assert (run.exit_code, Path("run").exists()) == (2, False)
    assert message in run.stderr


def test_an_ignored_val_share_is_reported():
    run = train("digits.net", "--data", "digits", "--epochs", 1, "--out", "run", "--val-share", 0.5)
    assert "it has no effect on digits" in run.stderr


def test_a_run_is_not_overwritten():
    arguments = ("digits.net", "--data", "digits", "--epochs", 1, "--out", "run", "--device", "cpu")
    assert train(*arguments).exit_code == 0
    again = train(*arguments)
    assert again.exit_code == 1
    assert "--out" in again.stderr
