"""The log of a run: a line of JSON, a row of CSV and TensorBoard's events for each epoch."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from netspec.checkpoint.store import append_line, explained, replace
from netspec.errors import TrainError
from netspec.training.report import EpochReport

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

LINES, TABLE, EVENTS = "log.jsonl", "log.csv", "tensorboard"
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
"""What TensorBoard calls the columns; the others stay out of it."""


class RunLog:
    """Logs of a run under `out`, one row an epoch; with `tensorboard`, its event files too.

    A run that goes on from a checkpoint gives the checkpoint's `step`: rows beyond it are dropped, for their
    epochs are trained again.

    Raises:
        TrainError: a file cannot be written, or TensorBoard is asked for and not installed.
    """

    def __init__(self, out: Path, *, step: int = 0, tensorboard: bool = False) -> None:
        self.out = out
        self.rows = [row for row in read_log(out, strict=False) if row.get("steps", 0) <= step]
        self.writer = _open_events(out / EVENTS, step) if tensorboard else None
        if (out / LINES).exists():
            _write(out / LINES, "".join(json.dumps(row) + "\n" for row in self.rows))
            _write(out / TABLE, as_csv(self.rows))

    def __enter__(self) -> RunLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def epoch(self, report: EpochReport, steps: int) -> None:
        """Add an epoch that ended after `steps` steps of the run; raises TrainError."""
        row = asdict(report) | {"steps": steps}
        append_line(self.out / LINES, row)
        self.rows.append(row)
        _write(self.out / TABLE, as_csv(self.rows))
        if self.writer:
            with explained(self.out / EVENTS):
                for name, value in flat(row).items():
                    if name in TAGS and isinstance(value, int | float):
                        self.writer.add_scalar(TAGS[name], value, steps)
                self.writer.flush()

    def close(self) -> None:
        """Finish TensorBoard's file; raises TrainError."""
        if self.writer:
            with explained(self.out / EVENTS):
                self.writer.close()


def read_log(out: Path, *, strict: bool = True) -> list[dict[str, Any]]:
    """The rows of a run's log.jsonl, none where it has none; a last line that was cut off is left out.

    Raises:
        TrainError: the log cannot be read, or with `strict` a line before the last is damaged.
    """
    path = out / LINES
    try:
        lines = path.read_text("utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise TrainError(f"{path} cannot be read: {error.strerror}") from error
    rows = []
    for number, line in enumerate(lines, 1):
        row = _row(line)
        if row is not None:
            rows.append(row)
        elif strict and line.strip() and number < len(lines):
            raise TrainError(f"{path} is damaged: line {number} is no row of a log")
    return rows


def flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row without rows inside it.

    >>> flat({"loss": 1.5, "val": {"loss": 2.0}})
    {'loss': 1.5, 'val_loss': 2.0}
    """
    made: dict[str, Any] = {}
    for name, value in row.items():
        inner = flat(value) if isinstance(value, Mapping) else None
        made |= {name: value} if inner is None else {f"{name}_{key}": v for key, v in inner.items()}
    return made


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as CSV, a column for everything that any of them tells."""
    plain = [flat(row) for row in rows]
    names = list(dict.fromkeys(name for row in plain for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(plain)
    return text.getvalue()


def _row(line: str) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) and isinstance(row.get("steps", 0), int) else None


def _write(path: Path, text: str) -> None:
    replace(path, lambda file: file.write(text.encode()))


def _open_events(folder: Path, step: int) -> SummaryWriter:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        message = "event files need TensorBoard, which is not installed"
        raise TrainError(f"{message}: pip install 'netspec[tensorboard]'", wrong_use=True) from error
    with explained(folder):
        return SummaryWriter(str(folder), purge_step=step + 1 if step else None)
