"""Reading image files in worker processes, repeatably, whatever the number of workers."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from netspec.run.data.source import Batch, DataError, Setting, generator, stream_seed
from netspec.run.data.tree import Files

Key: TypeAlias = tuple[int, int]  # epoch and index


@dataclass(frozen=True)
class BadImage:
    """A file that could not be read, and why; a value, since an exception in a worker is hard to read."""

    path: str
    reason: str


Item: TypeAlias = tuple[Tensor, int] | BadImage
Pixels: TypeAlias = Callable[[Image.Image], Tensor]  # a view of an image: uint8, C x H x W or 10 x C x H x W


def read_rgb(path: str) -> Image.Image:
    """Decode a file as RGB, be it grey, CMYK, palette or transparent; raises OSError and ValueError."""
    with Image.open(path) as image:
        if "transparency" in image.info:
            return image.convert("RGBA").convert("RGB")
        return image.convert("RGB")


class Reader(Dataset[Item]):
    """Reads an image for an epoch; its random crop depends on the seed and on these two numbers alone."""

    def __init__(self, files: Files, view: Pixels, seed: int) -> None:
        self.files, self.view, self.seed = files, view, seed

    def __getitem__(self, key: Key) -> Item:
        path, label = self.files[key[1]]
        try:
            image = read_rgb(path)
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            return BadImage(path, _reason(error))
        kept = torch.default_generator.get_state()
        torch.default_generator.manual_seed(stream_seed(self.seed, *key))
        try:
            return self.view(image), label
        finally:
            torch.default_generator.set_state(kept)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return "it is not an image, or damaged" if "identify" in str(error) else str(error).rstrip(".")


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
    """Batches of uint8 images and their class numbers on the device, epoch by epoch.

    With a `share`, batches are shuffled, and these rows of each are read; without, all images in order.
    """

    def __init__(self, reader: Reader, batch: int, setting: Setting, share: slice | None = None) -> None:
        self.device = setting.device
        self.sampler = EpochSampler(len(reader.files), batch, setting.recipe.seed, share)
        workers = min(setting.worker_count, len(self.sampler))
        self.loader = DataLoader(
            reader,
            batch_sampler=self.sampler,
            num_workers=workers,
            collate_fn=_collate,
            pin_memory=self.device.type == "cuda",
            generator=generator(setting.recipe.seed),  # else it draws from the stream that dropout uses
            worker_init_fn=_leave_interrupts_to_the_parent,
            persistent_workers=workers > 0,
        )

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Read an epoch from a step on; raises DataError for an unreadable file and for a dead worker."""
        self.sampler.epoch, self.sampler.start = epoch, start
        try:
            for item in self.loader:
                if isinstance(item, BadImage):
                    message = f"{item.path} cannot be read ({item.reason}): replace the file, or remove it"
                    raise DataError(message)
                images, labels = item
                yield images.to(self.device, non_blocking=True), labels.to(self.device, non_blocking=True)
        except RuntimeError as error:
            if "DataLoader worker" not in str(error):
                raise
            message = "a process that reads images died, as happens when memory or /dev/shm runs out"
            raise DataError(f"{message}: use fewer with --workers, or none with --workers 0") from error


def _collate(items: list[Item]) -> Batch | BadImage:
    images, labels = [], []
    for item in items:
        if isinstance(item, BadImage):
            return item
        images.append(item[0])
        labels.append(item[1])
    return torch.stack(images), torch.tensor(labels)


def _leave_interrupts_to_the_parent(_: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
