"""What a recipe can do to images: augmentations and normalisations."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, Field, PositiveInt
from pydantic_core import PydanticCustomError

from netspec.recipe.parts import Part, Positive

Probability: TypeAlias = Annotated[float, Field(gt=0, le=1)]
Share: TypeAlias = Annotated[float, Field(gt=0, le=1)]


def _in_order(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] > bounds[1]:
        raise PydanticCustomError("order", "must have its lower bound first")
    return bounds


class Flip(Part):
    """Mirror a training image with probability `p`."""

    kind: Literal["flip"] = "flip"
    p: Probability = 0.5


class Lighting(Part):
    """Shift colours along the principal components of the training set's (Krizhevsky et al., 2012, 4.1)."""

    kind: Literal["lighting"] = "lighting"
    sigma: Positive = 0.1


class Crop(Part):
    """Pad with `padding` black pixels on each side and cut the input's size out anywhere: a random shift."""

    kind: Literal["crop"] = "crop"
    padding: PositiveInt = 4


class RandomResizedCrop(Part):
    """Cut a random window out of the whole image, and resize it to the input (Szegedy et al., 2015).

    `scale` bounds the share of the image's area, `ratio` the window's width over its height.
    """

    kind: Literal["random_resized_crop"] = "random_resized_crop"
    scale: Annotated[tuple[Share, Share], AfterValidator(_in_order)] = (0.08, 1.0)
    ratio: Annotated[tuple[Positive, Positive], AfterValidator(_in_order)] = (3 / 4, 4 / 3)


class RandAugment(Part):
    """Apply `ops` random changes of a common `magnitude`, 0 to 30 (Cubuk et al., 2020)."""

    kind: Literal["rand_augment"] = "rand_augment"
    ops: PositiveInt = 2
    magnitude: Annotated[int, Field(ge=0, le=30)] = 9


class TrivialAugment(Part):
    """Apply one random change of a random magnitude (Mueller and Hutter, 2021)."""

    kind: Literal["trivial_augment"] = "trivial_augment"


class AutoAugment(Part):
    """Apply the pairs of changes that were found for a data set (Cubuk et al., 2019)."""

    kind: Literal["auto_augment"] = "auto_augment"
    policy: Literal["imagenet", "cifar10", "svhn"] = "imagenet"


class RandomErasing(Part):
    """Put zeros in place of a random box of the normalised image, with probability `p` (Zhong et al., 2020).

    The box takes 2 to 33 per cent of the area; its height over its width is from 0.3 to 3.3.
    """

    kind: Literal["random_erasing"] = "random_erasing"
    p: Probability = 0.1


class Mixup(Part):
    """Blend each image and its label with its neighbour's, by a share (Zhang et al., 2018).

    The share is drawn from Beta(alpha, alpha), once for a batch.
    """

    kind: Literal["mixup"] = "mixup"
    alpha: Positive = 0.2


class Cutmix(Part):
    """Paste a box of each image's neighbour into it, and blend the labels by its area (Yun et al., 2019)."""

    kind: Literal["cutmix"] = "cutmix"
    alpha: Positive = 1.0


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


class MeanImage(Part):
    """Subtract the training set's mean image pixel by pixel (Krizhevsky et al., 2012); 0 to 255."""

    kind: Literal["mean_image"] = "mean_image"


class MeanFile(Part):
    """Subtract the mean in a .npy file: C x H x W, or C, in units of 0 to 255 and this order of channels.

    The order is Caffe's by default, since its `ilsvrc_2012_mean.npy` is what such files are.
    """

    kind: Literal["mean_file"] = "mean_file"
    path: str
    order: Literal["bgr", "rgb"] = "bgr"


class ImageNet(Part):
    """Scale to 0 to 1 and normalise with torchvision's ImageNet mean and standard deviation."""

    kind: Literal["imagenet"] = "imagenet"


AUGMENTS: tuple[type[Part], ...] = (
    Flip,
    Lighting,
    Crop,
    RandomResizedCrop,
    RandAugment,
    TrivialAugment,
    AutoAugment,
    RandomErasing,
    Mixup,
    Cutmix,
)
NORMALIZATIONS: tuple[type[Part], ...] = (Raw, Scale, Mean, MeanStd, MeanImage, MeanFile, ImageNet)
Augment: TypeAlias = Annotated[
    Flip
    | Lighting
    | Crop
    | RandomResizedCrop
    | RandAugment
    | TrivialAugment
    | AutoAugment
    | RandomErasing
    | Mixup
    | Cutmix,
    Field(discriminator="kind"),
]
Normalize: TypeAlias = Annotated[
    Raw | Scale | Mean | MeanStd | ImageNet | MeanImage | MeanFile, Field(discriminator="kind")
]
