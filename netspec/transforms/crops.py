"""Crops of image files: random windows and augmentation for training, fixed crops for validation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from math import exp, log, sqrt
from random import Random
from typing import Literal, Protocol, TypeAlias

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import pad
from torchvision.transforms import v2

from netspec.recipe import Recipe
from netspec.recipe.images import (
    Augmentation,
    AutoAugment,
    Flip,
    RandAugment,
    RandomResizedCrop,
    TrivialAugment,
)
from netspec.registry import resolve
from netspec.transforms.pixels import Box, Interpolation, Pixels, centred, cut, resized_shape, window
from netspec.transforms.seeds import seeded

View: TypeAlias = Literal["center_crop", "ten_crop"]
"""The crops of an image that are evaluated."""
Place: TypeAlias = tuple[int, int, int]
"""The position of a crop in the resized centre square: top, left, and 1 if mirrored, otherwise 0."""

TRIES = 10
"""The number of random windows that torchvision tries before it uses the centre."""


class PhotoView(Protocol):
    """A function that cuts crops out of an image."""

    @property
    def crops(self) -> int:
        """The number of crops of each image."""

    def __call__(self, photo: Pixels, seed: int) -> tuple[list[Tensor], list[Place]]:
        """Return crops (uint8 H x W x 3) and their positions; random choices depend only on `seed`."""


@dataclass(frozen=True)
class Stages:
    """A recipe's augmentations, by the stage in which a data set applies them.

    `window` and `photo` change images one by one before normalization; `batch` changes normalized batches.
    Each augmentation is in one stage, except MixUp and CutMix, which the training loop applies.
    """

    window: Augmentation | None
    photo: tuple[Augmentation, ...]
    batch: tuple[Augmentation, ...]

    @classmethod
    def of(cls, recipe: Recipe, *, in_memory: bool = False) -> Stages:
        """Return a recipe's augmentations by stage, for image files or for images in memory."""
        batch = [s for s in recipe.augment if s.batch and (in_memory or not (s.window or s.photo))]
        others = [s for s in recipe.augment if s not in batch and not s.mix]
        window = next((s for s in others if s.window), None)
        return cls(window, tuple(s for s in others if not s.window), tuple(batch))

    @property
    def one_by_one(self) -> bool:
        """Whether any augmentation changes images one by one."""
        return bool(self.window or self.photo)


@dataclass(frozen=True)
class Cut:
    """A crop, uint8 H x W x C, and its position in the resized centre square."""

    pixels: Tensor
    top: int = 0
    left: int = 0
    mirrored: bool = False


class TrainingView:
    """Cuts a random window out of an image, then applies the per-image augmentations in order.

    If no augmentation chooses the window, it is chosen as in Krizhevsky et al. (2012): the short side is
    resized to `resize`, and the window can be anywhere in the centre square.
    """

    crops = 1

    def __init__(self, recipe: Recipe, resize: int, size: tuple[int, int]) -> None:
        self.stages, self.resize, self.size = Stages.of(recipe), resize, size

    @property
    def margin(self) -> int:
        """The number of pixels by which a crop may extend beyond the centre square."""
        return self.stages.window.margin if self.stages.window else 0

    def __call__(self, photo: Pixels, seed: int) -> tuple[list[Tensor], list[Place]]:
        random, step = Random(seed), self.stages.window
        chosen = resolve(step.window) if step else random_crop
        result = change(self.stages, chosen(step, photo, self.resize, self.size, random), random)
        return [result.pixels], [(result.top, result.left, int(result.mirrored))]


def change(stages: Stages, crop: Cut, random: Random) -> Cut:
    """Return a crop after the per-image augmentations."""
    for step in stages.photo:
        crop = resolve(step.photo)(step, crop, random)
    return crop


# Windows


def random_crop(
    step: Augmentation | None, photo: Pixels, resize: int, size: tuple[int, int], random: Random
) -> Cut:
    """Return a random crop of the resized centre square, which is padded with black by the step's margin."""
    margin = step.margin if step else 0
    room = [resize + 2 * margin - side for side in size]
    top, left = (random.randrange(r + 1) - margin for r in room)
    square = centred(resized_shape(photo.shape[:2], resize), (resize, resize))
    height, width = size
    above, before = max(-top, 0), max(-left, 0)
    below, after = max(top + height - resize, 0), max(left + width - resize, 0)
    corner = (square.top + top + above, square.left + left + before)
    inside = window(photo, resize, Box(*corner, height - above - below, width - before - after))
    outside = above + before + below + after
    return Cut(pad(inside, (0, 0, before, after, above, below)) if outside else inside, top, left)


def random_resized_crop(
    step: RandomResizedCrop, photo: Pixels, resize: int, size: tuple[int, int], random: Random
) -> Cut:
    """Return a window of random area and aspect ratio, cut from the whole image and resized to `size`."""
    return Cut(cut(photo, random_window(photo.shape[:2], step, random), size))


def random_window(shape: tuple[int, int], step: RandomResizedCrop, random: Random) -> Box:
    """Return a window of random area and aspect ratio, chosen as in torchvision's RandomResizedCrop."""
    height, width = shape
    for _ in range(TRIES):
        area = height * width * random.uniform(*step.scale)
        ratio = exp(random.uniform(log(step.ratio[0]), log(step.ratio[1])))
        across, down = round(sqrt(area * ratio)), round(sqrt(area / ratio))
        if 0 < across <= width and 0 < down <= height:
            return Box(
                random.randrange(height - down + 1), random.randrange(width - across + 1), down, across
            )
    across, down = width, height
    if width / height < step.ratio[0]:
        down = round(width / step.ratio[0])
    elif width / height > step.ratio[1]:
        across = round(height * step.ratio[1])
    return Box((height - down) // 2, (width - across) // 2, down, across)


# Per-image augmentations


def mirror(step: Flip, crop: Cut, random: Random) -> Cut:
    """Return a crop, mirrored with probability `p`."""
    if random.random() >= step.p:
        return crop
    # torch flips N x C x H x W in channels_last format much faster than H x W x C.
    pixels = crop.pixels[None].permute(0, 3, 1, 2).flip(-1)[0].permute(1, 2, 0)
    return replace(crop, pixels=pixels, mirrored=not crop.mirrored)


def rand_augment(step: RandAugment, crop: Cut, random: Random) -> Cut:
    """Return a crop after torchvision's RandAugment."""
    return by_torchvision(_rand_augment(step), crop, random)


def trivial_augment(step: TrivialAugment, crop: Cut, random: Random) -> Cut:
    """Return a crop after torchvision's TrivialAugmentWide."""
    return by_torchvision(_trivial_augment(step), crop, random)


def auto_augment(step: AutoAugment, crop: Cut, random: Random) -> Cut:
    """Return a crop after torchvision's AutoAugment."""
    return by_torchvision(_auto_augment(step), crop, random)


@cache
def _rand_augment(step: RandAugment) -> v2.Transform:
    return v2.RandAugment(step.ops, step.magnitude)


@cache
def _trivial_augment(step: TrivialAugment) -> v2.Transform:
    return v2.TrivialAugmentWide()


@cache
def _auto_augment(step: AutoAugment) -> v2.Transform:
    return v2.AutoAugment(v2.AutoAugmentPolicy(step.policy))


def by_torchvision(transform: Callable[[Image.Image], Image.Image], crop: Cut, random: Random) -> Cut:
    """Apply a torchvision transform to a crop with one or three channels.

    The transform gets a Pillow image, which on one core is several times as fast as a tensor.
    """
    pixels = crop.pixels
    image = Image.fromarray((pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).contiguous().numpy())
    with seeded(random.getrandbits(63)):
        image = transform(image)
    return replace(crop, pixels=torch.from_numpy(np.array(image)).view(pixels.shape))


# Crops for validation


@dataclass(frozen=True)
class FixedView:
    """Resizes the short side and cuts the centre; `ten_crop` also cuts the corners and mirrors all five."""

    kind: View
    resize: int
    size: tuple[int, int]
    interpolation: Interpolation = "bilinear"

    @property
    def crops(self) -> int:
        """The number of crops of each image."""
        return 10 if self.kind == "ten_crop" else 1

    def __call__(self, photo: Pixels, seed: int = 0) -> tuple[list[Tensor], list[Place]]:
        shape, short = resized_shape(photo.shape[:2], self.resize), self.resize
        height, width = self.size
        middle = centred((short, short), self.size)
        if self.kind == "center_crop":
            crop = window(photo, short, centred(shape, self.size), self.interpolation)
            return [crop], [(middle.top, middle.left, 0)]
        square = centred(shape, (short, short))
        whole = window(photo, short, square, self.interpolation)
        down, right = short - height, short - width
        corners = [(0, 0), (0, right), (down, 0), (down, right), (middle.top, middle.left)]
        # The mirrored crops are the corners and the centre of the mirrored square.
        places = [(top, left, 0) for top, left in corners] + [(top, right - left, 1) for top, left in corners]
        crops = [whole[top : top + height, left : left + width] for top, left, _ in places]
        return [crop.flip(1) if place[2] else crop for crop, place in zip(crops, places, strict=True)], places
