"""What a recipe can do to images: augmentations and normalisations."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, PositiveInt

from netspec.recipe.parts import Part, Positive


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


Augment: TypeAlias = Annotated[Flip | Lighting | Crop, Field(discriminator="kind")]
Normalize: TypeAlias = Annotated[Raw | Scale | Mean | MeanStd | ImageNet, Field(discriminator="kind")]
