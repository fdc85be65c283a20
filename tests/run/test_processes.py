"""Two processes train as one does, at the same batch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from netspec.run.checkpoint import load

SPEC = """network Net
input image: 1x8x8
conv(8, 3, padding=1); relu; maxpool(2); conv(16, 3, padding=1); relu; flatten; linear(10)
train { data: digits; batch: 64; epochs: 2; optimizer: sgd(lr=0.05, momentum=0.9); augment: [crop(1)] }
"""


def launch(folder: Path, processes: int, *options: str) -> subprocess.CompletedProcess[str]:
    (folder / "net.net").write_text(SPEC)
    command = [sys.executable, "-m"]
    if processes > 1:
        command += ["torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), "-m"]
    if "--resume" not in options:
        options = ("net.net", *options)
    command += ["netspec", "train", "--device", "cpu", *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=200)


def log(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("options", [(), ("--shard",)], ids=["copies", "shards"])
def test_two_processes_have_the_losses_of_one(options, tmp_path):
    for processes, name in ((1, "one"), (2, "two")):
        more = options if processes > 1 else ()
        run = launch(tmp_path, processes, "--out", name, *more)
        assert run.returncode == 0, run.stdout + run.stderr
    one, two = log(tmp_path / "one"), log(tmp_path / "two")
    assert len(two) == len(one) == 2
    for a, b in zip(one, two, strict=True):
        assert b["loss"] == pytest.approx(a["loss"], rel=1e-4)
        assert b["accuracy"] == pytest.approx(a["accuracy"], abs=3e-3)
        assert b["val"]["loss"] == pytest.approx(a["val"]["loss"], rel=1e-3)
        assert b["val"]["images"] == a["val"]["images"]
    weights = [load(tmp_path / name / "weights.pt") for name in ("one", "two")]
    for key, value in weights[0].items():
        torch.testing.assert_close(weights[1][key], value, rtol=1e-3, atol=1e-4)
    assert run.stdout.count("epoch 2/2") == 1
    assert "2 processes" in run.stdout
    again = launch(tmp_path, 2, "--resume", "two", *options)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "going on after" in again.stdout


def test_what_two_processes_cannot_do_is_said(tmp_path):
    odd = launch(tmp_path, 2, "--batch", "63")
    assert odd.returncode != 0
    assert "a batch of 63 images cannot be shared out evenly among 2 processes" in odd.stdout + odd.stderr
    alone = launch(tmp_path, 1, "--shard")
    assert alone.returncode == 2
    assert "start several with torchrun" in alone.stderr
