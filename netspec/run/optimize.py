"""A recipe's optimizer and schedule, as torch runs them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, overload

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from netspec.recipe import Recipe
from netspec.recipe.optimizers import Sgd
from netspec.recipe.schedules import Moment, Plateau


class Momentum(Optimizer):
    """Krizhevsky et al.'s update (2012, section 5): v := m v - d e w - e g; w := w + v.

    `torch.optim.SGD` keeps the velocity without the rate e, so that a lower rate shrinks the steps already
    under way; here they keep their size, as in the paper and in Caffe. At a constant rate the two agree.
    With `nesterov`, w := w + m v - d e w - e g.
    """

    def __init__(self, parameters: Iterable[Tensor], recipe: Sgd) -> None:
        super().__init__(parameters, recipe.model_dump(exclude={"kind"}))

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Update every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            weights = [p for p in group["params"] if p.grad is not None]
            if weights:
                self._update(weights, group)
        return loss

    def _update(self, weights: list[Tensor], group: dict[str, Any]) -> None:
        rate, momentum, decay = group["lr"], group["momentum"], group["weight_decay"]
        gradients = [w.grad for w in weights if w.grad is not None]
        if not momentum:
            if decay:
                torch._foreach_mul_(weights, 1 - rate * decay)
            torch._foreach_add_(weights, gradients, alpha=-rate)
            return
        velocities = [self._velocity(w) for w in weights]
        torch._foreach_mul_(velocities, momentum)
        if decay:
            torch._foreach_add_(velocities, weights, alpha=-rate * decay)
        torch._foreach_add_(velocities, gradients, alpha=-rate)
        if group["nesterov"]:
            if decay:
                torch._foreach_mul_(weights, 1 - rate * decay)
            torch._foreach_add_(weights, gradients, alpha=-rate)
            torch._foreach_add_(weights, velocities, alpha=momentum)
        else:
            torch._foreach_add_(weights, velocities)

    def _velocity(self, weight: Tensor) -> Tensor:
        state = self.state[weight]
        if "velocity" not in state:
            state["velocity"] = torch.zeros_like(weight)
        velocity: Tensor = state["velocity"]
        return velocity


def make_optimizer(module: nn.Module, recipe: Recipe) -> Optimizer:
    """The recipe's optimizer over every parameter that learns."""
    return Momentum((p for p in module.parameters() if p.requires_grad), recipe.optimizer)


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
