"""Transforms of whole batches as tensors: normalisation and augmentation, on any device."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from netspec.recipe import Recipe
from netspec.recipe.images import Crop, Flip, ImageNet, Lighting, Mean, MeanStd, Raw, Scale
from netspec.run.data.source import DataError, Preprocessing

# torchvision's ImageNet statistics, in units of 0 to 1.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

# The principal components of ImageNet's RGB values in units of 0 to 1 (Krizhevsky et al., 2012, section 4.1);
# the figures are those that facebookarchive/fb.resnet.torch published in datasets/imagenet.lua.
EIGENVALUES = (0.2175, 0.0188, 0.0045)
EIGENVECTORS = ((-0.5675, 0.7192, 0.4009), (-0.5808, -0.0045, -0.8140), (-0.5836, -0.6948, 0.4203))


def preprocessing(recipe: Recipe, mean: Tensor, std: Tensor) -> Preprocessing:
    """Resolve a recipe's normalisation, given each channel's mean and deviation in units of 0 to 255."""
    channels = len(mean)
    means, deviations = tuple(mean.tolist()), tuple(std.clamp(min=1e-6).tolist())
    match recipe.normalize:
        case Raw():
            return Preprocessing((0.0,) * channels, (1.0,) * channels)
        case Scale(factor=factor):
            return Preprocessing((0.0,) * channels, (factor,) * channels)
        case Mean():
            return Preprocessing(means, (1.0,) * channels)
        case MeanStd():
            return Preprocessing(means, tuple(1 / deviation for deviation in deviations))
        case ImageNet():
            if channels != 3:
                message = f"normalize: imagenet is for RGB images, and these have {channels} channel"
                raise DataError(message + ": use normalize: mean_std")
            means = tuple(255 * value for value in IMAGENET_MEAN)
            return Preprocessing(means, tuple(1 / (255 * value) for value in IMAGENET_STD))


@dataclass(frozen=True)
class Normalizer:
    """Apply (pixel - mean) * scale to N x C x H x W images, whole."""

    mean: Tensor
    scale: Tensor

    @classmethod
    def of(cls, values: Preprocessing, device: torch.device) -> Normalizer:
        """Hold the statistics as C x 1 x 1 tensors on a device."""
        mean, scale = (torch.tensor(v, device=device).view(-1, 1, 1) for v in (values.mean, values.scale))
        return cls(mean, scale)

    def __call__(self, images: Tensor) -> Tensor:
        return images.to(torch.float32, copy=True).sub_(self.mean).mul_(self.scale)


@dataclass(frozen=True)
class Draw:
    """Random numbers for a process's images of one batch, on the CPU.

    They are drawn for the `batch` images of all processes, so that an image gets the same ones wherever it
    is; `share` is this process's rows.
    """

    stream: torch.Generator
    batch: int
    share: slice

    def uniform(self, *shape: int) -> Tensor:
        """Numbers from 0 up to 1, N x shape."""
        return torch.rand(self.batch, *shape, generator=self.stream)[self.share]

    def normal(self, *shape: int) -> Tensor:
        """Numbers of the standard normal distribution, N x shape."""
        return torch.randn(self.batch, *shape, generator=self.stream)[self.share]

    def integers(self, below: int, *shape: int) -> Tensor:
        """Whole numbers from 0 up to `below`, that one left out, N x shape."""
        return torch.randint(below, (self.batch, *shape), generator=self.stream)[self.share]


def flip(images: Tensor, draw: Draw) -> Tensor:
    """Mirror each image of a batch with probability one half."""
    chosen = draw.uniform() < 0.5
    return torch.where(chosen.to(images.device).view(-1, 1, 1, 1), images.flip(-1), images)


def shift(images: Tensor, padding: int, fill: Tensor, draw: Draw) -> Tensor:
    """Move each image by up to `padding` pixels either way; `fill` (C x 1 x 1) comes in at the edges."""
    count, channels, height, width = images.shape
    padded = fill.expand(count, channels, height + 2 * padding, width + 2 * padding).contiguous()
    padded[:, :, padding : padding + height, padding : padding + width] = images
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)
    top, left = draw.integers(2 * padding + 1, 2).to(images.device).unbind(1)
    return windows[torch.arange(count, device=images.device), :, top, left]


def lighting(images: Tensor, sigma: float, scale: Tensor, draw: Draw) -> Tensor:
    """Add a random colour to each normalised RGB image; `scale` (3 x 1 x 1) is the normaliser's."""
    alphas = draw.normal(3) * sigma * torch.tensor(EIGENVALUES)
    # A product of matrices may round otherwise for a share of the rows than for all of them.
    colours = 255 * (alphas.unsqueeze(1) * torch.tensor(EIGENVECTORS)).sum(2)
    return images + colours.to(images.device).view(-1, 3, 1, 1) * scale


def augmented(images: Tensor, recipe: Recipe, normalizer: Normalizer, draw: Draw) -> Tensor:
    """Apply a recipe's augmentations, in its order, to a normalised batch."""
    for step in recipe.augment:
        match step:
            case Flip():
                images = flip(images, draw)
            case Crop(padding=padding):
                black = -normalizer.mean * normalizer.scale
                images = shift(images, padding, black, draw)
            case Lighting(sigma=sigma):
                images = lighting(images, sigma, normalizer.scale, draw)
    return images


def check_augment(recipe: Recipe, channels: int) -> None:
    """Raise DataError where an augmentation does not suit the images."""
    if channels != 3 and any(isinstance(step, Lighting) for step in recipe.augment):
        message = f"lighting shifts RGB colours, and these images have {channels} channel"
        raise DataError(f"{message}: leave it out of the recipe")
