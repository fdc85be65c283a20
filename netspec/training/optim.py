"""Optimizers with parameter groups, learning rate schedules, and averaged weights."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterable, Iterator
from typing import Any, overload

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from netspec.recipe import Recipe
from netspec.recipe.optimizers import Optimizer
from netspec.recipe.schedules import Moment, Plateau
from netspec.training.distributed import is_sharded

FUSED_DEVICES = {"cpu", "cuda", "mps"}
NORMS = (_NormBase, nn.GroupNorm, nn.LayerNorm, nn.LocalResponseNorm)


class Momentum(torch.optim.SGD):
    """The update of Krizhevsky et al. (2012, section 5): v := m v - d e w - e g; w := w + v.

    `torch.optim.SGD` stores the velocity without the learning rate e, so a change of e also rescales the
    steps accumulated so far. In the paper and in Caffe, these steps keep their size. At a constant rate, both
    rules agree. This class stores the velocity as torch does, divided by -e, and rescales it when e changes.
    """

    def __init__(self, parameters: Iterable[Any], lr: float, **options: Any) -> None:
        super().__init__(parameters, lr, **options)
        for group in self.param_groups:
            group["velocity_lr"] = group["lr"]

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Update every parameter that has a gradient."""
        momenta = [group["momentum"] for group in self.param_groups]
        for group in self.param_groups:
            before, rate = group["velocity_lr"], group["lr"]
            if rate > 0 and rate != before:
                self._rescale(group, before / rate)
                group["velocity_lr"] = rate
        loss: float | None = super().step(closure)
        for group, momentum in zip(self.param_groups, momenta, strict=True):
            group["momentum"] = momentum
        return loss

    def _rescale(self, group: dict[str, Any], scale: float) -> None:
        """Rescale the velocities; without Nesterov, scaling the momentum of the next step has this effect."""
        if not group["nesterov"]:
            group["momentum"] *= scale
            return
        states = (self.state[p] for p in group["params"] if p in self.state)
        velocities = [s["momentum_buffer"] for s in states if s.get("momentum_buffer") is not None]
        if velocities:
            torch._foreach_mul_(velocities, scale)


def make_optimizer(module: nn.Module, recipe: Optimizer) -> torch.optim.Optimizer:
    """Return a recipe's optimizer for all trainable parameters, with torch's fused kernel if there is one."""
    options = recipe.model_dump(exclude={"kind", *Optimizer.model_fields} - {"lr"})
    make = pkgutil.resolve_name(recipe.torch)
    devices = {p.device.type for p in module.parameters()}
    if recipe.fused and devices <= FUSED_DEVICES and not (is_sharded(module) and make is Momentum):
        options["fused"] = True  # SGD's fused kernel does not support sharded weights
    optimizer: torch.optim.Optimizer = make(list(parameter_groups(module, recipe)), **options)
    return optimizer


def parameter_groups(module: nn.Module, recipe: Optimizer) -> Iterator[dict[str, Any]]:
    """Group a module's trainable parameters by weight decay and learning rate and yield the groups."""
    groups: dict[tuple[float, float], list[Tensor]] = {}
    seen: set[Tensor] = set()
    for owner in module.modules():
        for name, parameter in owner.named_parameters(recurse=False):
            if parameter.requires_grad and parameter not in seen:
                seen.add(parameter)
                groups.setdefault(decay_and_scale(owner, name, recipe), []).append(parameter)
    for (decay, scale), parameters in groups.items():
        yield {"params": parameters, "weight_decay": decay, "lr": recipe.lr * scale}


def decay_and_scale(owner: nn.Module, name: str, recipe: Optimizer) -> tuple[float, float]:
    """Return the weight decay of a parameter, and the factor by which its learning rate is multiplied."""
    bias = name.endswith("bias")
    if isinstance(owner, NORMS) or "Norm" in type(owner).__name__:
        decay = recipe.norm_weight_decay
    elif bias:
        decay = recipe.bias_weight_decay
    elif not name.endswith("weight"):
        decay = recipe.embedding_weight_decay
    else:
        decay = None
    return recipe.weight_decay if decay is None else decay, recipe.bias_lr if bias else 1.0


class LearningRate:
    """Sets the optimizer's learning rate before each step, according to the recipe's schedule."""

    def __init__(self, optimizer: torch.optim.Optimizer, recipe: Recipe, steps_per_epoch: int) -> None:
        self.optimizer, self.recipe, self.steps_per_epoch = optimizer, recipe, steps_per_epoch
        self.base = [group["lr"] for group in optimizer.param_groups]
        self.best, self.waited, self.drops = float("inf"), 0, 0

    def before_step(self, step: int) -> None:
        """Set the learning rate for a step, 0-based over the whole run."""
        scale = self.recipe.schedule.scale(Moment(step, self.steps_per_epoch, self.recipe.epochs, self.drops))
        for group, base in zip(self.optimizer.param_groups, self.base, strict=True):
            group["lr"] = base * scale

    def after_epoch(self, error: float) -> None:
        """Record an epoch's validation error, on which the schedule `plateau` depends."""
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
    def current(self) -> float:
        """The learning rate of the first parameter group."""
        return float(self.optimizer.param_groups[0]["lr"])

    def state_dict(self) -> dict[str, float]:
        """Return the state for a checkpoint."""
        return {"best": self.best, "waited": self.waited, "drops": self.drops}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state of a checkpoint."""
        self.best, self.waited, self.drops = state["best"], state["waited"], state["drops"]


class WeightAverage:
    """The moving average w' := d w' + (1 - d) w of weights and buffers, updated every `ema_every` steps."""

    def __init__(self, module: nn.Module, decay: float, every: int) -> None:
        self.every = every
        self.averaged = AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)

    @classmethod
    def of(cls, module: nn.Module, recipe: Recipe) -> WeightAverage | None:
        """Return the weight average if the recipe has `ema`, otherwise None."""
        return None if recipe.ema is None else cls(module, recipe.ema, recipe.ema_every)

    @property
    def module(self) -> nn.Module:
        """The module with the averaged weights."""
        module: nn.Module = self.averaged.module
        return module

    def update(self, module: nn.Module, step: int) -> None:
        """Update the average after a step (1-based) if an update is due."""
        if step % self.every == 0:
            self.averaged.update_parameters(module)
