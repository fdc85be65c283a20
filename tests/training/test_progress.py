"""The lines and the progress bar on the console."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from netspec.evaluation.metrics import Score
from netspec.evaluation.run import Run
from netspec.recipe import Recipe
from netspec.training.callbacks import Callback, EpochReport, Progress
from netspec.training.console import ConsoleBar, ConsoleLines, console_callback

SCORE = Score(images=355, loss=0.2, top1_error=0.05, top5_error=0.01)
OUT = Path("runs/lenet")
STATE: Any = SimpleNamespace(
    out=OUT,
    step=0,
    parameters=431_080,
    execution="cpu, float32",
    citation=None,
    recipe=Recipe(epochs=2),
    processes=SimpleNamespace(world=1),
    batches=SimpleNamespace(steps=45, batch=32),
    data=SimpleNamespace(
        name="digits", train_images=1442, val_images=355, class_names=tuple(map(str, range(10)))
    ),
)
RUN = Run(OUT, (), 2, 90, SCORE, SCORE, 2, 65.0, 4321.0)


def show(callback: Callback) -> None:
    callback.on_start(STATE)
    callback.on_progress(STATE, Progress(1, 20, 1.5, 0.4, 4000.0, 12.0))
    callback.on_epoch_saved(STATE, EpochReport(1, 0.01, 0.5, 0.9, SCORE, True, 4000.0, 3.0))
    callback.on_end(STATE, RUN)
    callback.close()


@pytest.mark.parametrize("terminal", [False, True])
def test_lines_show_everything(terminal: bool) -> None:
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=200, color_system=None)
    callback = console_callback(console)
    assert type(callback) is (ConsoleBar if terminal else ConsoleLines)
    show(callback)
    text = file.getvalue()
    for line in (
        "431,080 parameters on digits (1,442 training images, 355 validation images, 10 classes)",
        "on cpu, float32",
        "2 epochs of 45 steps of 32 images; the run is saved in runs/lenet",
        "epoch 1/2  loss 0.5000  accuracy 90.00%  val loss 0.2000  top-1 error 5.00%  top-5 error 1.00%",
        "finished 2 epochs (90 steps) in 1m05s, 4,321 images/s",
        "best (epoch 2): accuracy 95.00%, top-1 error 5.00%, top-5 error 1.00%",
        "weights: runs/lenet/weights.safetensors",
    ):
        assert line in text


def test_plain_lines_hold_no_control_codes_and_do_not_wrap() -> None:
    file = io.StringIO()
    show(ConsoleLines(Console(file=file, width=20)))
    assert "\x1b" not in file.getvalue()
    assert len(file.getvalue().splitlines()) == 10


def test_a_long_epoch_prints_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.StringIO()
    lines = ConsoleLines(Console(file=file))
    times = iter([0.0, 29.0, 31.0, 31.0, 32.0])
    monkeypatch.setattr("netspec.training.console.time.monotonic", times.__next__)
    lines.on_start(STATE)
    for step in (10, 20, 30):
        lines.on_progress(STATE, Progress(1, step, 1.5, 0.4, 4000.0, 3700.0))
    shown = [line for line in file.getvalue().splitlines() if line.startswith("epoch")]
    assert shown == ["epoch 1/2  20/45  loss 1.5000  accuracy 40.0%  4,000 images/s (0% waiting)  1h01m left"]
