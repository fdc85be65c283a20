"""Image files decoded to RGB pixels. As in torchvision, the orientation in EXIF is not applied."""

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
"""Pillow's modes with 32 bits for each pixel."""
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "PPM", "TIFF", "WEBP")
"""The only formats that Pillow may try: others start programs, as EPS starts Ghostscript."""

TROUBLE = (Exception,)
"""The exceptions that a damaged file can raise: Pillow's decoders raise almost any."""


@dataclass(frozen=True)
class BadImage:
    """An image that cannot be read, and why; returned, since a worker's exceptions are hard to read."""

    path: str
    reason: str


def read_photo(path: str) -> Pixels | BadImage:
    """Read an image file of any colour mode as RGB; of an animation, the first frame."""
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123  # Path.open takes as long as the reading
            return decode(file.read())
    except TROUBLE as error:
        return BadImage(path, reason(error))


def decode(content: bytes) -> Pixels:
    """Decode the content of a file to RGB; raises one of TROUBLE where it is damaged."""
    pixels = _jpeg(content) if content[:2] == b"\xff\xd8" else None
    return read_rgb(content) if pixels is None else pixels


def _jpeg(content: bytes) -> Pixels | None:
    """Decode with libjpeg-turbo; returns None for files that are left to Pillow.

    Those are files in CMYK, with more pixels than Pillow accepts, and damaged ones: this decoder refuses
    every file that libjpeg warns about, while Pillow accepts those of which no pixels are missing.
    """
    try:
        height, width, space, _ = simplejpeg.decode_jpeg_header(content)
        if space not in ("YCbCr", "RGB", "Gray") or height * width > (
            Image.MAX_IMAGE_PIXELS or height * width
        ):
            return None
        pixels: Pixels = simplejpeg.decode_jpeg(content)
        return pixels
    except ValueError:
        return None


def read_rgb(content: bytes) -> Pixels:
    """Decode any of FORMATS with Pillow; the file's name does not matter."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings about metadata and sizes; errors are raised
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            return np.array(_as_rgb(image))


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
    """Why a file cannot be read, in a few words."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = str(error)
    return "not an image, or damaged" if "identify" in text or not text else text.rstrip(".")
