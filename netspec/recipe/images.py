"""The augmentations and normalizations of recipes, as classes that name their implementations.

The implementations are functions in `netspec.transforms`, named as "module:function", so that torch is
imported only when they are used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeAlias, Union

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from netspec.recipe.parts import Part, Positive, Probability
from netspec.registry import Registry, class_attributes

AUGMENTATIONS: Registry[type[Augmentation]] = Registry("augmentation")
NORMALIZATIONS: Registry[type[Normalization]] = Registry("normalization")

CROPS, BATCHES = "netspec.transforms.crops", "netspec.transforms.augment"
STATISTICS = "netspec.transforms.normalize"


class Augmentation(Part):
    """A random change to training images. Defining a subclass with a `kind` registers it.

    A subclass names a function for each stage in which it can be applied. For image files, the first of the
    stages `window`, `photo` and `batch` that it names is used. For images in memory, `batch` is used if it is
    named, since it is the fastest.

    Args:
        window: Cuts a window out of an image, as `netspec.transforms.crops.random_crop` does.
        photo: Changes one 8-bit image, as `netspec.transforms.crops.mirror` does.
        batch: Changes normalized images on the device, as `netspec.transforms.augment.flip` does.
        mix: Blends the images of a batch and their labels, as `netspec.transforms.augment.mixup` does.
        rescales: Whether the window is resized; then no mean image can be subtracted pixel by pixel.
        uses_colours: Whether it needs RGB images and the principal components of their colours.
    """

    if TYPE_CHECKING:
        window: ClassVar[str]
        photo: ClassVar[str]
        batch: ClassVar[str]
        mix: ClassVar[str]
        rescales: ClassVar[bool]
        uses_colours: ClassVar[bool]

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        AUGMENTATIONS.add(cls.model_fields["kind"].default, cls)

    @property
    def name(self) -> str:
        """The name in recipes."""
        return str(type(self).model_fields["kind"].default)

    @property
    def margin(self) -> int:
        """The number of pixels by which the window may extend beyond the image."""
        return 0


class_attributes(Augmentation, window="", photo="", batch="", mix="", rescales=False, uses_colours=False)


class Normalization(Part):
    """A rule for normalizing pixel values in [0, 255]. Defining a subclass with a `kind` registers it.

    Args:
        function: Returns the Preprocessing for the rule, as `netspec.transforms.normalize.mean_std` does.
        measures: What must be measured on the training set: nothing, its colours, or its mean image.
        per_pixel: Whether each pixel can have its own mean.
    """

    if TYPE_CHECKING:
        function: ClassVar[str]
        measures: ClassVar[Literal["nothing", "colours", "mean image"]]
        per_pixel: ClassVar[bool]

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        NORMALIZATIONS.add(cls.model_fields["kind"].default, cls)


class_attributes(Normalization, function="", measures="nothing", per_pixel=False)


def _in_order(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] > bounds[1]:
        raise PydanticCustomError("order", "must have its lower bound first")
    return bounds


class Flip(Augmentation):
    """Mirror a training image with probability `p`."""

    kind: Literal["flip"] = "flip"
    photo = f"{CROPS}:mirror"
    batch = f"{BATCHES}:flip"
    p: Probability = 0.5


class Lighting(Augmentation):
    """Shift colours along the principal components of the data set (Krizhevsky et al., 2012, 4.1)."""

    kind: Literal["lighting"] = "lighting"
    batch = f"{BATCHES}:lighting"
    uses_colours = True
    sigma: Positive = 0.1


class Crop(Augmentation):
    """Pad each side with `padding` black pixels, then crop to the input's size at a random position."""

    kind: Literal["crop"] = "crop"
    window = f"{CROPS}:random_crop"
    batch = f"{BATCHES}:shift"
    padding: Annotated[int, Field(gt=0, le=1024)] = 4

    @property
    def margin(self) -> int:
        return self.padding


class RandomResizedCrop(Augmentation):
    """Crop a random window of the image and resize it to the network's input (Szegedy et al., 2015).

    `scale` is the range of the window's area, as a fraction of the image's area. `ratio` is the range of its
    width divided by its height.
    """

    kind: Literal["random_resized_crop"] = "random_resized_crop"
    window = f"{CROPS}:random_resized_crop"
    rescales = True
    scale: Annotated[tuple[Probability, Probability], AfterValidator(_in_order)] = (0.08, 1.0)
    ratio: Annotated[tuple[Positive, Positive], AfterValidator(_in_order)] = (3 / 4, 4 / 3)


class RandAugment(Augmentation):
    """Apply `ops` random transforms of the same `magnitude`, from 0 to 30 (Cubuk et al., 2020)."""

    kind: Literal["rand_augment"] = "rand_augment"
    photo = f"{CROPS}:rand_augment"
    ops: Annotated[int, Field(gt=0, le=16)] = 2
    magnitude: Annotated[int, Field(ge=0, le=30)] = 9


class TrivialAugment(Augmentation):
    """Apply one random transform of a random magnitude (Mueller and Hutter, 2021)."""

    kind: Literal["trivial_augment"] = "trivial_augment"
    photo = f"{CROPS}:trivial_augment"


class AutoAugment(Augmentation):
    """Apply pairs of transforms drawn from a list learned on the data set `policy` (Cubuk et al., 2019)."""

    kind: Literal["auto_augment"] = "auto_augment"
    photo = f"{CROPS}:auto_augment"
    policy: Literal["imagenet", "cifar10", "svhn"] = "imagenet"


class RandomErasing(Augmentation):
    """Set a random box of the normalized image to zero, with probability `p` (Zhong et al., 2020).

    The box covers 2 to 33 per cent of the image. Its height divided by its width is from 0.3 to 3.3.
    """

    kind: Literal["random_erasing"] = "random_erasing"
    batch = f"{BATCHES}:erase"
    p: Probability = 0.1


class Mixup(Augmentation):
    """Blend each image and its label with the previous image of the batch and its label (Zhang et al., 2018).

    The weight of each image is drawn from Beta(alpha, alpha) once per batch.
    """

    kind: Literal["mixup"] = "mixup"
    mix = f"{BATCHES}:mixup"
    alpha: Positive = 0.2


class Cutmix(Augmentation):
    """Paste a box of another image of the batch into each image, and blend labels by area (Yun et al., 2019).

    The fraction of each image that remains is drawn from Beta(alpha, alpha) once per batch.
    """

    kind: Literal["cutmix"] = "cutmix"
    mix = f"{BATCHES}:cutmix"
    alpha: Positive = 1.0


class Raw(Normalization):
    """Leave pixel values in [0, 255] unchanged."""

    kind: Literal["none"] = "none"
    function = f"{STATISTICS}:unchanged"


class Scale(Normalization):
    """Multiply pixel values in [0, 255] by `factor`."""

    kind: Literal["scale"] = "scale"
    function = f"{STATISTICS}:scale"
    factor: Positive


class Mean(Normalization):
    """Subtract each channel's mean over the training set from pixel values in [0, 255]."""

    kind: Literal["mean"] = "mean"
    function = f"{STATISTICS}:mean"
    measures = "colours"


class MeanStd(Normalization):
    """Subtract each channel's mean over the training set and divide by its standard deviation."""

    kind: Literal["mean_std"] = "mean_std"
    function = f"{STATISTICS}:mean_std"
    measures = "colours"


class MeanImage(Normalization):
    """Subtract the training set's mean image from pixel values in [0, 255] (Krizhevsky et al., 2012)."""

    kind: Literal["mean_image"] = "mean_image"
    function = f"{STATISTICS}:mean_image"
    measures = "mean image"
    per_pixel = True


class MeanFile(Normalization):
    """Subtract the mean in a .npy file, of shape C x H x W or C, from pixel values in [0, 255].

    `order` is the order of the file's channels. The default is that of Caffe's `ilsvrc_2012_mean.npy`.
    """

    kind: Literal["mean_file"] = "mean_file"
    function = f"{STATISTICS}:mean_file"
    per_pixel = True
    path: Annotated[str, Field(max_length=4096)]
    order: Literal["bgr", "rgb"] = "bgr"


class ImageNet(Normalization):
    """Scale pixel values to [0, 1] and normalize with ImageNet's mean and standard deviation."""

    kind: Literal["imagenet"] = "imagenet"
    function = f"{STATISTICS}:imagenet"


if TYPE_CHECKING:
    Augment: TypeAlias = Augmentation
    Normalize: TypeAlias = Normalization
else:  # any of the registered classes, chosen by its `kind`
    Augment = Annotated[Union[tuple(AUGMENTATIONS.values())], Field(discriminator="kind")]  # noqa: UP007
    Normalize = Annotated[Union[tuple(NORMALIZATIONS.values())], Field(discriminator="kind")]  # noqa: UP007
