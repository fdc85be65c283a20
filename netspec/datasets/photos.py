"""Batches of image files: worker processes read and crop them, and the device normalizes them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor

from netspec.datasets.base import Batch, LoaderConfig, keep, key_of, recall, training_labels
from netspec.datasets.loader import EpochLoader, Photos, Reader, Relabelled
from netspec.errors import DataError
from netspec.recipe import Recipe
from netspec.transforms.augment import Context, Draw, augment_batch, check_augment
from netspec.transforms.crops import FixedView, PhotoView, TrainingView, View
from netspec.transforms.normalize import IMAGENET, Statistics, measure, needs, preprocessing
from netspec.transforms.preprocessing import Normalizer, Preprocessing
from netspec.transforms.seeds import generator

logger = logging.getLogger(__name__)

SAMPLE = 1000
"""The number of images on which the mean and the colours of a data set are measured."""
IMAGE_SAMPLE = 10_000
"""The number of images on which a mean image is measured: more, since each pixel is a separate mean."""


P = TypeVar("P", bound="PhotoFiles")


class PhotoFiles(Photos, Protocol):
    """Image files that can be filtered and screened. `identity` is used in keys of caches."""

    def chosen(self: P, mask: Tensor) -> P:
        """Return the images for which the mask is true, in the same order."""

    def between(self: P, rows: slice) -> P:
        """Return a range of the images."""

    def identity(self) -> bytes:
        """Return bytes that change when an image is added, removed or modified."""

    def ends(self, index: int) -> tuple[bytes, bytes] | None:
        """Return the first and last bytes of an image file; None if the image is known to be readable."""


@dataclass(frozen=True)
class PhotoSet(Generic[P]):
    """A data set of image files for training and validation."""

    name: str
    class_names: tuple[str, ...]
    train: P
    val: P
    channels: int = 3

    @property
    def train_images(self) -> int:
        """The number of training images."""
        return len(self.train)

    @property
    def val_images(self) -> int:
        """The number of validation images."""
        return len(self.val)

    @property
    def is_imagenet(self) -> bool:
        """Whether the images are ImageNet's, whose mean and colours are published and not measured."""
        return self.name == "imagenet"

    def open(self, config: LoaderConfig) -> PhotoBatches[P]:
        """Return batches for a network; measure the statistics that the recipe needs."""
        return PhotoBatches(self, config)


class PhotoBatches(Generic[P]):
    """Batches of image files, augmented and normalized according to the recipe."""

    def __init__(self, photos: PhotoSet[P], config: LoaderConfig) -> None:
        recipe = config.recipe
        check_augment(recipe, 3)
        self.photos, self.config = photos, config
        self.resize = short_side(recipe, config.size)
        self.share = config.share(self.batch)
        self.statistics = measured(photos, self.resize, config)
        self.preprocessing: Preprocessing = config.preprocessing or replace(
            preprocessing(recipe, self.statistics, (self.resize, self.resize)),
            resize=self.resize,
            crop=config.size,
        )
        view = TrainingView(recipe, self.resize, config.size)
        self.normalizer = Normalizer.of(self.preprocessing, config.device)
        self.training, self.stages = self.normalizer.padded(view.margin), view.stages
        relabelled = Relabelled(photos.train, training_labels(photos.train.labels, recipe))
        self.loader = self._loader(relabelled, view, self.batch, self.share)
        self.val_loaders: dict[View, EpochLoader] = {}

    @property
    def batch(self) -> int:
        """The number of images in a training batch."""
        return min(self.config.recipe.batch, len(self.photos.train))

    @property
    def steps(self) -> int:
        """The number of training batches in an epoch, without an incomplete last one."""
        return len(self.loader.sampler)

    def train(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Yield shuffled and augmented batches of one epoch, from step `start`."""
        seed = self.config.recipe.seed
        for step, (images, places, labels) in enumerate(self.loader.batches(epoch, start), start):
            draw = Draw(generator(seed, epoch, 1, step), self.batch, self.share)
            ready = self.training(images[:, 0], places[:, 0])
            context = Context(draw, self.normalizer, self.statistics)
            yield augment_batch(self.stages.batch, ready, context), labels

    def validate(self, view: View = "center_crop") -> Iterator[Batch]:
        """Yield this process's validation images once."""
        if view not in self.val_loaders:
            transform = FixedView(view, self.resize, self.config.size, self.preprocessing.interpolation)
            batch = max(self.config.recipe.batch // transform.crops, 1)
            chosen = self.photos.val.between(self.config.val_share(len(self.photos.val)))
            self.val_loaders[view] = self._loader(chosen, transform, batch)
        for images, places, labels in self.val_loaders[view].batches(0):
            ready = self.normalizer(images.flatten(0, 1), places.flatten(0, 1))
            yield ready if view == "center_crop" else ready.unflatten(0, images.shape[:2]), labels

    def _loader(self, photos: Photos, view: PhotoView, batch: int, share: slice | None = None) -> EpochLoader:
        reader = Reader(photos, view, self.config.size, self.config.recipe.seed)
        return EpochLoader(reader, batch, self.config, share)


def short_side(recipe: Recipe, size: tuple[int, int]) -> int:
    """Return the length to which an image's short side is resized.

    This is the recipe's `resize`, by default 256 / 224 of the longer side of the network's input.

    Raises:
        DataError: the recipe's `resize` or `crop` does not fit the network's input.
    """
    takes = "x".join(map(str, size))
    if recipe.crop and (recipe.crop, recipe.crop) != size:
        message = f"the recipe crops images to {recipe.crop}x{recipe.crop}, but the network takes {takes}"
        raise DataError(f"{message}: set `train.crop={size[0]}`, or remove crop from the recipe")
    short = recipe.resize or round(max(size) * 256 / 224)
    if short < max(size):
        message = f"images resized to {short} are too small for the network's {takes}"
        raise DataError(f"{message}: set `train.resize={max(size)}` or more")
    return short


def measured(photos: PhotoSet[P], resize: int, config: LoaderConfig) -> Statistics:
    """Return the training set's statistics that a recipe needs: published, cached, or newly measured."""
    wanted, image = needs(config.recipe, photos.is_imagenet)
    if not wanted:
        return IMAGENET
    every = -(-len(photos.train) // (IMAGE_SAMPLE if image else SAMPLE))
    chosen = photos.train.chosen(torch.arange(len(photos.train)) % every == 0)
    key = key_of("center square", resize, chosen.identity())
    if (cached := recall("statistics", key)) is not None:
        found = Statistics(**cached)
    else:
        logger.info("measuring the mean of %s images: this happens only once", f"{len(chosen):,}")
        square = (resize, resize)
        reader = Reader(chosen, FixedView("center_crop", resize, square), square, 0)
        loader = EpochLoader(
            reader, 32, replace(config, device=torch.device("cpu"), workers=config.worker_count)
        )
        found = measure(images[:, 0] for images, _, _ in loader.batches(0))
        keep("statistics", key, found.to_plain())
    return replace(IMAGENET, mean_image=found.mean_image, mean=found.mean) if photos.is_imagenet else found
