"""Two processes train with the same losses as one with the same batch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result

from netspec.checkpoint import load
from netspec.cli import main

SPEC = """network Net
input image: 1x8x8
conv(8, 3, padding=1); relu; maxpool(2); conv(16, 3, padding=1); relu; flatten; linear(10)
train { data: digits; batch: 64; epochs: 2; optimizer: sgd(lr=0.05, momentum=0.9); augment: [crop(1)] }
"""


def alone(folder: Path, *options: str) -> Result:
    """Train in this process alone."""
    (folder / "net.net").write_text(SPEC)
    return CliRunner().invoke(main, ["train", str(folder / "net.net"), "--device", "cpu", *options])


def together(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Train in two processes."""
    (folder / "net.net").write_text(SPEC)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    spec = () if "--resume" in options else ("net.net",)
    command = [*torchrun, "-m", "netspec", "train", "--device", "cpu", *spec, *options]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=200, env=environment)


def log(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("options", [(), ("--shard",)], ids=["copies", "shards"])
def test_two_processes_have_the_losses_of_one(options, tmp_path):
    assert alone(tmp_path, "--out", str(tmp_path / "one")).exit_code == 0
    run = together(tmp_path, "--out", "two", *options)
    assert run.returncode == 0, run.stdout + run.stderr
    one, two = log(tmp_path / "one"), log(tmp_path / "two")
    assert len(two) == len(one) == 2
    for a, b in zip(one, two, strict=True):
        assert b["loss"] == pytest.approx(a["loss"], rel=1e-4)
        assert b["accuracy"] == pytest.approx(a["accuracy"], abs=3e-3)
        assert b["val"]["loss"] == pytest.approx(a["val"]["loss"], rel=1e-3)
        assert b["val"]["images"] == a["val"]["images"]
    weights = [load(tmp_path / name / "weights.safetensors") for name in ("one", "two")]
    for key, value in weights[0].items():
        torch.testing.assert_close(weights[1][key], value, rtol=1e-3, atol=1e-4)
    assert run.stdout.count("epoch 2/2") == 1
    assert "2 processes" in run.stdout
    again = together(tmp_path, "--resume", "two", *options)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "resuming after" in again.stdout


def test_errors_with_two_processes(tmp_path):
    odd = together(tmp_path, "--batch", "63")
    assert odd.returncode != 0
    assert "a batch of 63 images cannot be divided evenly among 2 processes" in odd.stdout + odd.stderr
    wrong = together(tmp_path, "--data", "digit")
    assert "unknown data set digit" in wrong.stderr
    assert "processes.py" not in wrong.stderr  # the other process, which lost its peer, prints no traceback
    single = alone(tmp_path, "--shard", "--out", str(tmp_path / "run"))
    assert single.exit_code == 2
    assert "start several with torchrun" in single.output
