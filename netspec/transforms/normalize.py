"""Statistics of training sets, and the normalizations that a recipe can choose."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from netspec.errors import DataError
from netspec.files import open_regular
from netspec.recipe import Recipe
from netspec.recipe.images import MeanFile, Normalization, Scale
from netspec.registry import resolve
from netspec.transforms.preprocessing import Preprocessing

# torchvision's ImageNet statistics, for pixel values scaled to [0, 1].
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

# The principal components of ImageNet's RGB values scaled to [0, 1] (Krizhevsky et al., 2012, section 4.1);
# the numbers are from datasets/imagenet.lua in facebookarchive/fb.resnet.torch.
EIGENVALUES = (0.2175, 0.0188, 0.0045)
EIGENVECTORS = ((-0.5675, 0.7192, 0.4009), (-0.5808, -0.0045, -0.8140), (-0.5836, -0.6948, 0.4203))


@dataclass(frozen=True)
class Statistics:
    """Statistics of the pixels of a training set.

    Args:
        mean, std: The mean and standard deviation of each channel, for pixel values in [0, 255].
        eigenvalues, eigenvectors: The principal components of RGB values in [0, 1]; eigenvectors are columns.
        mean_image: The mean of each pixel in [0, 255], C x H x W.
    """

    mean: Tensor
    std: Tensor
    eigenvalues: Tensor
    eigenvectors: Tensor
    mean_image: Tensor | None = None

    def to_plain(self) -> dict[str, Tensor | None]:
        """Return the statistics as a dict of tensors."""
        return asdict(self)


IMAGENET = Statistics(
    torch.tensor(IMAGENET_MEAN) * 255,
    torch.tensor(IMAGENET_STD) * 255,
    torch.tensor(EIGENVALUES),
    torch.tensor(EIGENVECTORS),
)


def needs(recipe: Recipe, published: bool) -> tuple[bool, bool]:
    """Return whether a recipe needs statistics of the training set, and whether it needs the mean image.

    `published` is true if the mean and the principal components of the data set are published.
    """
    image = recipe.normalize.measures == "mean image"
    colours = recipe.normalize.measures == "colours" or any(step.uses_colours for step in recipe.augment)
    return image or (colours and not published), image


def measure(batches: Iterable[Tensor]) -> Statistics:
    """Return the statistics of batches of uint8 images, N x C x H x W, all of one size.

    Like ImageNet's published eigenvalues, they are computed from the covariance of colours scaled to [0, 1].
    """
    count, total, products = 0, torch.zeros(0), torch.zeros(0)
    for images in batches:
        pixels = images.permute(1, 0, 2, 3).flatten(1).cpu().double()
        if not count:
            shape = images.shape[1:]
            total, products = torch.zeros(shape).double(), torch.zeros(shape[0], shape[0]).double()
        count += len(images)
        total += images.sum(0, dtype=torch.int64).cpu()
        products += pixels @ pixels.T
    each = total.flatten(1).shape[1]
    mean = total.flatten(1).sum(1) / (count * each)
    covariance = products / (count * each) - mean.outer(mean)
    std = covariance.diagonal().clamp(min=0).sqrt()
    values, vectors = torch.linalg.eigh(covariance / 255**2)
    order = values.argsort(descending=True)
    found = values[order].clamp(min=0).float(), vectors[:, order].float()
    return Statistics(mean, std, *found, (total / count).float())


def channel_statistics(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean and standard deviation of each channel of uint8 images, N x C x H x W."""
    pixels = images.transpose(0, 1).flatten(1)
    counts = torch.stack([torch.bincount(channel, minlength=256) for channel in pixels]).double().cpu()
    values = torch.arange(256).double()
    mean = (counts @ values) / counts.sum(1)
    square = (counts @ values**2) / counts.sum(1)
    return mean, (square - mean**2).clamp(min=0).sqrt()


def preprocessing(recipe: Recipe, found: Statistics, size: tuple[int, int]) -> Preprocessing:
    """Return a recipe's normalization, given the statistics of images resized to `size`."""
    step = recipe.normalize
    resolved: Preprocessing = resolve(step.function)(step, found, size)
    return resolved


def unchanged(step: Normalization, found: Statistics, size: tuple[int, int]) -> Preprocessing:
    """Return the normalization that leaves pixel values as they are."""
    channels = len(found.mean)
    return Preprocessing((0.0,) * channels, (1.0,) * channels)


def scale(step: Scale, found: Statistics, size: tuple[int, int]) -> Preprocessing:
    """Return the normalization that multiplies by `factor`."""
    return replace(unchanged(step, found, size), scale=(step.factor,) * len(found.mean))


def mean(step: Normalization, found: Statistics, size: tuple[int, int]) -> Preprocessing:
    """Return the normalization that subtracts each channel's mean."""
    return replace(unchanged(step, found, size), mean=tuple(found.mean.tolist()))


def mean_std(step: Normalization, found: Statistics, size: tuple[int, int]) -> Preprocessing:
    """Return the normalization that subtracts each channel's mean and divides by its standard deviation."""
    return replace(mean(step, found, size), scale=tuple((1 / found.std.clamp(min=1e-6)).tolist()))


def mean_image(step: Normalization, found: Statistics, size: tuple[int, int]) -> Preprocessing:
    """Return the normalization that subtracts the mean image."""
    return replace(mean(step, found, size), mean_image=found.mean_image)


def mean_file(step: MeanFile, found: Statistics, size: tuple[int, int]) -> Preprocessing:
    """Return the normalization that subtracts the mean in a file; raises DataError if its size is wrong."""
    values, plain = read_mean(Path(step.path), len(found.mean), step.order), unchanged(step, found, size)
    if values.dim() == 1:
        return replace(plain, mean=tuple(values.tolist()))
    if values.shape[1:] != size:
        has, takes = ("x".join(map(str, shape)) for shape in (values.shape[1:], size))
        message = f"{step.path} has a mean of size {has}, but the images are resized to {takes}"
        way = f"set `train.resize={values.shape[1]}`, or use `train.normalize=mean_image`"
        raise DataError(f"{message}: {way}")
    return replace(plain, mean=tuple(values.mean((1, 2)).tolist()), mean_image=values)


def imagenet(step: Normalization, found: Statistics, size: tuple[int, int]) -> Preprocessing:
    """Return the normalization with ImageNet's mean and standard deviation; grey images raise DataError."""
    if len(found.mean) != 3:
        message = f"imagenet normalizes RGB images, but these have {len(found.mean)} channel"
        raise DataError(f"{message}: use `train.normalize=mean_std`")
    means = tuple(255 * value for value in IMAGENET_MEAN)
    return Preprocessing(means, tuple(1 / (255 * value) for value in IMAGENET_STD))


ARRAY_ERRORS = (Exception,)
"""The exceptions for damaged .npy files: numpy's parser of headers raises almost every kind."""


def _read_array(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[Any]]:
    """Return the array of numbers in a .npy file. `np.load` would allocate as much as the header claims.

    Raises:
        OSError: the file cannot be opened.
        ARRAY_ERRORS: the file is not a complete .npy file of numbers.
    """
    with open_regular(path) as file:
        version = np.lib.format.read_magic(file)
        header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        if version not in header:
            raise ValueError(f"version {version} of the format is not supported")
        shape, by_columns, dtype = header[version](file)
        if dtype.hasobject or dtype.kind not in "fiub" or any(side < 0 for side in shape):
            raise ValueError("not an array of numbers")
        size = math.prod(shape) * dtype.itemsize
        if size > os.fstat(file.fileno()).st_size:
            raise ValueError("the file is shorter than its header says")
        return np.frombuffer(file.read(size), dtype).reshape(shape, order="F" if by_columns else "C")


def read_mean(path: Path, channels: int, order: str) -> Tensor:
    """Return the mean in a .npy file, C or C x H x W, as floats in RGB order; raises DataError if invalid."""
    try:
        values = _read_array(path)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    except ARRAY_ERRORS as error:
        raise DataError(f"{path} is not a .npy file of numbers: name such a file in mean_file") from error
    if values.ndim not in (1, 3) or values.shape[0] != channels or values.dtype.kind not in "fiu":
        takes = "x".join(map(str, values.shape))
        message = f"{path} has shape {takes} and dtype {values.dtype}"
        raise DataError(f"{message}, but mean_file needs numbers of shape {channels}xHxW or {channels}")
    with np.errstate(over="ignore"):  # overflow gives infinite values, which are rejected below
        mean = torch.from_numpy(values.astype(np.float32))
    if not mean.isfinite().all():
        raise DataError(f"{path} contains values that are not finite: recompute the mean")
    return mean.flip(0).contiguous() if order == "bgr" else mean
