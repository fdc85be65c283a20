"""Augments normalized batches on the device, including MixUp and CutMix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log, sqrt
from random import Random

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from netspec.errors import DataError
from netspec.recipe import Recipe
from netspec.recipe.images import Augmentation, Crop, Cutmix, Flip, Lighting, Mixup, RandomErasing
from netspec.registry import resolve
from netspec.transforms.normalize import Statistics
from netspec.transforms.preprocessing import Normalizer

TRIES = 10
"""The number of random boxes that torchvision tries before it returns an image unchanged."""
ERASED, RATIO = (0.02, 0.33), (0.3, 3.3)
"""The ranges of an erased box's area (as a fraction of the image) and of its height / width."""


@dataclass(frozen=True)
class Draw:
    """Draws random numbers on the CPU for this process's images of a batch.

    Numbers are drawn for the `batch` images of all processes, so that an image gets the same numbers in every
    process. `share` is this process's part of the batch.
    """

    stream: torch.Generator
    batch: int
    share: slice

    def uniform(self, *shape: int) -> Tensor:
        """Return uniform numbers in [0, 1), N x shape."""
        return torch.rand(self.batch, *shape, generator=self.stream)[self.share]

    def normal(self, *shape: int) -> Tensor:
        """Return standard normal numbers, N x shape."""
        return torch.randn(self.batch, *shape, generator=self.stream)[self.share]

    def integers(self, below: int, *shape: int) -> Tensor:
        """Return integers from 0 to `below` - 1, N x shape."""
        return torch.randint(below, (self.batch, *shape), generator=self.stream)[self.share]


@dataclass(frozen=True)
class Context:
    """The inputs of batch augmentations besides images: random numbers, normalization and statistics."""

    draw: Draw
    normalizer: Normalizer
    statistics: Statistics


def augment_batch(steps: Sequence[Augmentation], images: Tensor, context: Context) -> Tensor:
    """Apply augmentations in order to normalized images, N x C x H x W."""
    for step in steps:
        images = resolve(step.batch)(step, images, context)
    return images


def flip(step: Flip, images: Tensor, context: Context) -> Tensor:
    """Return images, each mirrored with probability `p`."""
    chosen = context.draw.uniform() < step.p
    return torch.where(chosen.to(images.device).view(-1, 1, 1, 1), images.flip(-1), images)


def shift(step: Crop, images: Tensor, context: Context) -> Tensor:
    """Return images, each shifted by up to `padding` pixels in each direction, with black at the edges."""
    padding, (count, channels, height, width) = step.padding, images.shape
    black = context.normalizer.black
    padded = black.expand(count, channels, height + 2 * padding, width + 2 * padding).contiguous()
    padded[:, :, padding : padding + height, padding : padding + width] = images
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)
    top, left = context.draw.integers(2 * padding + 1, 2).to(images.device).unbind(1)
    return windows[torch.arange(count, device=images.device), :, top, left]


def lighting(step: Lighting, images: Tensor, context: Context) -> Tensor:
    """Return RGB images plus random multiples of the principal components of the training set's colours."""
    found = context.statistics
    alphas = context.draw.normal(3) * step.sigma * found.eigenvalues
    # A matrix product could round the rows of one process differently from the same rows of a whole batch.
    colours = 255 * (alphas.unsqueeze(1) * found.eigenvectors).sum(2)
    return images + colours.to(images.device).view(-1, 3, 1, 1) * context.normalizer.scale


def erase(step: RandomErasing, images: Tensor, context: Context) -> Tensor:
    """Return images, some with a random box set to zero, distributed as in torchvision's RandomErasing."""
    height, width = images.shape[-2:]
    numbers = context.draw.uniform(TRIES, 4)
    chosen = context.draw.uniform() < step.p
    area = height * width * (ERASED[0] + (ERASED[1] - ERASED[0]) * numbers[..., 0])
    ratio = (log(RATIO[0]) + log(RATIO[1] / RATIO[0]) * numbers[..., 1]).exp()
    down, across = (area * ratio).sqrt().round().long(), (area / ratio).sqrt().round().long()
    fits = (down < height) & (across < width)
    first = fits.int().argmax(1, keepdim=True)  # argmax returns the first of equal values
    top = ((height - down + 1) * numbers[..., 2]).long()
    left = ((width - across + 1) * numbers[..., 3]).long()
    top, left, down, across = (each.gather(1, first) for each in (top, left, down, across))
    rows, columns = torch.arange(height), torch.arange(width)
    inside = ((rows >= top) & (rows < top + down)).unsqueeze(2)
    inside = inside & ((columns >= left) & (columns < left + across)).unsqueeze(1)
    inside = inside & (chosen & fits.any(1)).view(-1, 1, 1)
    return images.masked_fill(inside.unsqueeze(1).to(images.device), 0)


def check_augment(recipe: Recipe, channels: int) -> None:
    """Raise DataError if augmentations are incompatible with the images, the normalization, or each other."""
    windows = [step for step in recipe.augment if step.window]
    if len(windows) > 1:
        names = " and ".join(dict.fromkeys(step.name for step in windows))
        both = f"{names} both choose the window" if names != windows[0].name else f"{names} is given twice"
        raise DataError(f"{both}: remove one from the recipe")
    for step in recipe.augment:
        if step.uses_colours and channels != 3:
            message = f"{step.name} shifts RGB colours, but these images have {channels} channel"
            raise DataError(f"{message}: remove it from the recipe")
        if step.rescales and recipe.normalize.per_pixel:
            message = f"{step.name} rescales windows, so the pixels of a mean image do not match theirs"
            raise DataError(f"{message}: use `train.normalize=mean`")


# Mixtures of images and labels


def mixes(recipe: Recipe) -> bool:
    """Return True if a recipe has MixUp or CutMix; targets are then probabilities."""
    return any(step.mix for step in recipe.augment)


def mixed(
    images: Tensor, labels: Tensor, classes: int, recipe: Recipe, stream: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return images, N x C x H x W, after a recipe's MixUp or CutMix, and targets, N x classes.

    The targets are probabilities; if the recipe has neither augmentation, they are one-hot labels. If it has
    several, one is chosen for each batch. As in torchvision, each image is blended with the previous image,
    and the first image with the last. Random choices depend only on `stream`, a generator on the CPU.
    Processes that share a batch pass the same seed, and each blends only its own images. Images are not
    changed in place.
    """
    shares = one_hot(labels, classes).float()
    steps = [step for step in recipe.augment if step.mix]
    if not steps:
        return images, shares
    random = Random(int(torch.randint(2**62, (), generator=stream)))
    step = random.choice(steps)
    images, kept = resolve(step.mix)(step, images, random)
    return images, shares.lerp(shares.roll(1, 0), 1 - kept)


def mixup(step: Mixup, images: Tensor, random: Random) -> tuple[Tensor, float]:
    """Return images, each blended with the previous image, and the weight of the image itself."""
    kept = random.betavariate(step.alpha, step.alpha)
    return images.lerp(images.roll(1, 0), 1 - kept), kept


def cutmix(step: Cutmix, images: Tensor, random: Random) -> tuple[Tensor, float]:
    """Return images, each with a box pasted from the previous image, and the fraction that remains."""
    kept = random.betavariate(step.alpha, step.alpha)
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
