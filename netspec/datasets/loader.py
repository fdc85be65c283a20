"""Reads image files in batches in worker processes. The number of workers does not affect the batches."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any, Protocol, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from netspec.datasets.base import LoaderConfig
from netspec.errors import DataError
from netspec.transforms.crops import PhotoView
from netspec.transforms.pixels import BadImage, Pixels
from netspec.transforms.seeds import generator, stream_seed

Key: TypeAlias = tuple[int, int]
"""An epoch, and the index of an image."""
Loaded: TypeAlias = tuple[Tensor, Tensor, Tensor]
"""Crops, uint8 N x crops x C x H x W in channels_last; their positions, N x crops x 3; N class indices."""


class Photos(Protocol):
    """Image files with class indices. Each worker process gets a pickled copy."""

    @property
    def labels(self) -> Tensor:
        """The class index of each image, int64 N."""

    def __len__(self) -> int: ...

    def photo(self, index: int) -> Pixels | BadImage:
        """Return the decoded pixels of one image, or a BadImage with the reason why it cannot be read."""


class Relabelled:
    """Images whose labels, such as random labels, replace those of their files."""

    def __init__(self, photos: Photos, labels: Tensor) -> None:
        self.photos, self.labels = photos, labels
        self.photo = photos.photo

    def __len__(self) -> int:
        return len(self.photos)


class Reader(Dataset[Loaded | BadImage]):
    """Reads the images of a batch. A crop depends only on the seed, the epoch and the image's index."""

    def __init__(self, photos: Photos, view: PhotoView, size: tuple[int, int], seed: int) -> None:
        self.photos, self.view, self.size, self.seed = photos, view, size, seed

    def __getitem__(self, keys: list[Key]) -> Loaded | BadImage:
        shape = (len(keys), self.view.crops, *self.size, 3)
        # numpy allocates large arrays in huge pages; with torch.empty, page faults take longer than the copy.
        images = torch.from_numpy(np.empty(shape, np.uint8))
        places = []
        for row, (epoch, index) in zip(images, keys, strict=True):
            photo = self.photos.photo(index)
            if isinstance(photo, BadImage):
                return photo
            crops, where = self.view(photo, stream_seed(self.seed, epoch, index))
            for target, crop in zip(row, crops, strict=True):
                target.copy_(crop)
            places.append(where)
        labels = self.photos.labels[[index for _, index in keys]]
        return images.permute(0, 1, 4, 2, 3), torch.tensor(places).view(*shape[:2], 3), labels


class EpochSampler(Sampler[list[Key]]):
    """Yields the keys of each batch of an epoch; set `epoch` and the first step, `start`, before iterating.

    With `share`, as in training, images are shuffled, an incomplete last batch is dropped, and only the part
    `share` of each batch is read. Without `share`, as in validation, all images are read in order.
    """

    def __init__(self, count: int, batch: int, seed: int, share: slice | None) -> None:
        self.count, self.batch, self.seed, self.share = count, batch, seed, share
        self.epoch = self.start = 0

    def __len__(self) -> int:
        return max(self.count // self.batch, 1) if self.share else -(-self.count // self.batch)

    def __iter__(self) -> Iterator[list[Key]]:
        order = torch.arange(self.count)
        if self.share:
            order = torch.randperm(self.count, generator=generator(self.seed, self.epoch))
        for chosen in order.split(self.batch)[self.start : len(self)]:
            share = chosen[self.share] if self.share else chosen
            yield [(self.epoch, index) for index in share.tolist()]


class EpochLoader:
    """Batches of crops, their positions and class indices, on the device. `share` is as in EpochSampler."""

    def __init__(self, reader: Reader, batch: int, config: LoaderConfig, share: slice | None = None) -> None:
        self.device = config.device
        self.sampler = EpochSampler(len(reader.photos), batch, config.recipe.seed, share)
        workers = min(config.worker_count, len(self.sampler))
        self.loader = DataLoader(
            reader,
            sampler=self.sampler,
            batch_size=None,
            num_workers=workers,
            collate_fn=unchanged,
            pin_memory=self.device.type == "cuda",
            generator=generator(
                config.recipe.seed
            ),  # the default would advance the generator that dropout uses
            worker_init_fn=start_worker,
            persistent_workers=workers > 0,
        )

    def batches(self, epoch: int, start: int = 0) -> Iterator[Loaded]:
        """Yield the batches of an epoch from step `start`.

        Raises:
            DataError: a file cannot be read, or a worker process died.
        """
        self.sampler.epoch, self.sampler.start = epoch, start
        try:
            for item in self.loader:
                if isinstance(item, BadImage):
                    message = f"{item.path} cannot be read ({item.reason}): replace or remove the file"
                    raise DataError(message)
                images, places, labels = (part.to(self.device, non_blocking=True) for part in item)
                yield images, places, labels
        except RuntimeError as error:
            if "DataLoader worker" not in str(error):
                raise
            message = "a process that reads images died, probably because memory or /dev/shm ran out"
            raise DataError(
                f"{message}: lower `workers`, or read in this process with `workers=0`"
            ) from error


def unchanged(item: Any) -> Any:
    """Return a batch unchanged, since the reader has already collated it."""
    return item


def start_worker(_: int) -> None:
    """Limit a worker to one thread and ignore Ctrl-C, because the parent process terminates it."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
