"""Windows of a resized photo, computed without resizing the rest of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from netspec.transforms.decode import Pixels

Interpolation: TypeAlias = Literal["bilinear", "bicubic"]

LONG = 8
"""Images this many times as long as wide are resized by Pillow, which needs no buffer of that length."""


@dataclass(frozen=True)
class Filter:
    """An antialiased interpolation: torch's operator, Pillow's constant, and its radius in pixels."""

    operator: Callable[..., Tensor]
    pillow: Image.Resampling
    radius: int


FILTERS: dict[Interpolation, Filter] = {
    # The operators behind torch.nn.functional.interpolate, which does not accept a scale beside a size.
    "bilinear": Filter(torch.ops.aten._upsample_bilinear2d_aa.default, Image.Resampling.BILINEAR, 1),
    "bicubic": Filter(torch.ops.aten._upsample_bicubic2d_aa.default, Image.Resampling.BICUBIC, 2),
}


@dataclass(frozen=True)
class Box:
    """A window: its top left corner, height and width, in pixels."""

    top: int
    left: int
    height: int
    width: int


def resized_shape(shape: tuple[int, int], short: int) -> tuple[int, int]:
    """Height and width with the short side resized to `short`, the other rounded as in torchvision.

    >>> resized_shape((375, 500), 256)
    (256, 341)
    """
    height, width = shape
    if height <= width:
        return short, int(short * width / height)
    return int(short * height / width), short


def centred(shape: tuple[int, int], size: tuple[int, int]) -> Box:
    """The window of a size in the middle, its place rounded as in torchvision."""
    return Box(round((shape[0] - size[0]) / 2), round((shape[1] - size[1]) / 2), *size)


def window(pixels: Pixels, short: int, box: Box, interpolation: Interpolation = "bilinear") -> Tensor:
    """Cut a box out of a photo whose short side is resized to `short`, antialiased: uint8 H x W x 3.

    The pixels are those of the whole photo resized and then cut. The result may be a view of the photo.
    """
    shape = resized_shape(pixels.shape[:2], short)
    rows, columns = slice(box.top, box.top + box.height), slice(box.left, box.left + box.width)
    if pixels.shape[:2] == shape:
        return torch.from_numpy(pixels[rows, columns])
    if max(shape) > LONG * short:
        return _by_pillow(pixels, shape, box, FILTERS[interpolation])
    return _resized(pixels, shape, (rows.stop, columns.stop), FILTERS[interpolation])[rows, columns]


def cut(pixels: Pixels, box: Box, size: tuple[int, int]) -> Tensor:
    """Resize a box of an image's own pixels to a size: antialiased bilinear, uint8 H x W x 3."""
    inside = pixels[box.top : box.top + box.height, box.left : box.left + box.width]
    return _resized(inside.copy(), size, size, FILTERS["bilinear"])


def resize_whole(images: Tensor, size: tuple[int, int]) -> Tensor:
    if images.shape[-2:] == size:
        return images
    return interpolate(images, size=size, mode="bilinear", align_corners=False, antialias=True)


def _resized(pixels: Pixels, shape: tuple[int, int], end: tuple[int, int], by: Filter) -> Tensor:
    """Resize pixels to a shape, and compute only the part above and left of `end`."""
    down, across = pixels.shape[0] / shape[0], pixels.shape[1] / shape[1]
    rows = min(pixels.shape[0], int((end[0] + by.radius) * down) + 2)
    # torch's fast kernel needs channels_last, which it recognises by the batch's stride: add that axis first.
    image = torch.from_numpy(pixels)[None, :rows].permute(0, 3, 1, 2)
    # torch does not resize a side whose output is as long as its input, so ask for one pixel more.
    extra = [
        out + (out == into != whole) for out, into, whole in zip(end, image.shape[2:], shape, strict=True)
    ]
    result = by.operator(image, extra, False, 1 / down, 1 / across)
    return result[0, :, : end[0], : end[1]].permute(1, 2, 0)


def _by_pillow(pixels: Pixels, shape: tuple[int, int], box: Box, by: Filter) -> Tensor:
    down, across = pixels.shape[0] / shape[0], pixels.shape[1] / shape[1]
    edges = (
        box.left * across,
        box.top * down,
        (box.left + box.width) * across,
        (box.top + box.height) * down,
    )
    ends = (*edges[:2], min(edges[2], pixels.shape[1]), min(edges[3], pixels.shape[0]))
    image = Image.fromarray(pixels).resize((box.width, box.height), by.pillow, box=ends)
    return torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8).view(box.height, box.width, 3)
