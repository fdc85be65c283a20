"""The interface of data sets: counts, batches for training and validation, and the cache on disk."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import torch
from torch import Tensor

from netspec.errors import DataError, FileError
from netspec.files import write_file
from netspec.recipe import Recipe
from netspec.transforms.crops import View
from netspec.transforms.preprocessing import Preprocessing
from netspec.transforms.seeds import generator

Batch: TypeAlias = tuple[Tensor, Tensor]
"""Images, float N x C x H x W, and their class indices, int64 N."""


@dataclass(frozen=True)
class LoaderConfig:
    """How a data set creates batches for a network.

    Args:
        input_shape: Channels, height and width of the network's input.
        recipe: Augmentation, normalization, batch size and seed.
        device: The device of the returned batches.
        workers: The number of processes that read files; None chooses a number for the machine.
        rank, world: The index of this process and the number of processes that train the network together.
        preprocessing: The preprocessing of a trained network, used instead of the recipe's.
    """

    input_shape: tuple[int, int, int]
    recipe: Recipe
    device: torch.device
    workers: int | None = None
    rank: int = 0
    world: int = 1
    preprocessing: Preprocessing | None = None

    def share(self, batch: int) -> slice:
        """Return this process's part of a batch; raises DataError if the batch cannot be divided evenly."""
        if batch % self.world:
            message = f"a batch of {batch} images cannot be divided evenly among {self.world} processes"
            down = batch - batch % self.world
            fewer = f"{batch} processes or fewer" if batch > 1 else "one process"
            way = f"set `batch={down}`" if down else f"train with {fewer}"
            raise DataError(f"{message}: {way}")
        each = batch // self.world
        return slice(self.rank * each, (self.rank + 1) * each)

    def val_share(self, images: int) -> slice:
        """Return this process's part of `images` validation images; the parts do not overlap."""
        return slice(images * self.rank // self.world, images * (self.rank + 1) // self.world)

    @property
    def size(self) -> tuple[int, int]:
        """The height and width in pixels."""
        return self.input_shape[1:]

    @property
    def worker_count(self) -> int:
        """The number of worker processes; by default none on a CPU, where training needs all cores."""
        if self.workers is not None:
            return self.workers
        return 0 if self.device.type == "cpu" else max(min(8, cores() // self.world), 1)


class Batches(Protocol):
    """Batches on the device, for training and validation.

    When several processes train together, each gets its own part of every batch. Together, these parts are
    bit-identical to the batch of a single process.
    """

    @property
    def steps(self) -> int:
        """The number of training batches in an epoch."""

    @property
    def batch(self) -> int:
        """The training batch size over all processes: the recipe's, or all images if there are fewer."""

    @property
    def preprocessing(self) -> Preprocessing:
        """The resizing, cropping and normalization of images; prediction must use the same preprocessing."""

    def train(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Yield shuffled and augmented batches of an epoch, from step `start`. Earlier images are not read.

        A batch depends only on the recipe's seed, the epoch and the step.
        """

    def validate(self, view: View = "center_crop") -> Iterator[Batch]:
        """Yield this process's validation images once; for `ten_crop`, they are N x 10 x C x H x W."""


class Data(Protocol):
    """An opened data set. Its counts are known before its images are read."""

    @property
    def name(self) -> str:
        """The name that the user gave."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes, in the order of their indices."""

    @property
    def channels(self) -> int:
        """The channels of each image: 1 for grey, 3 for RGB, 0 if images adapt to the network's input."""

    @property
    def train_images(self) -> int:
        """The number of training images."""

    @property
    def val_images(self) -> int:
        """The number of validation images."""

    def open(self, config: LoaderConfig) -> Batches:
        """Return batches for a network; raises DataError if images do not match it or cannot be read."""


def cores() -> int:
    """Return the number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check_fit(data: Data, input_shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Return channels, height and width of the network's input; raises DataError if images do not match."""
    shape = "x".join(map(str, input_shape))
    if len(input_shape) != 3:
        raise DataError(f"{data.name} has images, but the network takes {shape}, which is not CxHxW")
    channels, height, width = input_shape
    if data.channels not in (0, channels):
        images = {1: "grey images with 1 channel", 3: "RGB images with 3 channels"}[data.channels]
        message = f"{data.name} has {images}, but the network takes {shape}"
        raise DataError(f"{message}: set its input to {data.channels}x{height}x{width} with `input`")
    return channels, height, width


def training_labels(labels: Tensor, recipe: Recipe) -> Tensor:
    """Return the true labels, or random labels (drawn once) if the recipe has `random_labels`."""
    if not recipe.random_labels:
        return labels
    drawn = torch.randint(int(labels.max()) + 1, labels.shape, generator=generator(recipe.seed, 3))
    return drawn.to(labels)


def cache_folder(name: str) -> Path:
    """Return the folder `name` in netspec's cache, which is in XDG_CACHE_HOME or, by default, `~/.cache`."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "netspec" / name


def key_of(*parts: object) -> str:
    """Return a cache key: a hash of all values, as bytes or as text."""
    digest = hashlib.sha256()
    for part in parts:
        content = part if isinstance(part, bytes) else str(part).encode()
        digest.update(len(content).to_bytes(8, "little") + content)
    return digest.hexdigest()[:32]


def recall(folder: str, key: str) -> dict[str, Any] | None:
    """Return the content cached under a key, or None if it is missing or damaged."""
    try:
        content = torch.load(cache_folder(folder) / f"{key}.pt", weights_only=True)
    except Exception:  # a damaged file raises RuntimeError, UnpicklingError, EOFError, KeyError and others
        return None
    return content if isinstance(content, dict) else None


def keep(folder: str, key: str, content: dict[str, Any]) -> None:
    """Cache tensors and plain values under a key. A failed write is ignored."""
    target = cache_folder(folder) / f"{key}.pt"
    with contextlib.suppress(OSError, FileError):
        target.parent.mkdir(parents=True, exist_ok=True)
        write_file(target, lambda file: torch.save(content, file))
