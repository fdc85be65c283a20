"""Normalisation of whole batches, on any device."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from netspec.datasets.base import Preprocessing
from netspec.errors import DataError
from netspec.recipe import Recipe
from netspec.recipe.images import ImageNet, Mean, MeanFile, MeanImage, MeanStd, Raw, Scale
from netspec.transforms.statistics import IMAGENET_MEAN, IMAGENET_STD, Statistics


def preprocessing(recipe: Recipe, found: Statistics) -> Preprocessing:
    """Resolve a recipe's normalisation, given the training set's statistics."""
    channels = len(found.mean)
    mean = tuple(found.mean.tolist())
    plain = Preprocessing((0.0,) * channels, (1.0,) * channels)
    match recipe.normalize:
        case Raw():
            return plain
        case Scale(factor=factor):
            return replace(plain, scale=(factor,) * channels)
        case Mean():
            return replace(plain, mean=mean)
        case MeanStd():
            return Preprocessing(mean, tuple((1 / found.std.clamp(min=1e-6)).tolist()))
        case MeanImage():
            return replace(plain, mean=mean, mean_image=found.mean_image)
        case MeanFile(path=path, order=order):
            values = read_mean(Path(path), channels, order)
            if values.dim() == 1:
                return replace(plain, mean=tuple(values.tolist()))
            return replace(plain, mean=tuple(values.mean((1, 2)).tolist()), mean_image=values)
        case ImageNet():
            if channels != 3:
                message = f"normalize: imagenet is for RGB images, and these have {channels} channel"
                raise DataError(message + ": use normalize: mean_std")
            means = tuple(255 * value for value in IMAGENET_MEAN)
            return Preprocessing(means, tuple(1 / (255 * value) for value in IMAGENET_STD))


def read_mean(path: Path, channels: int, order: str) -> Tensor:
    """Read a mean, C or C x H x W, from a .npy file, as floats in RGB order; raises DataError."""
    try:
        values = np.load(path, allow_pickle=False)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise DataError(f"{path} is not a .npy file of numbers: name one with mean_file") from error
    if values.ndim not in (1, 3) or values.shape[0] != channels or values.dtype.kind not in "fiu":
        takes = "x".join(map(str, values.shape))
        message = f"{path} holds {takes} of {values.dtype}, but the mean of these images is {channels}xHxW"
        raise DataError(f"{message} or {channels}: mean_file takes a .npy file of that shape")
    mean = torch.from_numpy(values.astype(np.float32))
    return mean.flip(0).contiguous() if order == "bgr" else mean


def check_mean_image(recipe: Recipe, values: Preprocessing, size: tuple[int, int]) -> None:
    """Raise DataError where a mean file has another size than the images it is subtracted from."""
    if (
        values.mean_image is None
        or values.mean_image.shape[1:] == size
        or not isinstance(recipe.normalize, MeanFile)
    ):
        return
    has, takes = ("x".join(map(str, shape)) for shape in (values.mean_image.shape[1:], size))
    message = f"{recipe.normalize.path} is a mean of {has}, but the images are resized to {takes}"
    raise DataError(f"{message}: set resize to {has.split('x')[0]}, or use normalize: mean_image")


@dataclass(frozen=True)
class Normalizer:
    """Apply (pixel - mean) * scale to N x C x H x W images, whole; `mean_image` is C x H x W or larger."""

    mean: Tensor
    scale: Tensor
    mean_image: Tensor | None = None
    padding: int = 0

    @classmethod
    def of(cls, values: Preprocessing, device: torch.device) -> Normalizer:
        """Hold the statistics as tensors on a device, C x 1 x 1."""
        mean, scale = (torch.tensor(v, device=device).view(-1, 1, 1) for v in (values.mean, values.scale))
        return cls(mean, scale, None if values.mean_image is None else values.mean_image.to(device))

    @property
    def black(self) -> Tensor:
        """A black pixel's values, C x 1 x 1; with a mean image, zeros (He et al., 2016, 4.2)."""
        return torch.zeros_like(self.mean) if self.mean_image is not None else -self.mean * self.scale

    def padded(self, padding: int) -> Normalizer:
        """For places up to `padding` pixels outside the mean image, where images are black, and stay zero."""
        if self.mean_image is None or not padding:
            return self
        return replace(self, mean_image=pad(self.mean_image, (padding,) * 4), padding=padding)

    def __call__(self, images: Tensor, places: Tensor | None = None) -> Tensor:
        """Normalise uint8 images, laid out as they are; `places`, N x 3, say where a mean image is cut."""
        mean = self.mean
        if self.mean_image is not None:
            mean = self.mean_image if places is None else self._windows(places, images.shape[-2:])
        if mean.dim() == 3 and images.device.type == "cpu" and _channels_are_last(images):
            return self._by_rows(images, mean)
        result = images.to(torch.float32, copy=True).sub_(mean)
        return result.mul_(self.scale)

    def _by_rows(self, images: Tensor, mean: Tensor) -> Tensor:
        """Normalise N x C x H x W with the channels last as N matrices of H rows.

        Rows of W x C numbers are long enough for vector instructions, and one image stays in the cache over
        the three passes: several times as fast as the whole batch by channels. numpy's large arrays lie in
        huge pages, where torch's do not, and claiming 4 kB pages would take longer than the arithmetic.
        """
        count, channels, height, width = images.shape
        shape = (count, height, width * channels)
        result = torch.from_numpy(np.empty(shape, np.float32))
        rows = images.permute(0, 2, 3, 1).reshape(shape)
        means, scales = (v.expand(channels, *v.shape[1:2], width) for v in (mean, self.scale))
        means, scales = (v.permute(1, 2, 0).reshape(-1, width * channels) for v in (means, scales))
        for target, image in zip(result, rows, strict=True):
            target.copy_(image).sub_(means).mul_(scales)
        return result.view(count, height, width, channels).permute(0, 3, 1, 2)

    def _windows(self, places: Tensor, size: torch.Size) -> Tensor:
        """The mean image's window for each place: top, left and whether it is mirrored."""
        assert self.mean_image is not None
        windows = self.mean_image.unfold(1, size[0], 1).unfold(2, size[1], 1)
        top, left, mirrored = places.to(self.mean_image.device).unbind(1)
        chosen = windows[:, top + self.padding, left + self.padding].transpose(0, 1)
        return torch.where(mirrored.bool().view(-1, 1, 1, 1), chosen.flip(-1), chosen)


def _channels_are_last(images: Tensor) -> bool:
    return images.shape[1] > 1 and images.permute(0, 2, 3, 1).is_contiguous()
