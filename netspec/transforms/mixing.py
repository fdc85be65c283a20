"""Mixup and CutMix: images blended within a batch, and labels that say how much of each is there."""

from __future__ import annotations

from math import sqrt
from random import Random

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from netspec.recipe import Recipe
from netspec.recipe.images import Cutmix, Mixup


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
