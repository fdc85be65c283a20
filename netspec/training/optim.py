"""A recipe's optimizer, over groups of parameters that share rates and decays, as torch runs it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, overload

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.optim import Optimizer

from netspec.recipe.optimizers import AdaGrad, Adam, AdamW, NAdam, RAdam, RmsProp, Sgd, Update
from netspec.training.sharding import sharded

FUSED = ("cpu", "cuda", "mps")
NORMS = (_NormBase, nn.GroupNorm, nn.LayerNorm, nn.LocalResponseNorm)


class Momentum(torch.optim.SGD):
    """Krizhevsky et al.'s update (2012, section 5): v := m v - d e w - e g; w := w + v.

    `torch.optim.SGD` keeps the velocity without the rate e, so that a lower rate shrinks the steps already
    under way; here they keep their size, as in the paper and in Caffe. At a constant rate the two agree. The
    velocity is kept as torch keeps it, divided by -e, and follows when the rate moves.
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
                self._follow(group, before / rate)
                group["velocity_lr"] = rate
        loss: float | None = super().step(closure)
        for group, momentum in zip(self.param_groups, momenta, strict=True):
            group["momentum"] = momentum
        return loss

    def _follow(self, group: dict[str, Any], scale: float) -> None:
        """Scale the velocities: for one step by the momentum itself, which costs no pass over them."""
        if not group["nesterov"]:
            group["momentum"] *= scale
            return
        states = (self.state[p] for p in group["params"] if p in self.state)
        velocities = [s["momentum_buffer"] for s in states if s.get("momentum_buffer") is not None]
        if velocities:
            torch._foreach_mul_(velocities, scale)


TORCH: dict[type[Update], type[Optimizer]] = {
    Sgd: Momentum,
    Adam: torch.optim.Adam,
    AdamW: torch.optim.AdamW,
    NAdam: torch.optim.NAdam,
    RAdam: torch.optim.RAdam,
    RmsProp: torch.optim.RMSprop,
    AdaGrad: torch.optim.Adagrad,
}


FUSING = (Momentum, torch.optim.Adam, torch.optim.AdamW)


def make_optimizer(module: nn.Module, recipe: Update) -> Optimizer:
    """The recipe's optimizer over every parameter that learns, fused into one kernel where torch can.

    A parameter group holds those of one kind: weights, biases, affine parameters of normalisations, and raw
    tensors.
    """
    shared = set(Update.model_fields)
    options = recipe.model_dump(exclude={"kind", *shared})
    make = TORCH[type(recipe)]
    devices = {p.device.type for p in module.parameters()}
    able = (torch.optim.Adam, torch.optim.AdamW) if sharded(module) else FUSING
    if make in able and devices <= {*FUSED}:
        options["fused"] = True
    return make(list(groups(module, recipe)), **options)


def groups(module: nn.Module, recipe: Update) -> Iterator[dict[str, Any]]:
    """The parameter groups of a module, those that would be alike as one."""
    kinds: dict[tuple[float, float], list[Tensor]] = {}
    seen: set[Tensor] = set()
    for owner in module.modules():
        for name, parameter in owner.named_parameters(recurse=False):
            if parameter.requires_grad and parameter not in seen:
                seen.add(parameter)
                kinds.setdefault(treatment(owner, name, recipe), []).append(parameter)
    for (decay, rate), parameters in kinds.items():
        yield {"params": parameters, "weight_decay": decay, "lr": recipe.lr * rate}  # type: ignore[attr-defined]


def treatment(owner: nn.Module, name: str, recipe: Update) -> tuple[float, float]:
    """The weight decay of a parameter, and by what its learning rate is multiplied."""
    bias = name.endswith("bias")
    if isinstance(owner, NORMS) or "Norm" in type(owner).__name__:
        chosen = recipe.norm_weight_decay
    elif bias:
        chosen = recipe.bias_weight_decay
    elif not name.endswith("weight"):
        chosen = recipe.embedding_weight_decay
    else:
        chosen = None
    return recipe.weight_decay if chosen is None else chosen, recipe.bias_lr if bias else 1.0
