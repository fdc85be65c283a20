"""Pictures made up, and what reads them, for tests of the data that networks are trained on."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from netspec.datasets.base import LoaderConfig
from netspec.datasets.in_memory import Labelled
from netspec.recipe import Recipe
from netspec.recipe.images import Raw

CPU = torch.device("cpu")
PHOTO = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)


def setting(size: int = 16, channels: int = 3, **recipe: object) -> LoaderConfig:
    values = {"batch": 4, "normalize": Raw(), "resize": 20} | recipe
    return LoaderConfig((channels, size, size), Recipe.model_validate(values), CPU, 0)


def collect(batches: Iterator[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    images, labels = zip(*batches, strict=True)
    return torch.cat(images), torch.cat(labels)


def in_memory(count: int = 12, channels: int = 3, size: int = 16) -> Labelled:
    stream = torch.Generator().manual_seed(3)
    images = torch.randint(256, (count, channels, size, size), generator=stream, dtype=torch.uint8)
    return Labelled(images, torch.arange(count))
