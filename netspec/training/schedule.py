"""The learning rate of every step, by the recipe's schedule and the validation errors."""

from __future__ import annotations

from typing import Any

from torch.optim import Optimizer

from netspec.recipe import Recipe
from netspec.recipe.schedules import Moment, Plateau


class LearningRate:
    """Sets the optimizer's rate before each step, by the recipe's schedule and the validation errors."""

    def __init__(self, optimizer: Optimizer, recipe: Recipe, steps_per_epoch: int) -> None:
        self.optimizer, self.recipe, self.steps_per_epoch = optimizer, recipe, steps_per_epoch
        self.base = [group["lr"] for group in optimizer.param_groups]
        self.best, self.waited, self.drops = float("inf"), 0, 0

    def before_step(self, step: int) -> None:
        """Set the rate for step number `step`, counted from 0 over the whole run."""
        scale = self.recipe.schedule.scale(Moment(step, self.steps_per_epoch, self.recipe.epochs, self.drops))
        for group, base in zip(self.optimizer.param_groups, self.base, strict=True):
            group["lr"] = base * scale

    def after_epoch(self, error: float) -> None:
        """Take note of an epoch's validation error; a plateau lowers the rate."""
        plateau = self.recipe.schedule
        if not isinstance(plateau, Plateau):
            return
        if error < self.best:
            self.best, self.waited = error, 0
            return
        self.waited += 1
        if self.waited >= plateau.patience and self.drops < plateau.drops:
            self.drops, self.waited = self.drops + 1, 0

    @property
    def now(self) -> float:
        """The rate of the first parameter group."""
        return float(self.optimizer.param_groups[0]["lr"])

    def state_dict(self) -> dict[str, float]:
        """What a checkpoint keeps."""
        return {"best": self.best, "waited": self.waited, "drops": self.drops}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.best, self.waited, self.drops = state["best"], state["waited"], state["drops"]
