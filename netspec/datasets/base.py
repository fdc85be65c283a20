"""What every source of images offers: counts before training, batches during it."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import torch
from torch import Tensor

from netspec.errors import DataError
from netspec.recipe import Recipe
from netspec.transforms.crops import View
from netspec.transforms.preprocessing import Preprocessing
from netspec.transforms.seeds import generator

logger = logging.getLogger(__name__)

Batch: TypeAlias = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class LoaderConfig:
    """What a source must know to make batches for one network on one machine.

    `input_shape` is channels, height, width; `workers` is the number of processes that read files, None for
    as many as suit the machine. `rank` of `world` processes that train one network together gets its
    share of every batch. A `preprocessing`, of a trained network, wins over what the recipe would measure.
    """

    input_shape: tuple[int, int, int]
    recipe: Recipe
    device: torch.device
    workers: int | None = None
    rank: int = 0
    world: int = 1
    preprocessing: Preprocessing | None = None

    def share(self, batch: int) -> slice:
        """This process's rows of a batch; raises DataError where the processes cannot get as many each."""
        if batch % self.world:
            message = f"a batch of {batch} images cannot be shared out evenly among {self.world} processes"
            down = batch - batch % self.world
            fewer = f"{batch} processes or fewer" if batch > 1 else "one process"
            way = f"set batch to {down}" if down else f"train with {fewer}"
            raise DataError(f"{message}: {way}")
        each = batch // self.world
        return slice(self.rank * each, (self.rank + 1) * each)

    def val_share(self, images: int) -> slice:
        """This process's images of a validation set: each image is one process's."""
        return slice(images * self.rank // self.world, images * (self.rank + 1) // self.world)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.input_shape[1:]

    @property
    def worker_count(self) -> int:
        """The processes that read files: by default none on a CPU, where they would slow the training.

        Two training threads on two cores lose most of their speed when a third process wants a core.
        """
        if self.workers is not None:
            return self.workers
        return 0 if self.device.type == "cpu" else max(min(8, cores() // self.world), 1)


class Batches(Protocol):
    """Batches of (images, labels) on the device: floats N x C x H x W, and N class numbers.

    Where several processes train together, each yields its own rows of every batch; the rows of all of them
    are the batch that a single process would yield, to the bit.
    """

    @property
    def steps(self) -> int:
        """Training batches in one epoch."""

    @property
    def batch(self) -> int:
        """Images in one training batch of all processes: the recipe's, or all where there are fewer."""

    @property
    def preprocessing(self) -> Preprocessing:
        """What is done to every image, and prediction must repeat."""

    def train(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Shuffled and augmented batches of an epoch from step `start` on; none before it is read.

        A batch is the same for the same recipe seed, epoch and step, whatever came before it.
        """

    def validate(self, view: View = "center_crop") -> Iterator[Batch]:
        """Every validation image once, in one of the processes; `ten_crop` gives N x 10 x C x H x W."""


class Data(Protocol):
    """A set of labelled images, known by its counts before anything large is read."""

    @property
    def name(self) -> str:
        """What the user calls it."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """One name for each class, in the order of class numbers."""

    @property
    def channels(self) -> int:
        """Channels of every image: 1 for grey, 3 for RGB, 0 for whatever the network takes."""

    @property
    def train_images(self) -> int:
        """Images to train on."""

    @property
    def val_images(self) -> int:
        """Images to validate on."""

    def open(self, config: LoaderConfig) -> Batches:
        """Read what training needs; raises DataError for what does not fit or cannot be read."""


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def announce(message: str) -> None:
    """Log a note on progress."""
    logger.info("%s", message)


def check_fit(data: Data, input_shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Give channels, height and width; raises DataError, with the fix, where the images cannot enter."""
    shape = "x".join(map(str, input_shape))
    if len(input_shape) != 3:
        raise DataError(f"{data.name} has images, but the network takes {shape}, which is not CxHxW")
    channels, height, width = input_shape
    if data.channels not in (0, channels):
        images = {1: "grey images with 1 channel", 3: "RGB images with 3 channels"}[data.channels]
        message = f"{data.name} has {images}, but the network takes {shape}"
        raise DataError(f"{message}: set its input to {data.channels}x{height}x{width} with --input")
    return channels, height, width


def training_labels(labels: Tensor, recipe: Recipe) -> Tensor:
    """The class numbers to train on: drawn once, whatever the images show, where a recipe asks for that."""
    if not recipe.random_labels:
        return labels
    drawn = torch.randint(int(labels.max()) + 1, labels.shape, generator=generator(recipe.seed, 3))
    return drawn.to(labels)
