"""What the user sees."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from netspec.evaluation.scoring import Score
from netspec.training.progress import Lines, Live, Progress, open_progress
from netspec.training.report import EpochReport, Plan, Summary, Tick

SCORE = Score(images=355, loss=0.2, top1_error=0.05, top5_error=0.01)
OUT = Path("runs/lenet")
SUMMARY = Summary(
    2, 90, 65.0, 4321.0, SCORE, SCORE, 2, OUT / "weights.pt", OUT / "best.pt", OUT / "checkpoint.pt"
)


def told(progress: Progress) -> None:
    progress.begin(Plan("digits", 1442, 355, 10, 32, 2, 45, 431_080, "cpu, float32", OUT))
    progress.tick(Tick(1, 20, 1.5, 0.4, 4000.0, 12.0))
    progress.warn("[dead] loss")
    progress.epoch(EpochReport(1, 0.01, 0.5, 0.9, SCORE, True, 4000.0, 3.0))
    progress.end()
    progress.summary(SUMMARY)


@pytest.mark.parametrize("terminal", [False, True])
def test_lines_say_everything(terminal: bool) -> None:
    file = io.StringIO()
    progress = open_progress(Console(file=file, force_terminal=terminal, width=200, color_system=None))
    assert type(progress) is (Live if terminal else Lines)
    told(progress)
    text = file.getvalue()
    for line in (
        "431,080 parameters on digits (1,442 images to train on, 355 to validate on, 10 classes)",
        "on cpu, float32",
        "2 epochs of 45 steps of 32 images, saved in runs/lenet",
        "warning: [dead] loss",
        "epoch 1/2  loss 0.5000  accuracy 90.00%  val loss 0.2000  top-1 error 5.00%  top-5 error 1.00%",
        "finished 2 epochs (90 steps) in 1m05s, 4,321 images/s",
        "best (epoch 2): accuracy 95.00%, top-1 error 5.00%, top-5 error 1.00%",
        "weights: runs/lenet/weights.pt",
    ):
        assert line in text


def test_plain_lines_hold_no_control_codes_and_do_not_wrap() -> None:
    file = io.StringIO()
    told(Lines(Console(file=file, width=20)))
    assert "\x1b" not in file.getvalue()
    assert len(file.getvalue().splitlines()) == 10


def test_a_long_epoch_is_not_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.StringIO()
    lines = Lines(Console(file=file))
    monkeypatch.setattr(
        "netspec.training.progress.time.monotonic", iter([0.0, 29.0, 31.0, 31.0, 32.0]).__next__
    )
    lines.begin(Plan("digits", 1442, 355, 10, 32, 2, 45, 431_080, "cpu", OUT))
    for step in (10, 20, 30):
        lines.tick(Tick(1, step, 1.5, 0.4, 4000.0, 3700.0))
    shown = [line for line in file.getvalue().splitlines() if line.startswith("epoch")]
    assert shown == ["epoch 1/2  20/45  loss 1.5000  accuracy 40.0%  4,000 images/s (0% waiting)  1h01m left"]
