"""Image files to RGB pixels as they are stored: EXIF's orientation is left alone, as torchvision does."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import simplejpeg
from PIL import Image

Pixels: TypeAlias = np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]
"""One image, H x W x 3 in RGB order, 0 to 255."""

WIDE_MODES = ("I", "F")
TROUBLE = (OSError, SyntaxError, ValueError, MemoryError, Image.DecompressionBombError)


@dataclass(frozen=True)
class Photo:
    """Pixels, and the height and width of the file they came from, which are larger where it was reduced."""

    pixels: Pixels
    shape: tuple[int, int]


@dataclass(frozen=True)
class BadImage:
    """A file that could not be read, and why; a value, since an exception in a worker is hard to read."""

    path: str
    reason: str


def read_photo(path: str, at_least: int | None = None) -> Photo | BadImage:
    """Read an image file as RGB, be it grey, CMYK, palette, transparent or of 16 bits; of several, the first.

    A JPEG may be reduced by a whole factor while it is decoded, as long as both sides keep `at_least` pixels.
    """
    try:
        with open(path, "rb") as file:  # noqa: PTH123  # Path.open takes as long as reading the file
            content = file.read()
        return decode(content, at_least)
    except TROUBLE as error:
        return BadImage(path, reason(error))


def decode(content: bytes, at_least: int | None = None) -> Photo:
    """Decode the content of a file; raises one of TROUBLE where it is damaged."""
    if content[:2] == b"\xff\xd8":
        photo = _jpeg(content, at_least)
        if photo is not None:
            return photo
    pixels = read_rgb(content)
    return Photo(pixels, pixels.shape[:2])


def _jpeg(content: bytes, at_least: int | None) -> Photo | None:
    """Decode with libjpeg-turbo, or give None where Pillow must see the file.

    Those are files in CMYK, and damaged ones: this reader refuses whatever libjpeg warns of, where Pillow
    tells bytes that are only out of place from those that are missing.
    """
    try:
        height, width, space, _ = simplejpeg.decode_jpeg_header(content)
        if space not in ("YCbCr", "RGB", "Gray"):
            return None
        if at_least is None or min(height, width) < 2 * at_least:
            return Photo(simplejpeg.decode_jpeg(content), (height, width))
        pixels = simplejpeg.decode_jpeg(content, min_height=at_least, min_width=at_least, min_factor=2)
        return Photo(pixels, (height, width))
    except ValueError:
        return None


def read_rgb(content: bytes) -> Pixels:
    """Decode any format that Pillow knows."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's doubts about metadata and sizes; its errors are raised
        with Image.open(io.BytesIO(content)) as image:
            return np.asarray(_as_rgb(image))


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        # Pillow would cut 16 bits off at 255.
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in WIDE_MODES:
        raise ValueError(f"its pixels are numbers of 32 bits, Pillow's mode {image.mode}, not colours")
    if "transparency" in image.info:
        return image.convert("RGBA").convert("RGB")
    return image.convert("RGB")


def reason(error: BaseException) -> str:
    """Why a file could not be read, in a few words."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = str(error)
    return "it is not an image, or damaged" if "identify" in text or not text else text.rstrip(".")
