"""Callbacks of a training run: the base class, the log, TensorBoard, and stopping on signals."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from types import FrameType
from typing import TYPE_CHECKING, Any

from netspec.checkpoint import (
    EVENTS,
    LOG,
    LOG_TABLE,
    SKIPPED,
    append_line,
    flatten,
    read_log,
    save_text,
    write_errors,
)
from netspec.errors import TrainError
from netspec.evaluation.metrics import Score
from netspec.evaluation.run import Run
from netspec.tables import comma_separated
from netspec.transforms.pixels import BadImage

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

    from netspec.training.state import RunState


@dataclass(frozen=True)
class Progress:
    """The progress within an epoch. `loss` and `accuracy` are means over the epoch's steps so far.

    Epochs and steps are 1-based. `accuracy` and `waiting`, the part of the time spent waiting for images, are
    fractions from 0 to 1.
    """

    epoch: int
    step: int
    loss: float
    accuracy: float
    images_per_second: float
    seconds_left: float
    waiting: float = 0.0


@dataclass(frozen=True)
class EpochReport:
    """One finished epoch (1-based) with its training `loss` and `accuracy`, and its validation score `val`.

    `improved` is true if the top-1 error is the lowest so far. `seconds` includes validation;
    `images_per_second` does not.
    """

    epoch: int
    lr: float
    loss: float
    accuracy: float
    val: Score
    improved: bool
    images_per_second: float
    seconds: float
    waiting: float = 0.0


class Callback:
    """The base class of callbacks. Its methods do nothing; a subclass overrides any of them.

    Only the first process calls them, in this order: `on_start`; in each epoch, `on_progress` several times,
    then `on_epoch_end` and `on_epoch_saved`; finally `on_end`. `close` is always called, even after an error.
    A callback may call `state.stop()` to end the run after the current step.
    """

    def on_start(self, state: RunState) -> None:
        """Called when the run starts or resumes, before the first step."""

    def on_progress(self, state: RunState, progress: Progress) -> None:
        """Called about twice a second during an epoch, and at its end."""

    def on_epoch_end(self, state: RunState, report: EpochReport) -> None:
        """Called when an epoch has been trained and validated, before its checkpoint is written.

        If the run is killed before the checkpoint is written, the epoch is trained again.
        """

    def on_epoch_saved(self, state: RunState, report: EpochReport) -> None:
        """Called when the checkpoint of an epoch has been written."""

    def on_end(self, state: RunState, run: Run) -> None:
        """Called when the run has finished or was stopped, after its files have been written."""

    def close(self) -> None:
        """Release resources; always called, even after an error."""


class RunLog(Callback):
    """Writes the log of a run, with a row for each epoch, to `log.jsonl` and `log.csv`.

    When a run resumes, rows of epochs after its checkpoint are dropped, because these epochs are repeated.
    """

    def on_start(self, state: RunState) -> None:
        """Read the rows of a resumed run; raises TrainError if a file cannot be written."""
        self.rows = [row for row in read_log(state.out, strict=False) if row.get("steps", 0) <= state.step]
        if (state.out / LOG).exists():
            save_text(state.out / LOG, "".join(json.dumps(row) + "\n" for row in self.rows))
            save_text(state.out / LOG_TABLE, log_csv(self.rows))

    def on_epoch_end(self, state: RunState, report: EpochReport) -> None:
        """Append a row; raises TrainError if a file cannot be written."""
        row = asdict(report) | {"steps": state.step}
        append_line(state.out / LOG, row)
        self.rows.append(row)
        save_text(state.out / LOG_TABLE, log_csv(self.rows))


class SkippedPhotos(Callback):
    """Writes the list of unreadable images that were left out of a run to `skipped.csv`."""

    def __init__(self, photos: Sequence[BadImage]) -> None:
        self.photos = photos

    def on_start(self, state: RunState) -> None:
        """Write the file; raises TrainError if it cannot be written."""
        rows = [[photo.path, photo.reason] for photo in self.photos]
        save_text(state.out / SKIPPED, comma_separated(["image", "reason"], rows) + "\n")


def log_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the rows of a log as CSV, with a column for each value that any row has."""
    flat = [flatten(row) for row in rows]
    names = list(dict.fromkeys(name for row in flat for name in row))
    return comma_separated(names, ([row.get(name, "") for name in names] for row in flat)) + "\n"


TAGS = {
    "loss": "loss/train",
    "val_loss": "loss/validation",
    "accuracy": "accuracy/train",
    "val_top1_error": "error/top-1",
    "val_top5_error": "error/top-5",
    "lr": "learning rate",
    "images_per_second": "images per second",
    "seconds": "seconds",
}
"""The columns of the log that are also written for TensorBoard, with their TensorBoard tags."""


class TensorBoard(Callback):
    """Writes TensorBoard event files to the folder `tensorboard` of a run, with one point per epoch."""

    writer: SummaryWriter | None = None

    def on_start(self, state: RunState) -> None:
        """Open the event file; raises TrainError if it cannot be written or TensorBoard is missing."""
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            message = "event files need TensorBoard, which is not installed"
            raise TrainError(f"{message}: pip install 'netspec[tensorboard]'", wrong_use=True) from error
        folder = state.out / EVENTS
        with write_errors(folder):
            self.writer = SummaryWriter(str(folder), purge_step=state.step + 1 if state.step else None)

    def on_epoch_end(self, state: RunState, report: EpochReport) -> None:
        """Write the values of an epoch; raises TrainError if the write fails."""
        assert self.writer
        with write_errors(state.out / EVENTS):
            for name, value in flatten(asdict(report)).items():
                if name in TAGS:
                    self.writer.add_scalar(TAGS[name], value, state.step)
            self.writer.flush()

    def close(self) -> None:
        """Close the event file."""
        if self.writer:
            self.writer.close()


@contextmanager
def stop_signals(on_signal: Callable[[int], object]) -> Iterator[None]:
    """Call `on_signal` on Ctrl-C or SIGTERM instead of ending the process. A second Ctrl-C ends it.

    This has no effect outside the main thread, where Python delivers no signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        on_signal(number)

    previous = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
