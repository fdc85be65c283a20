"""Which part of a photo the network sees: drawn for training, and fixed for validation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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
from netspec.recipe.images import AutoAugment, Crop, Flip, RandAugment, RandomResizedCrop, TrivialAugment
from netspec.transforms.decode import Pixels
from netspec.transforms.resize import Box, Interpolation, centred, cut, resized_shape, window
from netspec.transforms.seeds import seeded

View: TypeAlias = Literal["center_crop", "ten_crop"]
Policy: TypeAlias = Callable[[Image.Image], Image.Image]
Place: TypeAlias = tuple[int, int, int]
"""Where a crop was cut from the resized centre square: top, left, and whether it is mirrored."""

TRIES = 10  # torchvision's, before a random window falls back to the centre


class PhotoView(Protocol):
    """Cuts from a photo what the network sees."""

    @property
    def crops(self) -> int:
        """Crops of each photo."""

    def __call__(self, photo: Pixels, seed: int) -> tuple[list[Tensor], list[Place]]:
        """The crops, uint8 H x W x 3, and their places; `seed` decides what is random."""


class TrainingView:
    """Krizhevsky et al.'s view: short side to `resize`, the centre square, a crop anywhere in it.

    A random resized crop takes its place. Flips and policies follow in any case.
    """

    crops = 1

    def __init__(self, recipe: Recipe, resize: int, size: tuple[int, int]) -> None:
        self.resize, self.size = resize, size
        self.padding = next((step.padding for step in recipe.augment if isinstance(step, Crop)), 0)
        self.anywhere = next((step for step in recipe.augment if isinstance(step, RandomResizedCrop)), None)
        self.flips = [step.p for step in recipe.augment if isinstance(step, Flip)]
        self.policies = policies(recipe)

    def __call__(self, photo: Pixels, seed: int) -> tuple[list[Tensor], list[Place]]:
        random = Random(seed)
        top = left = 0
        if self.anywhere:
            box = random_window(photo.shape[:2], self.anywhere, random)
            pixels = cut(photo, box, self.size)
        else:
            room = [self.resize + 2 * self.padding - side for side in self.size]
            top, left = (random.randrange(r + 1) - self.padding for r in room)
            pixels = self._crop(photo, top, left)
        mirrored = sum(random.random() < p for p in self.flips) % 2
        if mirrored:
            # Mirrored as N x C x H x W with the channels last, which torch does far faster than H x W x C.
            pixels = pixels[None].permute(0, 3, 1, 2).flip(-1)[0].permute(1, 2, 0)
        if self.policies:
            pixels = applied(pixels, self.policies, random.getrandbits(63))
        return [pixels], [(top, left, mirrored)]

    def _crop(self, photo: Pixels, top: int, left: int) -> Tensor:
        """The crop at a place of the centre square, black where that ends."""
        square = centred(resized_shape(photo.shape[:2], self.resize), (self.resize, self.resize))
        height, width = self.size
        above, before = max(-top, 0), max(-left, 0)
        below, after = max(top + height - self.resize, 0), max(left + width - self.resize, 0)
        corner = (square.top + top + above, square.left + left + before)
        inside = window(photo, self.resize, Box(*corner, height - above - below, width - before - after))
        return pad(inside, (0, 0, before, after, above, below)) if above + before + below + after else inside


def random_window(shape: tuple[int, int], step: RandomResizedCrop, random: Random) -> Box:
    """A window of random area and ratio, drawn as torchvision's RandomResizedCrop draws it."""
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


@dataclass(frozen=True)
class FixedView:
    """Short side to `resize`, then the centre crop, or the four corners and the centre, each mirrored too."""

    kind: View
    resize: int
    size: tuple[int, int]
    interpolation: Interpolation = "bilinear"

    @property
    def crops(self) -> int:
        """Crops of each photo."""
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
        # The mirrored five are the corners and the centre of the mirrored square.
        places = [(top, left, 0) for top, left in corners] + [(top, right - left, 1) for top, left in corners]
        crops = [whole[top : top + height, left : left + width] for top, left, _ in places]
        return [crop.flip(1) if place[2] else crop for crop, place in zip(crops, places, strict=True)], places


def policies(recipe: Recipe) -> list[Policy]:
    """torchvision's transform for each policy of a recipe, in order."""
    found: list[Policy] = []
    for step in recipe.augment:
        match step:
            case RandAugment(ops=ops, magnitude=magnitude):
                found.append(v2.RandAugment(ops, magnitude))
            case TrivialAugment():
                found.append(v2.TrivialAugmentWide())
            case AutoAugment(policy=name):
                found.append(v2.AutoAugment(v2.AutoAugmentPolicy(name)))
    return found


def applied(pixels: Tensor, steps: list[Policy], seed: int) -> Tensor:
    """Apply policies to one image, uint8 H x W x C with one channel or three; `seed` decides what happens.

    They run on Pillow's images, which for one image on one core is several times as fast as on tensors.
    """
    channels = pixels.shape[2]
    image = Image.fromarray((pixels[:, :, 0] if channels == 1 else pixels).contiguous().numpy())
    with seeded(seed):
        for step in steps:
            image = step(image)
    return torch.from_numpy(np.array(image)).view(pixels.shape)
