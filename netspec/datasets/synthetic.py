"""One batch of noise, given again and again: how fast a network trains when reading costs nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from netspec.datasets.base import Batch, LoaderConfig
from netspec.errors import DataError
from netspec.transforms.crops import View
from netspec.transforms.preprocessing import Preprocessing
from netspec.transforms.seeds import generator

CLASSES = 1000
TRAIN_IMAGES, VAL_IMAGES = 12_800, 1_280


@dataclass(frozen=True)
class Synthetic:
    """Images of the network's own input shape with random labels."""

    name: str
    class_names: tuple[str, ...]
    channels: int = 0
    train_images: int = TRAIN_IMAGES
    val_images: int = VAL_IMAGES

    def open(self, config: LoaderConfig) -> SyntheticBatches:
        """Draw the one batch."""
        return SyntheticBatches(config, self)


def open_synthetic(name: str, classes: str) -> Synthetic:
    """Read the number of classes, 1000 where none is given; raises DataError for what is no such number."""
    if classes and not (classes.isdecimal() and int(classes) > 0):
        message = f"{name} should name its number of classes, which {classes} is not"
        raise DataError(f"{message}: write synthetic:10, or synthetic for {CLASSES}", wrong_use=True)
    return Synthetic(name, tuple(map(str, range(int(classes or CLASSES)))))


class SyntheticBatches:
    """The same normalised batch at every step, on the device."""

    def __init__(self, config: LoaderConfig, data: Synthetic) -> None:
        self.config, self.data = config, data
        classes = len(data.class_names)
        share, stream = config.share(self.batch), generator(config.recipe.seed)
        images = torch.randn(self.batch, *config.input_shape, generator=stream)[share]
        labels = torch.randint(classes, (self.batch,), generator=stream)[share]
        self.images = images.to(config.device).contiguous(memory_format=torch.channels_last)
        self.labels = labels.to(config.device)
        channels = config.input_shape[0]
        self.preprocessing = Preprocessing((0.0,) * channels, (1.0,) * channels, config.size, config.size)

    @property
    def batch(self) -> int:
        """Images in one training batch of all processes."""
        return min(self.config.recipe.batch, self.data.train_images)

    @property
    def steps(self) -> int:
        """Training batches in one epoch."""
        return self.data.train_images // self.batch

    def train(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batch, once for every step from `start` on; no epoch differs."""
        for _ in range(start, self.steps):
            yield self.images, self.labels

    def validate(self, view: View = "center_crop") -> Iterator[Batch]:
        """The batch again, until this process has seen its share."""
        images = self.images.unsqueeze(1).expand(-1, 10, -1, -1, -1) if view == "ten_crop" else self.images
        share = self.config.val_share(self.data.val_images)
        left = share.stop - share.start
        while left:
            count = min(left, len(images))
            yield images[:count], self.labels[:count]
            left -= count
