"""What a recipe can name: optimizers, schedules, augmentations, normalisations.

Each is one frozen value whose fields are its arguments, in order. Their arithmetic is here where it is plain
numbers; what needs tensors is under `netspec.run`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

NonNegative: TypeAlias = Annotated[float, Field(ge=0)]
Positive: TypeAlias = Annotated[float, Field(gt=0)]
Momentum: TypeAlias = Annotated[float, Field(ge=0, lt=1)]
Factor: TypeAlias = Annotated[float, Field(gt=0, lt=1)]


class Part(BaseModel):
    """One named choice of a recipe, such as `sgd(lr=0.01)`; its fields are the arguments, in order."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


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


class Flip(Part):
    """Mirror half of the training images."""

    kind: Literal["flip"] = "flip"


class Lighting(Part):
    """Shift colours along ImageNet's principal components (Krizhevsky et al., 2012, section 4.1)."""

    kind: Literal["lighting"] = "lighting"
    sigma: Positive = 0.1


class Crop(Part):
    """Pad with `padding` black pixels on each side and cut the input's size out anywhere: a random shift."""

    kind: Literal["crop"] = "crop"
    padding: PositiveInt = 4


class Raw(Part):
    """Leave pixel values as they are, 0 to 255."""

    kind: Literal["none"] = "none"


class Scale(Part):
    """Multiply pixel values, 0 to 255, by `factor`."""

    kind: Literal["scale"] = "scale"
    factor: Positive


class Mean(Part):
    """Subtract each channel's mean over the training set; values stay in units of 0 to 255."""

    kind: Literal["mean"] = "mean"


class MeanStd(Part):
    """Subtract each channel's mean over the training set and divide by its standard deviation."""

    kind: Literal["mean_std"] = "mean_std"


class ImageNet(Part):
    """Scale to 0 to 1 and normalise with torchvision's ImageNet mean and standard deviation."""

    kind: Literal["imagenet"] = "imagenet"


Optimizer: TypeAlias = Sgd
Schedule: TypeAlias = Annotated[
    Constant | Plateau | Step | Multistep | Inv | Poly | Cosine, Field(discriminator="kind")
]
Augment: TypeAlias = Annotated[Flip | Lighting | Crop, Field(discriminator="kind")]
Normalize: TypeAlias = Annotated[Raw | Scale | Mean | MeanStd | ImageNet, Field(discriminator="kind")]
