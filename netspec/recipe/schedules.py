"""The schedules that a recipe can name: how the learning rate moves through a run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, PositiveInt

from netspec.recipe.parts import Factor, NonNegative, Part, Positive


@dataclass(frozen=True)
class Moment:
    """Where a run stands: `step` steps are done, and validation has called for `drops` drops."""

    step: int
    steps_per_epoch: int
    epochs: int
    drops: int = 0

    @property
    def epoch(self) -> int:
        """The epoch that the next step belongs to, from 0."""
        return self.step // self.steps_per_epoch

    @property
    def steps(self) -> int:
        """The steps of the whole run."""
        return self.epochs * self.steps_per_epoch


class Policy(Part):
    """A schedule: how the learning rate moves through a run."""

    def scale(self, at: Moment) -> float:
        """By what the recipe's learning rate is multiplied at a moment."""
        raise NotImplementedError


class Constant(Policy):
    """Leave the learning rate as it is."""

    kind: Literal["constant"] = "constant"

    def scale(self, at: Moment) -> float:
        return 1.0


class Plateau(Policy):
    """Multiply by `factor` when top-1 error has not improved for `patience` epochs, at most `drops` times."""

    kind: Literal["plateau"] = "plateau"
    factor: Factor = 0.1
    drops: PositiveInt = 3
    patience: PositiveInt = 5

    def scale(self, at: Moment) -> float:
        return float(self.factor**at.drops)


class Step(Policy):
    """Multiply by `factor` every `size` epochs."""

    kind: Literal["step"] = "step"
    size: PositiveInt
    factor: Factor = 0.1

    def scale(self, at: Moment) -> float:
        return float(self.factor ** (at.epoch // self.size))


class Multistep(Policy):
    """Multiply by `factor` at the start of each epoch named in `milestones`, counted from 0."""

    kind: Literal["multistep"] = "multistep"
    milestones: tuple[PositiveInt, ...]
    factor: Factor = 0.1

    def scale(self, at: Moment) -> float:
        return float(self.factor ** sum(at.epoch >= milestone for milestone in self.milestones))


class Inv(Policy):
    """Caffe's `inv` policy: (1 + gamma * step) ** -power."""

    kind: Literal["inv"] = "inv"
    gamma: NonNegative
    power: NonNegative

    def scale(self, at: Moment) -> float:
        return float((1 + self.gamma * at.step) ** -self.power)


class Poly(Policy):
    """Caffe's `poly` policy: (1 - step / steps) ** power, which ends at zero."""

    kind: Literal["poly"] = "poly"
    power: Positive = 1.0

    def scale(self, at: Moment) -> float:
        return float((1 - min(at.step / at.steps, 1)) ** self.power)


class Cosine(Policy):
    """Half a cosine down to zero (Loshchilov and Hutter, 2017), after `warmup` epochs of linear rise."""

    kind: Literal["cosine"] = "cosine"
    warmup: NonNegative = 0.0

    def scale(self, at: Moment) -> float:
        rise = self.warmup * at.steps_per_epoch
        if at.step < rise:
            return (at.step + 1) / (rise + 1)
        return 0.5 * (1 + math.cos(math.pi * min((at.step - rise) / max(at.steps - rise, 1), 1)))


Schedule: TypeAlias = Annotated[
    Constant | Plateau | Step | Multistep | Inv | Poly | Cosine, Field(discriminator="kind")
]
