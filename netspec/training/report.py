"""What a training run tells: its plan, how it goes, each epoch, and the end."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from netspec.evaluation.scoring import Score


@dataclass(frozen=True)
class Plan:
    """What is about to happen: `done` steps of it were done before, by a run that was ended.

    `citation` says where the recipe comes from, where it says so itself.
    """

    data: str
    train_images: int
    val_images: int
    classes: int
    batch: int
    epochs: int
    steps_per_epoch: int
    parameters: int
    machine: str
    out: Path
    processes: int = 1
    done: int = 0
    citation: str | None = None


@dataclass(frozen=True)
class Tick:
    """Where a run stands within an epoch: `loss` and `accuracy` (0 to 1) are the epoch's means so far.

    `waiting` is the share of the time, 0 to 1, that was spent waiting for images.
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
    """One finished epoch, counted from 1; `images_per_second` leaves validation out, `seconds` does not."""

    epoch: int
    lr: float
    loss: float
    accuracy: float
    val: Score
    improved: bool
    images_per_second: float
    seconds: float
    waiting: float = 0.0


@dataclass(frozen=True)
class Summary:
    """How a run ended; scores are None where no epoch was finished.

    `final` is by `final_view`, the recipe's kind of evaluation, `best` the best epoch's, by the centre crop.
    `weights` is the last state_dict, `best_weights` the best epoch's, `checkpoint` all that going on needs;
    `interrupted` is the signal that ended the run early, or 0.
    """

    epochs: int
    steps: int
    seconds: float
    images_per_second: float
    final: Score | None
    best: Score | None
    best_epoch: int
    weights: Path
    best_weights: Path | None
    checkpoint: Path
    interrupted: int = 0
    final_view: str = "centre crop"
