"""What is measured on a training set: mean, deviation, principal components of its colours, mean image."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from netspec.recipe import Recipe
from netspec.recipe.images import Lighting, Mean, MeanImage, MeanStd

# torchvision's ImageNet statistics, in units of 0 to 1.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

# The principal components of ImageNet's RGB values in units of 0 to 1 (Krizhevsky et al., 2012, section 4.1);
# the figures are those that facebookarchive/fb.resnet.torch published in datasets/imagenet.lua.
EIGENVALUES = (0.2175, 0.0188, 0.0045)
EIGENVECTORS = ((-0.5675, 0.7192, 0.4009), (-0.5808, -0.0045, -0.8140), (-0.5836, -0.6948, 0.4203))


@dataclass(frozen=True)
class Statistics:
    """Of pixels in units of 0 to 255: each channel's mean and deviation, and the mean image, C x H x W.

    The principal components are columns, and those of colours in units of 0 to 1.
    """

    mean: Tensor
    std: Tensor
    eigenvalues: Tensor
    eigenvectors: Tensor
    mean_image: Tensor | None = None

    def to_plain(self) -> dict[str, Tensor | None]:
        """As a dict of tensors."""
        return asdict(self)


IMAGENET = Statistics(
    torch.tensor(IMAGENET_MEAN) * 255,
    torch.tensor(IMAGENET_STD) * 255,
    torch.tensor(EIGENVALUES),
    torch.tensor(EIGENVECTORS),
)


def needs(recipe: Recipe, known: bool) -> tuple[bool, bool]:
    """Whether a recipe needs a set measured at all, and whether it needs the mean image.

    `known` is whether the set's mean and colours are published.
    """
    image = isinstance(recipe.normalize, MeanImage)
    colours = isinstance(recipe.normalize, Mean | MeanStd) or any(
        isinstance(step, Lighting) for step in recipe.augment
    )
    return image or (colours and not known), image


def measure(batches: Iterable[Tensor]) -> Statistics:
    """Measure images that come in batches of uint8 N x C x H x W, all of one size.

    Eigenvalues are those of the covariance of colours in units of 0 to 1, as ImageNet's published ones are.
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
    """Each channel's mean and standard deviation over uint8 N x C x H x W, in units of 0 to 255."""
    pixels = images.transpose(0, 1).flatten(1)
    counts = torch.stack([torch.bincount(channel, minlength=256) for channel in pixels]).double().cpu()
    values = torch.arange(256).double()
    mean = (counts @ values) / counts.sum(1)
    square = (counts @ values**2) / counts.sum(1)
    return mean, (square - mean**2).clamp(min=0).sqrt()
