"""The learning rate schedules that a recipe can name."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import Field

from netspec.recipe.parts import MAX_ITEMS, MAX_VALUE, Count, Factor, NonNegative, Part, Positive, kind_of
from netspec.registry import Registry, class_attributes

Unit: TypeAlias = Literal["epochs", "steps"]


@dataclass(frozen=True)
class Moment:
    """A point in a run: `step` steps are done, and `plateau` has lowered the rate `drops` times."""

    step: int
    steps_per_epoch: int
    epochs: int
    drops: int = 0

    @property
    def epoch(self) -> float:
        """The number of epochs done, including a fraction of the current one."""
        return self.step / self.steps_per_epoch

    @property
    def steps(self) -> int:
        """The number of steps in the whole run."""
        return self.epochs * self.steps_per_epoch

    def done(self, unit: Unit) -> float:
        """Return the number of epochs or steps done."""
        return self.epoch if unit == "epochs" else self.step


SCHEDULES: Registry[type[Schedule]] = Registry("schedule")


class Schedule(Part):
    """A learning rate schedule, after a linear warmup.

    Over `warmup` epochs, the rate rises from the fraction `warmup_start` of the recipe's rate to the full
    rate. Epochs and steps in a schedule's arguments are counted from the start of the run (Goyal et al.,
    2017). Schedules that end with the run, such as cosine, begin after the warmup and cover the rest of the
    run. Defining a subclass with a `kind` registers it.
    """

    if TYPE_CHECKING:
        ends_with_run: ClassVar[bool]
        """Whether the rate depends on the length of the run."""

    warmup: NonNegative = 0.0
    warmup_start: Annotated[float, Field(ge=0, le=1)] = 0.0

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        SCHEDULES.add(kind_of(cls), cls)

    def scale(self, at: Moment) -> float:
        """Return the factor by which the recipe's learning rate is multiplied."""
        rise = self.warmup * at.steps_per_epoch
        if at.step < rise:
            risen = (at.step + 1) / (rise + 1)
            return self.warmup_start + (1 - self.warmup_start) * risen
        return self.after_warmup(at, min((at.step - rise) / max(at.steps - rise, 1), 1.0))

    def after_warmup(self, at: Moment, progress: float) -> float:
        """Return the factor after the warmup; `progress` is the completed fraction of the rest of the run."""
        raise NotImplementedError


class_attributes(Schedule, ends_with_run=False)


class Constant(Schedule):
    """Keep the learning rate constant."""

    kind: Literal["constant"] = "constant"

    def after_warmup(self, at: Moment, progress: float) -> float:
        return 1.0


class Plateau(Schedule):
    """Multiply by `factor` after `patience` epochs without a lower top-1 error, at most `drops` times."""

    kind: Literal["plateau"] = "plateau"
    factor: Factor = 0.1
    drops: Count = 3
    patience: Count = 5

    def after_warmup(self, at: Moment, progress: float) -> float:
        return float(self.factor**at.drops)


class Step(Schedule):
    """Multiply by `factor` every `size` epochs, or every `size` steps."""

    kind: Literal["step"] = "step"
    size: Positive
    factor: Factor = 0.1
    unit: Unit = "epochs"

    def after_warmup(self, at: Moment, progress: float) -> float:
        return float(self.factor ** (at.done(self.unit) // self.size))


class Multistep(Schedule):
    """Multiply by `factor` after each of the `milestones`, counted in epochs or steps."""

    kind: Literal["multistep"] = "multistep"
    milestones: Annotated[tuple[Positive, ...], Field(max_length=MAX_ITEMS)]
    factor: Factor = 0.1
    unit: Unit = "epochs"

    def after_warmup(self, at: Moment, progress: float) -> float:
        return float(self.factor ** sum(at.done(self.unit) >= m for m in self.milestones))


class Exponential(Schedule):
    """Multiply by `factor` after each epoch."""

    kind: Literal["exponential"] = "exponential"
    factor: Factor

    def after_warmup(self, at: Moment, progress: float) -> float:
        return float(self.factor ** math.floor(at.epoch))


class Inv(Schedule):
    """Caffe's `inv` policy: (1 + gamma * step) ** -power."""

    kind: Literal["inv"] = "inv"
    gamma: NonNegative
    power: NonNegative

    def after_warmup(self, at: Moment, progress: float) -> float:
        return float((1 + self.gamma * at.step) ** -self.power)


class Poly(Schedule):
    """Caffe's `poly` policy: (1 - step / steps) ** power, which falls to 0."""

    ends_with_run = True
    kind: Literal["poly"] = "poly"
    power: Positive = 1.0

    def after_warmup(self, at: Moment, progress: float) -> float:
        return float((1 - progress) ** self.power)


class Cosine(Schedule):
    """Follow half a cosine (Loshchilov and Hutter, 2017), down to the fraction `final` of the rate."""

    ends_with_run = True
    kind: Literal["cosine"] = "cosine"
    final: Annotated[float, Field(ge=0, lt=1)] = 0.0

    def after_warmup(self, at: Moment, progress: float) -> float:
        return self.final + (1 - self.final) * 0.5 * (1 + math.cos(math.pi * progress))


class OneCycle(Schedule):
    """Follow one cycle (Smith and Topin, 2018): rise to the rate, then fall for the rest of the run.

    The rise takes the fraction `pct_start` of the run and starts at the rate divided by `div_factor`. The
    descent ends at the starting rate divided by `final_div_factor`. Names and defaults are those of PyTorch's
    `OneCycleLR`, but the momentum stays constant.
    """

    ends_with_run = True
    kind: Literal["onecycle"] = "onecycle"
    pct_start: Factor = 0.3
    anneal: Literal["cos", "linear"] = "cos"
    div_factor: Annotated[float, Field(ge=1, le=MAX_VALUE)] = 25.0
    final_div_factor: Annotated[float, Field(ge=1, le=MAX_VALUE)] = 1e4

    def after_warmup(self, at: Moment, progress: float) -> float:
        start = 1 / self.div_factor
        end = start / self.final_div_factor
        peak = self.pct_start * at.steps - 1
        if 0 < peak >= at.step:
            return self._interpolate(start, 1.0, at.step / peak)
        return self._interpolate(1.0, end, min((at.step - peak) / max(at.steps - 1 - peak, 1), 1.0))

    def _interpolate(self, low: float, high: float, fraction: float) -> float:
        """Return a value between `low` and `high`, on a straight line or a cosine."""
        if self.anneal == "cos":
            fraction = (1 - math.cos(math.pi * fraction)) / 2
        return low + (high - low) * fraction
