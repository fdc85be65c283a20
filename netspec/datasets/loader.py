"""Reading photos in worker processes, batch by batch, repeatably, whatever the number of workers."""

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
from netspec.transforms.decode import BadImage, Pixels
from netspec.transforms.seeds import generator, stream_seed

Key: TypeAlias = tuple[int, int]  # epoch and index
Loaded: TypeAlias = tuple[Tensor, Tensor, Tensor]
"""Crops, uint8 N x crops x C x H x W with the channels last in memory; N x crops x 3 places; N labels."""


class Photos(Protocol):
    """Numbered photos and their class numbers, which worker processes get a copy of."""

    @property
    def labels(self) -> Tensor:
        """One class number for each."""

    def __len__(self) -> int: ...

    def photo(self, index: int) -> Pixels | BadImage:
        """Read one."""


class Relabelled:
    """Photos with other class numbers than their own."""

    def __init__(self, photos: Photos, labels: Tensor) -> None:
        self.photos, self.labels = photos, labels
        self.photo = photos.photo

    def __len__(self) -> int:
        return len(self.photos)


class Reader(Dataset[Loaded | BadImage]):
    """Reads the photos of a batch; each crop depends on the seed, the epoch and the photo's number alone."""

    def __init__(self, photos: Photos, view: PhotoView, size: tuple[int, int], seed: int) -> None:
        self.photos, self.view, self.size, self.seed = photos, view, size, seed

    def __getitem__(self, keys: list[Key]) -> Loaded | BadImage:
        shape = (len(keys), self.view.crops, *self.size, 3)
        # numpy's large arrays lie in huge pages; claiming torch's small ones takes longer than copying.
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
    """Batches of keys for the epoch that `epoch` names, from step `start` on.

    Shuffled batches are all of one size, and `share` is the part of each that is read; others are in order.
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
    """Batches of crops, places and class numbers on the device, epoch by epoch.

    With a `share`, batches are shuffled, and these rows of each are read; without, all photos in order.
    """

    def __init__(self, reader: Reader, batch: int, config: LoaderConfig, share: slice | None = None) -> None:
        self.device = config.device
        self.sampler = EpochSampler(len(reader.photos), batch, config.recipe.seed, share)
        workers = min(config.worker_count, len(self.sampler))
        self.loader = DataLoader(
            reader,
            sampler=self.sampler,
            batch_size=None,
            num_workers=workers,
            collate_fn=as_it_is,
            pin_memory=self.device.type == "cuda",
            generator=generator(config.recipe.seed),  # else it draws from the stream that dropout uses
            worker_init_fn=begin_worker,
            persistent_workers=workers > 0,
        )

    def batches(self, epoch: int, start: int = 0) -> Iterator[Loaded]:
        """Read an epoch from a step on; raises DataError for an unreadable file and for a dead worker."""
        self.sampler.epoch, self.sampler.start = epoch, start
        try:
            for item in self.loader:
                if isinstance(item, BadImage):
                    message = f"{item.path} cannot be read ({item.reason}): replace the file, or remove it"
                    raise DataError(message)
                images, places, labels = (part.to(self.device, non_blocking=True) for part in item)
                yield images, places, labels
        except RuntimeError as error:
            if "DataLoader worker" not in str(error):
                raise
            message = "a process that reads images died, as happens when memory or /dev/shm runs out"
            raise DataError(f"{message}: use fewer with --workers, or none with --workers 0") from error


def as_it_is(item: Any) -> Any:
    """Leave a batch alone, which is made as a whole already."""
    return item


def begin_worker(_: int) -> None:
    """Keep a worker to one thread, and leave Ctrl-C to its parent, which ends it."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
