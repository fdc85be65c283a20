"""The configuration of a training run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from netspec.errors import TrainError
from netspec.recipe import Recipe


@dataclass(frozen=True)
class RunConfig:
    """The configuration of a run: its recipe, its files and its device. Only the recipe affects the result.

    `root` is the folder of the data set, if the name of the data set does not contain it. `workers` is the
    number of processes that read image files; None chooses a number for the machine. `save_every` is the time
    in minutes between checkpoints within an epoch; with 0, they are written only after epochs. `shard` splits
    the weights over the processes (FSDP). `tensorboard` also writes TensorBoard event files. `weights` names
    the initial weights. `resume` continues the run in the folder `out` from its checkpoint.
    """

    recipe: Recipe
    out: Path
    root: Path | None = None
    device: str = "auto"
    workers: int | None = None
    save_every: float = 10.0
    shard: bool = False
    tensorboard: bool = False
    weights: str | None = None
    resume: bool = False

    def __post_init__(self) -> None:
        """Raise TrainError if a value is out of range."""
        if self.workers is not None and self.workers < 0:
            raise TrainError(f"`workers` must be at least 0, not {self.workers}", wrong_use=True)
        if not 0 <= self.save_every < math.inf:
            message = f"`save_every` must be a number of minutes of at least 0, not {self.save_every}"
            raise TrainError(message, wrong_use=True)

    @property
    def save_seconds(self) -> float:
        """The time between checkpoints within an epoch, in seconds."""
        return self.save_every * 60 or math.inf
