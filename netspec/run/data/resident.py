"""Small sets that live in memory as one tensor, and are batched and augmented as tensors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from netspec.run.data.source import Batch, DataError, Preprocessing, Setting, View, generator
from netspec.run.data.transforms import Draw, Normalizer, augmented, check_augment, preprocessing

MEMORY = 2**30  # bytes that one part may take once resized, or as ready floats


@dataclass(frozen=True)
class Labelled:
    """Images, uint8 N x C x H x W, and their N class numbers, int64."""

    images: Tensor
    labels: Tensor

    def to(self, device: torch.device) -> Labelled:
        """Move both to a device."""
        return Labelled(self.images.to(device), self.labels.to(device))


class ResidentBatches:
    """Batches cut out of tensors that stay on the device."""

    def __init__(self, train: Labelled, val: Labelled, setting: Setting) -> None:
        self.recipe = setting.recipe
        check_augment(self.recipe, setting.input_shape[0])
        parts = [_resized(part, setting.size).to(setting.device) for part in (train, val)]
        self.preprocessing: Preprocessing = preprocessing(self.recipe, *_statistics(parts[0].images))
        self.normalizer = Normalizer.of(self.preprocessing, setting.device)
        self.setting, self.size = setting, setting.size
        self.train_part, self.val_part = (self._ahead(part) for part in parts)
        self.share = setting.share(self.batch)

    @property
    def batch(self) -> int:
        """Images in one training batch."""
        return min(self.recipe.batch, len(self.train_part.labels))

    @property
    def steps(self) -> int:
        """Training batches in one epoch; an incomplete last one is left out, shuffled anew each time."""
        return len(self.train_part.labels) // self.batch

    def train(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Shuffled and augmented batches of one epoch, from step `start` on."""
        part, seed = self.train_part, self.recipe.seed
        order = torch.randperm(len(part.labels), generator=generator(seed, epoch)).to(part.labels.device)
        batches = order.split(self.batch)
        for step in range(start, self.steps):
            chosen = batches[step][self.share]
            images = self._ready(part.images.index_select(0, chosen))
            draw = Draw(generator(seed, epoch, 1, step), self.batch, self.share)
            yield augmented(images, self.recipe, self.normalizer, draw), part.labels.index_select(0, chosen)

    def validate(self, view: View = "center_crop") -> Iterator[Batch]:
        """Every validation image once, whole: an image of the input's size has but one crop."""
        size, share = max(self.recipe.batch, 256), self.setting.val_share(len(self.val_part.labels))
        if share.start == share.stop:
            return  # split gives one empty batch of an empty tensor
        for images, labels in zip(
            self.val_part.images[share].split(size), self.val_part.labels[share].split(size), strict=True
        ):
            yield self._ready(images), labels

    def _ahead(self, part: Labelled) -> Labelled:
        """Normalise the whole part now where the floats fit: it need not be done again each epoch."""
        ready = part.images.shape[-2:] == self.size and part.images.numel() * 4 <= MEMORY
        return replace(part, images=self.normalizer(part.images)) if ready else part

    def _ready(self, images: Tensor) -> Tensor:
        if images.dtype == torch.float32:
            return images
        return self.normalizer(_resize(images, self.size))


def check_labels(part: Labelled, classes: int, where: str) -> None:
    """Raise DataError for counts that differ, and for labels outside the classes."""
    if len(part.images) != len(part.labels):
        message = f"{where} has {len(part.images)} images but {len(part.labels)} labels"
        raise DataError(message + ": fetch its files again")
    if len(part.labels) and int(part.labels.max()) >= classes:
        raise DataError(f"{where} has a label {int(part.labels.max())}, but {classes} classes are known")


def _resize(images: Tensor, size: tuple[int, int]) -> Tensor:
    if images.shape[-2:] == size:
        return images
    return interpolate(images, size=size, mode="bilinear", align_corners=False, antialias=True)


def _resized(part: Labelled, size: tuple[int, int]) -> Labelled:
    """Resize once, ahead of training, where the result fits in memory; later by batches where not."""
    count, channels = part.images.shape[:2]
    if part.images.shape[-2:] == size or count * channels * size[0] * size[1] > MEMORY:
        return part
    return replace(part, images=torch.cat([_resize(images, size) for images in part.images.split(1024)]))


def _statistics(images: Tensor) -> tuple[Tensor, Tensor]:
    """Each channel's mean and standard deviation, in units of 0 to 255."""
    pixels = images.transpose(0, 1).flatten(1)
    counts = torch.stack([torch.bincount(channel, minlength=256) for channel in pixels]).double().cpu()
    values = torch.arange(256).double()
    mean = (counts @ values) / counts.sum(1)
    square = (counts @ values**2) / counts.sum(1)
    return mean, (square - mean**2).clamp(min=0).sqrt()
