"""Changes of single images that torchvision knows by name: RandAugment and its kin."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2

from netspec.recipe import Recipe
from netspec.recipe.images import AutoAugment, RandAugment, TrivialAugment

Policy: TypeAlias = Callable[[Image.Image], Image.Image]


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


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw torch's default random numbers from a seed, and leave its stream as it was."""
    kept = torch.default_generator.get_state()
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        torch.default_generator.set_state(kept)
