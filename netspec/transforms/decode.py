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
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "PPM", "TIFF", "WEBP")
"""The only formats that Pillow may try: its others start programs, as EPS starts Ghostscript."""

TROUBLE = (Exception,)
"""What reading a file can raise: Pillow's decoders raise almost anything on damaged files."""


@dataclass(frozen=True)
class BadImage:
    """A file that could not be read, and why; a value, since an exception in a worker is hard to read."""

    path: str
    reason: str


def read_photo(path: str) -> Pixels | BadImage:
    """Read an image file as RGB, be it grey, CMYK, palette, transparent or of 16 bits; of many, the first."""
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123  # Path.open takes as long as the reading
            return decode(file.read())
    except TROUBLE as error:
        return BadImage(path, reason(error))


def decode(content: bytes) -> Pixels:
    """Decode the content of a file; raises one of TROUBLE where it is damaged."""
    pixels = _jpeg(content) if content[:2] == b"\xff\xd8" else None
    return read_rgb(content) if pixels is None else pixels


def _jpeg(content: bytes) -> Pixels | None:
    """Decode with libjpeg-turbo, or give None where Pillow must see the file.

    Those are files in CMYK, ones of more pixels than Pillow lets pass, and damaged ones: this reader refuses
    whatever libjpeg warns of, where Pillow tells bytes that are out of place from those that are missing.
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
    """Decode any of FORMATS by Pillow, whatever the file's name says."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's doubts about metadata and sizes; its errors are raised
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            return np.array(_as_rgb(image))


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
