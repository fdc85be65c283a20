"""Small data sets stored in memory as tensors, and synthetic images for measuring speed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from netspec.datasets.base import Batch, LoaderConfig, training_labels
from netspec.errors import DataError
from netspec.registry import resolve
from netspec.transforms.augment import Context, Draw, augment_batch, check_augment
from netspec.transforms.crops import Cut, Stages, View, change
from netspec.transforms.normalize import IMAGENET, Statistics, channel_statistics, measure, preprocessing
from netspec.transforms.pixels import resize_whole
from netspec.transforms.preprocessing import Normalizer, Preprocessing
from netspec.transforms.seeds import generator, stream_seed

MEMORY = 2**30
"""The maximum number of bytes of a split (train or val) that is resized or normalized before training."""


@dataclass(frozen=True)
class Labelled:
    """Images, uint8 N x C x H x W, and their class indices, int64 N."""

    images: Tensor
    labels: Tensor

    def to(self, device: torch.device) -> Labelled:
        """Return a copy on a device."""
        return Labelled(self.images.to(device), self.labels.to(device))


@dataclass(frozen=True)
class InMemorySet:
    """A data set in memory."""

    name: str
    class_names: tuple[str, ...]
    train_part: Labelled
    val_part: Labelled

    @property
    def channels(self) -> int:
        """The number of channels of each image."""
        return self.train_part.images.shape[1]

    @property
    def train_images(self) -> int:
        """The number of training images."""
        return len(self.train_part.labels)

    @property
    def val_images(self) -> int:
        """The number of validation images."""
        return len(self.val_part.labels)

    def open(self, config: LoaderConfig) -> InMemoryBatches:
        """Return batches of images resized to the network's input; measure the statistics that are needed."""
        return InMemoryBatches(self.train_part, self.val_part, config)


class InMemoryBatches:
    """Batches of images in memory.

    The images are stored on the device, unless an augmentation changes them one by one on the CPU.
    """

    def __init__(self, train: Labelled, val: Labelled, config: LoaderConfig) -> None:
        self.recipe, self.config, self.size = config.recipe, config, config.size
        check_augment(self.recipe, config.input_shape[0])
        self.images = train.images  # at their original size, for cutting random windows
        parts = [_resized(part, config.size).to(config.device) for part in (train, val)]
        self.statistics = _statistics(parts[0].images, config)
        self.preprocessing: Preprocessing = config.preprocessing or replace(
            preprocessing(self.recipe, self.statistics, config.size), resize=config.size, crop=config.size
        )
        self.normalizer = Normalizer.of(self.preprocessing, config.device)
        self.stages = Stages.of(self.recipe, in_memory=True)
        self.val_part = self._ahead(parts[1])
        self.train_part = (
            parts[0].to(torch.device("cpu")) if self.stages.one_by_one else self._ahead(parts[0])
        )
        self.labels = training_labels(self.train_part.labels, self.recipe)
        self.share = config.share(self.batch)

    @property
    def batch(self) -> int:
        """The number of images in a training batch."""
        return min(self.recipe.batch, len(self.train_part.labels))

    @property
    def steps(self) -> int:
        """The number of training batches in an epoch, without an incomplete last one."""
        return len(self.train_part.labels) // self.batch

    def train(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Yield shuffled and augmented batches of one epoch, from step `start`."""
        part, seed, device = self.train_part, self.recipe.seed, self.config.device
        order = torch.randperm(len(part.labels), generator=generator(seed, epoch)).to(part.labels.device)
        batches = order.split(self.batch)
        for step in range(start, self.steps):
            chosen = batches[step][self.share]
            if self.stages.one_by_one:
                images = torch.stack([self._changed(index, epoch) for index in chosen.tolist()]).to(device)
            else:
                images = part.images.index_select(0, chosen)
            draw = Draw(generator(seed, epoch, 1, step), self.batch, self.share)
            context = Context(draw, self.normalizer, self.statistics)
            ready = augment_batch(self.stages.batch, self._ready(images), context)
            yield ready, self.labels.index_select(0, chosen).to(device)

    def validate(self, view: View = "center_crop") -> Iterator[Batch]:
        """Yield this process's validation images, resized but not cropped. `view` makes no difference."""
        size, share = max(self.recipe.batch, 256), self.config.val_share(len(self.val_part.labels))
        if share.start == share.stop:
            return  # torch.split of an empty tensor would yield one empty batch
        for images, labels in zip(
            self.val_part.images[share].split(size), self.val_part.labels[share].split(size), strict=True
        ):
            yield self._ready(images), labels

    def _changed(self, index: int, epoch: int) -> Tensor:
        """Return one training image, uint8 C x H x W, after random cropping and per-image augmentation."""
        random, step = Random(stream_seed(self.recipe.seed, epoch, index)), self.stages.window
        if step:
            pixels = self.images[index].permute(1, 2, 0).numpy()
            crop = resolve(step.window)(step, pixels, min(self.size), self.size, random)
        else:
            whole = resize_whole(self.train_part.images[index : index + 1], self.size)[0]
            crop = Cut(whole.permute(1, 2, 0))
        return change(self.stages, crop, random).pixels.permute(2, 0, 1)

    def _ahead(self, part: Labelled) -> Labelled:
        """Return a split with all images normalized if the floats fit in memory, otherwise unchanged."""
        ready = part.images.shape[-2:] == self.size and part.images.numel() * 4 <= MEMORY
        return replace(part, images=self.normalizer(part.images)) if ready else part

    def _ready(self, images: Tensor) -> Tensor:
        if images.dtype == torch.float32:
            return images
        return self.normalizer(resize_whole(images, self.size))


def check_labels(part: Labelled, classes: int, where: str) -> None:
    """Raise DataError if there are not as many images as labels, or if a label is not a class index."""
    if len(part.images) != len(part.labels):
        message = f"{where} has {len(part.images)} images but {len(part.labels)} labels"
        raise DataError(message + ": download its files again")
    if len(part.labels) and int(part.labels.max()) >= classes:
        raise DataError(f"{where} has the label {int(part.labels.max())}, but only {classes} classes exist")


def _resized(part: Labelled, size: tuple[int, int]) -> Labelled:
    """Return a split with all images resized if they fit in memory, otherwise unchanged."""
    count, channels = part.images.shape[:2]
    if part.images.shape[-2:] == size or count * channels * size[0] * size[1] > MEMORY:
        return part
    return replace(part, images=torch.cat([resize_whole(images, size) for images in part.images.split(1024)]))


def _statistics(images: Tensor, config: LoaderConfig) -> Statistics:
    """Return a data set's mean and standard deviation and the other statistics that the recipe needs."""
    recipe = config.recipe
    if recipe.normalize.measures == "mean image":
        return measure(resize_whole(batch, config.size) for batch in images.split(1024))
    if any(step.uses_colours for step in recipe.augment):
        return measure(images.split(1024))
    mean, std = channel_statistics(images)
    return replace(IMAGENET, mean=mean, std=std)


if TYPE_CHECKING:
    from netspec.datasets.registry import DataSet, Request

MAX_CLASSES = 10**6
CLASSES = 1000
TRAIN_IMAGES, VAL_IMAGES = 12_800, 1_280


@dataclass(frozen=True)
class Synthetic:
    """Random images of the network's input shape, with random labels."""

    name: str
    class_names: tuple[str, ...]
    channels: int = 0
    train_images: int = TRAIN_IMAGES
    val_images: int = VAL_IMAGES

    def open(self, config: LoaderConfig) -> SyntheticBatches:
        """Return batches that repeat one random batch."""
        return SyntheticBatches(config, self)


def open_synthetic(row: DataSet, request: Request) -> Synthetic:
    """Open synthetic images. The number of classes follows the colon in the name; the default is 1000.

    Raises:
        DataError: the number of classes is invalid.
    """
    classes = request.argument or str(CLASSES)
    if not (classes.isdecimal() and 0 < int(classes[:8]) <= MAX_CLASSES):
        message = f"{request.name} needs a number of classes from 1 to {MAX_CLASSES:,} after the colon"
        raise DataError(f"{message}: write synthetic:10, or synthetic for {CLASSES}", wrong_use=True)
    return Synthetic(request.name, tuple(map(str, range(int(classes)))))


class SyntheticBatches:
    """The same normalized batch at every step, on the device."""

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
        """The number of images in a training batch over all processes."""
        return min(self.config.recipe.batch, self.data.train_images)

    @property
    def steps(self) -> int:
        """The number of training batches in an epoch."""
        return self.data.train_images // self.batch

    def train(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Yield the same batch for every step from `start` on, in every epoch."""
        for _ in range(start, self.steps):
            yield self.images, self.labels

    def validate(self, view: View = "center_crop") -> Iterator[Batch]:
        """Yield the same batch until it covers this process's number of validation images."""
        images = self.images.unsqueeze(1).expand(-1, 10, -1, -1, -1) if view == "ten_crop" else self.images
        share = self.config.val_share(self.data.val_images)
        left = share.stop - share.start
        while left:
            count = min(left, len(images))
            yield images[:count], self.labels[:count]
            left -= count
