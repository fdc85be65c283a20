"""The state of a training run."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn
from torch.optim import Optimizer

from netspec.build import Execution
from netspec.datasets.base import Batches, Data
from netspec.evaluation.metrics import Score
from netspec.recipe import Recipe
from netspec.training.callbacks import Callback
from netspec.training.config import RunConfig
from netspec.training.distributed import Processes
from netspec.training.loss import DeadLossCheck, Meter, Objective
from netspec.training.optim import LearningRate, WeightAverage

T = TypeVar("T")
logger = logging.getLogger(__name__)


@dataclass
class RunState:
    """The state of a training run; every step changes it.

    `trained` is the module that training calls: `module` itself, compiled, or replicated over processes.
    `step` and `epoch` count finished steps and epochs. `about` describes the network in every checkpoint, and
    `citation` is the source of its recipe.
    """

    config: RunConfig
    module: nn.Module
    trained: nn.Module
    input_shape: tuple[int, int, int]
    classes: int
    data: Data
    batches: Batches
    execution: Execution
    processes: Processes
    objective: Objective
    optimizer: Optimizer
    schedule: LearningRate
    scaler: torch.amp.GradScaler
    average: WeightAverage | None
    meter: Meter
    dead_loss: DeadLossCheck
    callbacks: Sequence[Callback]
    about: Mapping[str, object]
    citation: str | None = None
    step: int = 0
    epoch: int = 0
    final: Score | None = None
    final_view: str = "centre crop"
    best: Score | None = None
    best_epoch: int = 0
    stop_signal: int = 0
    started: float = field(default_factory=time.perf_counter)
    saved: float = field(default_factory=time.perf_counter)
    training_seconds: float = 0.0
    validation_seconds: float = 0.0

    @property
    def recipe(self) -> Recipe:
        """The recipe of the run, with each `auto` replaced by the choice for the device."""
        return self.config.recipe

    @property
    def out(self) -> Path:
        """The folder of the run."""
        return self.config.out

    @property
    def parameters(self) -> int:
        """The number of parameters of the network."""
        return sum(p.numel() for p in self.module.parameters())

    @property
    def evaluated(self) -> nn.Module:
        """The module that is validated and saved: the averaged module with `ema`, otherwise `module`."""
        return self.average.module if self.average else self.module

    @property
    def uses_whole_images(self) -> bool:
        """Whether whole images are resized to the network's input, without any crop."""
        return isinstance(self.batches.preprocessing.resize, tuple)

    @property
    def has_random_labels(self) -> bool:
        """Whether labels are random; training then learns nothing about validation images."""
        return self.recipe.random_labels or self.data.name.partition(":")[0] == "synthetic"

    def stop(self, signal: int = signal.SIGTERM) -> None:
        """End the run with a checkpoint after the current step, as if it had received `signal`."""
        self.stop_signal = self.stop_signal or int(signal)

    def until_stopped(self, items: Iterable[T]) -> Iterator[T]:
        """Yield items until the run is stopped."""
        for item in items:
            yield item
            if self.stop_signal:
                return

    def warn(self, message: str) -> None:
        """Log a warning. Only the first process does."""
        if self.processes.is_first:
            logger.warning(message)
