"""The optimizers that a recipe can name."""

from __future__ import annotations

from typing import Literal, TypeAlias

from netspec.recipe.parts import Momentum, NonNegative, Part, Positive


class Sgd(Part):
    """Stochastic gradient descent with momentum, as Krizhevsky et al. (2012), section 5, write it."""

    kind: Literal["sgd"] = "sgd"
    lr: Positive
    momentum: Momentum = 0.0
    weight_decay: NonNegative = 0.0
    nesterov: bool = False

    @property
    def state_per_parameter(self) -> int:
        """How many floats the optimizer keeps for each parameter."""
        return 1 if self.momentum else 0


Optimizer: TypeAlias = Sgd
