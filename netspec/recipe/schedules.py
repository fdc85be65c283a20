"""The schedules that a recipe can name: how the learning rate moves through a run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, PositiveInt

from netspec.recipe.parts import Factor, NonNegative, Part, Positive

Unit: TypeAlias = Literal["epochs", "steps"]


@dataclass(frozen=True)
class Moment:
    """Where a run stands: `step` steps are done, and validation has called for `drops` drops."""

    step: int
    steps_per_epoch: int
    epochs: int
    drops: int = 0

    @property
    def epoch(self) -> float:
        """The epochs done before the next step, a part of one included."""
        return self.step / self.steps_per_epoch

    @property
    def steps(self) -> int:
        """The steps of the whole run."""
        return self.epochs * self.steps_per_epoch

    def done(self, unit: Unit) -> float:
        """The epochs or steps that are done."""
        return self.epoch if unit == "epochs" else self.step


class Policy(Part):
    """A schedule, after a rise over `warmup` epochs from the share `warmup_start` of the rate to all of it.

    Epochs and steps that a schedule names count from the start of the run (Goyal et al., 2017); one that ends
    with the run, such as a cosine, spans what the rise leaves.
    """

    warmup: NonNegative = 0.0
    warmup_start: Annotated[float, Field(ge=0, le=1)] = 0.0

    def scale(self, at: Moment) -> float:
        """By what the recipe's learning rate is multiplied at a moment."""
        rise = self.warmup * at.steps_per_epoch
        if at.step < rise:
            risen = (at.step + 1) / (rise + 1)
            return self.warmup_start + (1 - self.warmup_start) * risen
        return self.after(at, min((at.step - rise) / max(at.steps - rise, 1), 1.0))

    def after(self, at: Moment, done: float) -> float:
        """The same once the rise is over; `done` is the share of the rest that is done."""
        raise NotImplementedError


class Constant(Policy):
    """Leave the learning rate as it is."""

    kind: Literal["constant"] = "constant"

    def after(self, at: Moment, done: float) -> float:
        return 1.0


class Plateau(Policy):
    """Multiply by `factor` when top-1 error has not improved for `patience` epochs, at most `drops` times."""

    kind: Literal["plateau"] = "plateau"
    factor: Factor = 0.1
    drops: PositiveInt = 3
    patience: PositiveInt = 5

    def after(self, at: Moment, done: float) -> float:
        return float(self.factor**at.drops)


class Step(Policy):
    """Multiply by `factor` every `size` epochs, or steps."""

    kind: Literal["step"] = "step"
    size: Positive
    factor: Factor = 0.1
    unit: Unit = "epochs"

    def after(self, at: Moment, done: float) -> float:
        return float(self.factor ** (at.done(self.unit) // self.size))


class Multistep(Policy):
    """Multiply by `factor` at each of the `milestones`, in epochs or steps that are done."""

    kind: Literal["multistep"] = "multistep"
    milestones: tuple[Positive, ...]
    factor: Factor = 0.1
    unit: Unit = "epochs"

    def after(self, at: Moment, done: float) -> float:
        return float(self.factor ** sum(at.done(self.unit) >= m for m in self.milestones))


class Exponential(Policy):
    """Multiply by `factor` after each epoch."""

    kind: Literal["exponential"] = "exponential"
    factor: Factor

    def after(self, at: Moment, done: float) -> float:
        return float(self.factor ** math.floor(at.epoch))


class Inv(Policy):
    """Caffe's `inv` policy: (1 + gamma * step) ** -power."""

    kind: Literal["inv"] = "inv"
    gamma: NonNegative
    power: NonNegative

    def after(self, at: Moment, done: float) -> float:
        return float((1 + self.gamma * at.step) ** -self.power)


class Poly(Policy):
    """Caffe's `poly` policy: (1 - step / steps) ** power, which ends at zero."""

    kind: Literal["poly"] = "poly"
    power: Positive = 1.0

    def after(self, at: Moment, done: float) -> float:
        return float((1 - done) ** self.power)


class Cosine(Policy):
    """Half a cosine (Loshchilov and Hutter, 2017) down to the share `final` of the rate."""

    kind: Literal["cosine"] = "cosine"
    final: Annotated[float, Field(ge=0, lt=1)] = 0.0

    def after(self, at: Moment, done: float) -> float:
        return self.final + (1 - self.final) * 0.5 * (1 + math.cos(math.pi * done))


class OneCycle(Policy):
    """Up to the rate for the share `pct_start` of the run, and down for the rest (Smith and Topin, 2018).

    It starts at the rate over `div_factor`, and ends at that start over `final_div_factor`; the names and the
    defaults are PyTorch's `OneCycleLR`. The momentum stays as it is.
    """

    kind: Literal["onecycle"] = "onecycle"
    pct_start: Factor = 0.3
    anneal: Literal["cos", "linear"] = "cos"
    div_factor: Annotated[float, Field(ge=1)] = 25.0
    final_div_factor: Annotated[float, Field(ge=1)] = 1e4

    def after(self, at: Moment, done: float) -> float:
        start = 1 / self.div_factor
        end = start / self.final_div_factor
        peak = self.pct_start * at.steps - 1
        if 0 < peak >= at.step:
            return self.between(start, 1.0, at.step / peak)
        return self.between(1.0, end, min((at.step - peak) / max(at.steps - 1 - peak, 1), 1.0))

    def between(self, low: float, high: float, share: float) -> float:
        """The way from one value to another."""
        if self.anneal == "cos":
            share = (1 - math.cos(math.pi * share)) / 2
        return low + (high - low) * share


Schedule: TypeAlias = Annotated[
    Constant | Plateau | Step | Multistep | Exponential | Inv | Poly | Cosine | OneCycle,
    Field(discriminator="kind"),
]
