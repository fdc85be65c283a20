"""The preprocessing of images, which is the same in training, validation and prediction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import pad

from netspec.transforms.crops import FixedView, View
from netspec.transforms.pixels import Interpolation, Pixels, resize_whole


@dataclass(frozen=True)
class Preprocessing:
    """How an image is resized, cropped and normalized for a network in training and prediction.

    Each channel of pixel values in [0, 255] becomes (pixel - mean) * scale.

    Args:
        mean, scale: One number for each channel.
        resize: The length of the short side after resizing, or the height and width of the whole image.
        crop: The height and width of the centre crop, which is cut after resizing.
        interpolation: The interpolation for resizing, with antialiasing.
        mean_image: The mean of the resized image or of its centre square, C x H x W. If given, its window at
            the crop's position is subtracted instead of `mean`.
    """

    mean: tuple[float, ...]
    scale: tuple[float, ...]
    resize: int | tuple[int, int] | None = None
    crop: tuple[int, int] | None = None
    interpolation: Interpolation = "bilinear"
    mean_image: Tensor | None = field(default=None, compare=False)  # comparing tensors gives a tensor

    def to_plain(self) -> dict[str, object]:
        """Return a dict of plain values and tensors that can be loaded without running code."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> Preprocessing:
        """Return the preprocessing in a dict from `to_plain`; old checkpoints have only mean and scale."""
        as_tuples: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list | tuple) else v for k, v in values.items()
        }
        return cls(**as_tuples)


@dataclass(frozen=True)
class Normalizer:
    """Computes (pixel - mean) * scale for images, N x C x H x W. `mean_image` is C x H x W or larger."""

    mean: Tensor
    scale: Tensor
    mean_image: Tensor | None = None
    padding: int = 0

    @classmethod
    def of(cls, values: Preprocessing, device: torch.device) -> Normalizer:
        """Return a normalizer for a preprocessing, with tensors C x 1 x 1 on a device."""
        mean, scale = (torch.tensor(v, device=device).view(-1, 1, 1) for v in (values.mean, values.scale))
        return cls(mean, scale, None if values.mean_image is None else values.mean_image.to(device))

    @property
    def black(self) -> Tensor:
        """The normalized value of padding, C x 1 x 1: black, or zero if there is a mean image."""
        return torch.zeros_like(self.mean) if self.mean_image is not None else -self.mean * self.scale

    def padded(self, padding: int) -> Normalizer:
        """Return a normalizer for crops up to `padding` pixels outside the image; black becomes zero."""
        if self.mean_image is None or not padding:
            return self
        return replace(self, mean_image=pad(self.mean_image, (padding,) * 4), padding=padding)

    def __call__(self, images: Tensor, places: Tensor | None = None) -> Tensor:
        """Normalize uint8 images. `places`, N x 3, are the positions of crops in the mean image."""
        mean = self.mean
        if self.mean_image is not None:
            mean = self.mean_image if places is None else self._windows(places, images.shape[-2:])
        if mean.dim() == 3 and images.device.type == "cpu" and _channels_are_last(images):
            return self._by_rows(images, mean)
        result = images.to(torch.float32, copy=True).sub_(mean)
        return result.mul_(self.scale)

    def _by_rows(self, images: Tensor, mean: Tensor) -> Tensor:
        """Normalize channels-last images one at a time, each viewed as a matrix with H rows.

        This is several times as fast as processing the whole batch at once: rows of W x C values suit vector
        instructions, and one image stays in the processor's cache for all three passes. numpy allocates large
        arrays in huge pages; with torch.empty, page faults would take longer than the arithmetic.
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
        """Return the window of the mean image at each position in `places`."""
        assert self.mean_image is not None
        windows = self.mean_image.unfold(1, size[0], 1).unfold(2, size[1], 1)
        top, left, mirrored = places.to(self.mean_image.device).unbind(1)
        chosen = windows[:, top + self.padding, left + self.padding].transpose(0, 1)
        return torch.where(mirrored.bool().view(-1, 1, 1, 1), chosen.flip(-1), chosen)


def _channels_are_last(images: Tensor) -> bool:
    return images.shape[1] > 1 and images.permute(0, 2, 3, 1).is_contiguous()


def prepare_image(pixels: Pixels, values: Preprocessing, view: View = "center_crop") -> Tensor:
    """Return RGB pixels preprocessed for prediction: C x H x W, or 10 x C x H x W for ten crops.

    If the network takes grey images, colours are converted to luma. For a network that was trained on whole
    images, the result is one uncropped image, C x H x W, whatever `view` is.
    """
    if len(values.mean) == 1:
        pixels = np.array(Image.fromarray(pixels).convert("L"))[:, :, None]
    normalizer = Normalizer.of(values, torch.device("cpu"))
    if isinstance(values.resize, tuple):
        whole = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].contiguous()
        return normalizer(resize_whole(whole, values.resize))[0]
    assert values.resize is not None
    assert values.crop is not None
    crops, places = FixedView(view, values.resize, values.crop, values.interpolation)(pixels)
    ready = normalizer(torch.stack(crops).permute(0, 3, 1, 2), torch.tensor(places))
    return ready[0] if view == "center_crop" else ready
