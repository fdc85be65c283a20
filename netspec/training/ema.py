"""An exponential moving average of a network's weights, which often scores better than the weights."""

from __future__ import annotations

from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from netspec.recipe import Recipe


class Average:
    """The average w' := d w' + (1 - d) w, taken every so many steps, buffers included."""

    def __init__(self, module: nn.Module, decay: float, every: int) -> None:
        self.every = every
        self.averaged = AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)

    @classmethod
    def of(cls, module: nn.Module, recipe: Recipe) -> Average | None:
        """The average that a recipe asks for."""
        return None if recipe.ema is None else cls(module, recipe.ema, recipe.ema_every)

    @property
    def module(self) -> nn.Module:
        """The network with the averaged weights."""
        module: nn.Module = self.averaged.module
        return module

    def see(self, module: nn.Module, step: int) -> None:
        """Take the weights into account after step number `step`, counted from 1."""
        if step % self.every == 0:
            self.averaged.update_parameters(module)
