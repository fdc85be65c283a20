"""One batch of noise, repeated: measures the speed of training without the time spent on reading."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from netspec.datasets.base import Batch, LoaderConfig
from netspec.errors import DataError
from netspec.transforms.crops import View
from netspec.transforms.preprocessing import Preprocessing
from netspec.transforms.seeds import generator

if TYPE_CHECKING:
    from netspec.datasets.registry import DataSet, Request

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
        """Draw the batch."""
        return SyntheticBatches(config, self)


def open_synthetic(row: DataSet, request: Request) -> Synthetic:
    """Take the number of classes from the name, 1000 by default; raises DataError for an invalid number."""
    classes = request.argument or str(CLASSES)
    if not (classes.isdecimal() and len(classes) <= 7 and int(classes) > 0):
        message = f"{request.name} needs a number of classes from 1 to 9,999,999 after the colon"
        raise DataError(f"{message}: write synthetic:10, or synthetic for {CLASSES}", wrong_use=True)
    return Synthetic(request.name, tuple(map(str, range(int(classes)))))


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
        """The same batch for every step from `start` on, in every epoch."""
        for _ in range(start, self.steps):
            yield self.images, self.labels

    def validate(self, view: View = "center_crop") -> Iterator[Batch]:
        """The batch, repeated until it makes up this process's share of the validation images."""
        images = self.images.unsqueeze(1).expand(-1, 10, -1, -1, -1) if view == "ten_crop" else self.images
        share = self.config.val_share(self.data.val_images)
        left = share.stop - share.start
        while left:
            count = min(left, len(images))
            yield images[:count], self.labels[:count]
            left -= count
