"""Augmentation of whole normalised batches as tensors, on any device."""

from __future__ import annotations

from dataclasses import dataclass
from math import log, sqrt
from random import Random

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from netspec.errors import DataError
from netspec.recipe import Recipe
from netspec.recipe.images import (
    AutoAugment,
    Crop,
    Cutmix,
    Flip,
    Lighting,
    MeanFile,
    MeanImage,
    Mixup,
    RandAugment,
    RandomErasing,
    RandomResizedCrop,
    TrivialAugment,
)
from netspec.transforms.normalize import Statistics
from netspec.transforms.preprocessing import Normalizer

TRIES = 10  # torchvision's, before an image keeps all its pixels
ERASED, RATIO = (0.02, 0.33), (0.3, 3.3)  # a box's share of the area, and its height over its width


@dataclass(frozen=True)
class Draw:
    """Random numbers for a process's images of one batch, on the CPU.

    They are drawn for the `batch` images of all processes, so that an image gets the same ones wherever it
    is; `share` is this process's rows.
    """

    stream: torch.Generator
    batch: int
    share: slice

    def uniform(self, *shape: int) -> Tensor:
        """Numbers from 0 up to 1, N x shape."""
        return torch.rand(self.batch, *shape, generator=self.stream)[self.share]

    def normal(self, *shape: int) -> Tensor:
        """Numbers of the standard normal distribution, N x shape."""
        return torch.randn(self.batch, *shape, generator=self.stream)[self.share]

    def integers(self, below: int, *shape: int) -> Tensor:
        """Whole numbers from 0 up to `below`, that one left out, N x shape."""
        return torch.randint(below, (self.batch, *shape), generator=self.stream)[self.share]


def flip(images: Tensor, draw: Draw, p: float = 0.5) -> Tensor:
    """Mirror each image of a batch with probability `p`."""
    chosen = draw.uniform() < p
    return torch.where(chosen.to(images.device).view(-1, 1, 1, 1), images.flip(-1), images)


def shift(images: Tensor, padding: int, fill: Tensor, draw: Draw) -> Tensor:
    """Move each image by up to `padding` pixels either way; `fill` (C x 1 x 1) comes in at the edges."""
    count, channels, height, width = images.shape
    padded = fill.expand(count, channels, height + 2 * padding, width + 2 * padding).contiguous()
    padded[:, :, padding : padding + height, padding : padding + width] = images
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)
    top, left = draw.integers(2 * padding + 1, 2).to(images.device).unbind(1)
    return windows[torch.arange(count, device=images.device), :, top, left]


def lighting(images: Tensor, sigma: float, found: Statistics, scale: Tensor, draw: Draw) -> Tensor:
    """Add a random colour along a set's components to RGB images; `scale` (3 x 1 x 1) is the normaliser's."""
    alphas = draw.normal(3) * sigma * found.eigenvalues
    # A product of matrices may round otherwise for a share of the rows than for all of them.
    colours = 255 * (alphas.unsqueeze(1) * found.eigenvectors).sum(2)
    return images + colours.to(images.device).view(-1, 3, 1, 1) * scale


def erase(images: Tensor, p: float, draw: Draw) -> Tensor:
    """Zero a random box in some images, drawn as torchvision's RandomErasing draws it."""
    height, width = images.shape[-2:]
    numbers = draw.uniform(TRIES, 4)
    chosen = draw.uniform() < p
    area = height * width * (ERASED[0] + (ERASED[1] - ERASED[0]) * numbers[..., 0])
    ratio = (log(RATIO[0]) + log(RATIO[1] / RATIO[0]) * numbers[..., 1]).exp()
    down, across = (area * ratio).sqrt().round().long(), (area / ratio).sqrt().round().long()
    fits = (down < height) & (across < width)
    first = fits.int().argmax(1, keepdim=True)  # of equal values, the first
    top = ((height - down + 1) * numbers[..., 2]).long()
    left = ((width - across + 1) * numbers[..., 3]).long()
    top, left, down, across = (each.gather(1, first) for each in (top, left, down, across))
    rows, columns = torch.arange(height), torch.arange(width)
    inside = ((rows >= top) & (rows < top + down)).unsqueeze(2)
    inside = inside & ((columns >= left) & (columns < left + across)).unsqueeze(1)
    inside = inside & (chosen & fits.any(1)).view(-1, 1, 1)
    return images.masked_fill(inside.unsqueeze(1).to(images.device), 0)


def augmented(
    images: Tensor, recipe: Recipe, normalizer: Normalizer, found: Statistics, draw: Draw
) -> Tensor:
    """Apply those of a recipe's augmentations that suit batches, in its order, to a normalised batch."""
    for step in recipe.augment:
        match step:
            case Flip(p=p):
                images = flip(images, draw, p)
            case Crop(padding=padding):
                images = shift(images, padding, normalizer.black, draw)
            case Lighting(sigma=sigma):
                images = lighting(images, sigma, found, normalizer.scale, draw)
            case RandomErasing(p=p):
                images = erase(images, p, draw)
    return images


def check_augment(recipe: Recipe, channels: int) -> None:
    """Raise DataError where augmentations do not suit the images, or each other."""
    kinds = {type(step) for step in recipe.augment}
    if channels != 3 and Lighting in kinds:
        message = f"lighting shifts RGB colours, and these images have {channels} channel"
        raise DataError(f"{message}: leave it out of the recipe")
    if RandomResizedCrop in kinds and Crop in kinds:
        raise DataError("random_resized_crop and crop both choose the window: leave one out of the recipe")
    if RandomResizedCrop in kinds and isinstance(recipe.normalize, MeanImage | MeanFile):
        message = "random_resized_crop cuts windows of any size, for which a mean image has no pixels"
        raise DataError(f"{message}: use normalize: mean")


def on_pixels(recipe: Recipe) -> bool:
    """Whether a recipe changes images one by one, before they are normalised."""
    kinds = RandomResizedCrop | RandAugment | TrivialAugment | AutoAugment
    return any(isinstance(step, kinds) for step in recipe.augment)


def mixes(recipe: Recipe) -> bool:
    """Whether a recipe blends images, so that labels are shares of the classes."""
    return any(isinstance(step, Mixup | Cutmix) for step in recipe.augment)


def mixed(
    images: Tensor, labels: Tensor, classes: int, recipe: Recipe, stream: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Blend N x C x H x W images as a recipe says; gives them with their labels as shares, N x classes.

    As torchvision's MixUp and CutMix do it: where the recipe has both, one is chosen for each batch; an image
    is blended with the one before it, and the first with the last. What is drawn depends on `stream` alone,
    a generator on the CPU: processes that share a batch out give it the same seed, and each blends within its
    own share. Images are not changed in place. Without either augmentation, the labels alone are converted.
    """
    shares = one_hot(labels, classes).float()
    steps = [step for step in recipe.augment if isinstance(step, Mixup | Cutmix)]
    if not steps:
        return images, shares
    random = Random(int(torch.randint(2**62, (), generator=stream)))
    step = random.choice(steps)
    kept = random.betavariate(step.alpha, step.alpha)
    if isinstance(step, Mixup):
        images = images.lerp(images.roll(1, 0), 1 - kept)
    else:
        images, kept = _pasted(images, kept, random)
    return images, shares.lerp(shares.roll(1, 0), 1 - kept)


def _pasted(images: Tensor, kept: float, random: Random) -> tuple[Tensor, float]:
    """Paste a box of each image's neighbour over it; also gives the share of the image that is left."""
    height, width = images.shape[-2:]
    row, column = random.randrange(height), random.randrange(width)
    half = 0.5 * sqrt(1 - kept)
    down, across = int(half * height), int(half * width)
    rows = slice(max(row - down, 0), min(row + down, height))
    columns = slice(max(column - across, 0), min(column + across, width))
    result = images.clone()
    result[..., rows, columns] = images.roll(1, 0)[..., rows, columns]
    area = (rows.stop - rows.start) * (columns.stop - columns.start)
    return result, 1 - area / (height * width)
