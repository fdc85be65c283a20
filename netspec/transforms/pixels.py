"""Decodes image files to pixels, and resizes the part of an image that is needed."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Literal, TypeAlias

import numpy as np
import simplejpeg
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from netspec.files import open_regular

Pixels: TypeAlias = np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]
"""An RGB image, H x W x 3, with values in [0, 255]."""

WIDE_MODES = ("I", "F")
"""Pillow's modes with 32 bits for each pixel."""
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "PPM", "TIFF", "WEBP")
"""The only formats that Pillow may open. Other formats can start programs, as EPS starts Ghostscript."""

MAX_PIXELS = 89_478_485
"""The maximum number of pixels of an image, 268 MB in RGB. Pillow warns above the same number."""
MAX_BYTES = 2**29
"""The maximum number of bytes of an image file."""

DECODE_ERRORS = (Exception,)
"""The exceptions for damaged files: Pillow's decoders raise almost every kind."""


@dataclass(frozen=True)
class BadImage:
    """An unreadable image. It is returned, not raised, because exceptions in workers are hard to read."""

    path: str
    reason: str


def read_photo(path: str) -> Pixels | BadImage:
    """Return an image file of any colour mode as RGB; for an animation, return the first frame."""
    try:
        with open_regular(path) as file:
            return decode(file.read(MAX_BYTES + 1))
    except DECODE_ERRORS as error:
        return BadImage(path, reason(error))


def decode(content: bytes) -> Pixels:
    """Decode the content of an image file to RGB; raises one of DECODE_ERRORS if damaged or too large."""
    if len(content) > MAX_BYTES:
        raise ValueError(f"the file has more than {MAX_BYTES / 1e6:.0f} MB")
    pixels = _jpeg(content) if content[:2] == b"\xff\xd8" else None
    return read_rgb(content) if pixels is None else pixels


HEAD, TAIL = 2**16, 64


def read_ends(file: IO[bytes], begin: int, end: int) -> tuple[bytes, bytes]:
    """Return the first 64 KiB and the last 64 bytes of the image between two offsets of a file."""
    file.seek(begin)
    head = file.read(min(HEAD, end - begin))
    if end - begin <= HEAD:
        return head, head[-TAIL:]
    file.seek(end - TAIL)
    return head, file.read(TAIL)


def _jpeg(content: bytes) -> Pixels | None:
    """Return an image decoded by libjpeg-turbo, or None for files that Pillow has to decode.

    Pillow decodes CMYK files, files with more than MAX_PIXELS, and damaged files: libjpeg-turbo rejects every
    file that causes a warning, while Pillow accepts files without missing pixels.
    """
    try:
        height, width, space, _ = simplejpeg.decode_jpeg_header(content)
        if space not in ("YCbCr", "RGB", "Gray") or height * width > MAX_PIXELS:
            return None
        pixels: Pixels = simplejpeg.decode_jpeg(content)
        return pixels
    except ValueError:
        return None


def read_rgb(content: bytes) -> Pixels:
    """Decode an image in any of FORMATS with Pillow. The file's extension does not matter."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings about metadata and sizes; errors are raised
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(_too_large(image.width, image.height))
            return np.array(_as_rgb(image))


def _too_large(width: int, height: int) -> str:
    megapixels = f"{width * height / 1e6:.0f} megapixels"
    return f"{width}x{height} are {megapixels}, but the limit is {MAX_PIXELS / 1e6:.0f}"


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        # Pillow's own conversion would clip 16-bit values at 255.
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in WIDE_MODES:
        raise ValueError(f"its pixels are 32-bit numbers (Pillow's mode {image.mode}), not colours")
    if "transparency" in image.info:
        return image.convert("RGBA").convert("RGB")
    return image.convert("RGB")


def reason(error: BaseException) -> str:
    """Return the reason why a file cannot be read, in a few words."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = str(error)
    return "not an image, or a damaged one" if "identify" in text or not text else text.rstrip(".")


Interpolation: TypeAlias = Literal["bilinear", "bicubic"]

LONG = 8
"""Images with a larger aspect ratio are resized by Pillow, which computes only the part that is needed."""


@dataclass(frozen=True)
class Filter:
    """An antialiased interpolation: torch's operator, Pillow's constant, and the radius in output pixels."""

    operator: Callable[..., Tensor]
    pillow: Image.Resampling
    radius: int


FILTERS: dict[Interpolation, Filter] = {
    # torch.nn.functional.interpolate uses these operators, but does not accept both a scale and a size.
    "bilinear": Filter(torch.ops.aten._upsample_bilinear2d_aa.default, Image.Resampling.BILINEAR, 1),
    "bicubic": Filter(torch.ops.aten._upsample_bicubic2d_aa.default, Image.Resampling.BICUBIC, 2),
}


@dataclass(frozen=True)
class Box:
    """A window of an image: its top left corner, height and width, in pixels."""

    top: int
    left: int
    height: int
    width: int


def resized_shape(shape: tuple[int, int], short: int) -> tuple[int, int]:
    """Return height and width for a short side of `short`. The long side is rounded as in torchvision.

    >>> resized_shape((375, 500), 256)
    (256, 341)
    """
    height, width = shape
    if height <= width:
        return short, int(short * width / height)
    return int(short * height / width), short


def centred(shape: tuple[int, int], size: tuple[int, int]) -> Box:
    """Return the centred window of this size. Its position is rounded as in torchvision."""
    return Box(round((shape[0] - size[0]) / 2), round((shape[1] - size[1]) / 2), *size)


def window(pixels: Pixels, short: int, box: Box, interpolation: Interpolation = "bilinear") -> Tensor:
    """Return a box of an image whose short side is resized to `short`, antialiased, uint8 H x W x 3.

    The result equals the box of the resized whole image. It may be a view of the image.
    """
    shape = resized_shape(pixels.shape[:2], short)
    rows, columns = slice(box.top, box.top + box.height), slice(box.left, box.left + box.width)
    if pixels.shape[:2] == shape:
        return torch.from_numpy(pixels[rows, columns])
    if max(shape) > LONG * short:
        return _by_pillow(pixels, shape, box, FILTERS[interpolation])
    return _resized(pixels, shape, (rows.stop, columns.stop), FILTERS[interpolation])[rows, columns]


def cut(pixels: Pixels, box: Box, size: tuple[int, int]) -> Tensor:
    """Return a box of an image, resized to a size: antialiased bilinear, uint8 H x W x 3."""
    inside = pixels[box.top : box.top + box.height, box.left : box.left + box.width]
    return _resized(inside.copy(), size, size, FILTERS["bilinear"])


def resize_whole(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize whole images, N x C x H x W, to height and width `size`: antialiased bilinear."""
    if images.shape[-2:] == size:
        return images
    return interpolate(images, size=size, mode="bilinear", align_corners=False, antialias=True)


def _resized(pixels: Pixels, shape: tuple[int, int], end: tuple[int, int], by: Filter) -> Tensor:
    """Return pixels resized to a shape. Only the part above and left of `end` is computed."""
    down, across = pixels.shape[0] / shape[0], pixels.shape[1] / shape[1]
    rows = min(pixels.shape[0], int((end[0] + by.radius) * down) + 2)
    # torch's fast kernel needs channels_last; torch detects it by the stride of the batch axis.
    image = torch.from_numpy(pixels)[None, :rows].permute(0, 3, 1, 2)
    # torch does not resize a side that keeps its length, so one more pixel is requested.
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
