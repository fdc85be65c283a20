"""Unusual image files are read, and damaged ones named with the reason."""

from __future__ import annotations

import io
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from netspec.datasets.base import LoaderConfig
from netspec.datasets.registry import open_data
from netspec.errors import DataError
from netspec.recipe import Recipe
from netspec.recipe.images import Raw
from netspec.transforms import pixels
from netspec.transforms.pixels import (
    BadImage,
    Box,
    Pixels,
    centred,
    decode,
    read_photo,
    resized_shape,
    window,
)

RANDOM = np.random.default_rng(0)
NOISE = RANDOM.integers(0, 256, (30, 40, 3), dtype=np.uint8)


def smooth(height: int, width: int) -> Pixels:
    """A smooth image, which JPEG changes little."""
    rows, columns = np.mgrid[0:height, 0:width]
    return np.stack([rows * 255 // height, columns * 255 // width, (rows + columns) % 64], 2).astype(np.uint8)


def encoded(image: Image.Image, kind: str = "jpeg", **options: object) -> bytes:
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def photo(**options: object) -> bytes:
    return encoded(Image.fromarray(smooth(30, 40)), quality=95, **options)


def rotated() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6  # rotated by 90 degrees
    return photo(exif=exif)


def animation() -> bytes:
    frames = [Image.new("RGB", (40, 30), colour) for colour in ("red", "blue")]
    return encoded(frames[0], "gif", save_all=True, append_images=frames[1:])


# The content of a file, and the largest difference of its pixels from Pillow's.
READ: dict[str, tuple[Callable[[], bytes], int]] = {
    "baseline JPEG": (photo, 0),
    "progressive JPEG": (lambda: photo(progressive=True), 0),
    "JPEG with chroma at half size": (lambda: photo(subsampling=2), 2),
    "grey JPEG": (lambda: encoded(Image.fromarray(NOISE[:, :, 0]), quality=95), 0),
    "CMYK JPEG": (lambda: encoded(Image.fromarray(smooth(30, 40)).convert("CMYK")), 0),
    "JPEG with a rotation in EXIF": (rotated, 0),
    "JPEG with bytes after it": (lambda: photo() + b"more", 0),
    "PNG": (lambda: encoded(Image.fromarray(NOISE), "png"), 0),
    "palette": (lambda: encoded(Image.fromarray(smooth(30, 40)).quantize(16), "png"), 0),
    "animated GIF": (animation, 0),
    "WebP": (lambda: encoded(Image.fromarray(NOISE), "webp", lossless=True), 0),
    "one pixel": (lambda: encoded(Image.new("RGB", (1, 1), (9, 8, 7)), "png"), 0),
}


@pytest.mark.parametrize(("make", "levels"), READ.values(), ids=READ)
def test_unusual_images_are_read_as_stored(make: Callable[[], bytes], levels: int, tmp_path: Path) -> None:
    path = tmp_path / "named.jpg"
    path.write_bytes(make())
    found = read_photo(str(path))
    assert isinstance(found, np.ndarray)
    with Image.open(path) as image:
        wanted = np.asarray(image.convert("RGB")).astype(int)
    assert found.shape == wanted.shape
    assert abs(found - wanted).max() <= levels


@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_16_bits_keep_their_brightness(kind: str) -> None:
    values = np.linspace(0, 65535, 30 * 40).reshape(30, 40).astype(np.uint16)
    found = decode(encoded(Image.fromarray(values), kind))
    assert (found == (values >> 8)[:, :, None]).all()


# Unreadable files: their content, and the reason in the message.
BAD: dict[str, tuple[Callable[[], bytes], str]] = {
    "nothing": (lambda: b"", "not an image, or a damaged one"),
    "text": (lambda: b"hello", "not an image, or a damaged one"),
    "JPEG's first bytes": (lambda: photo()[:20], "not an image, or a damaged one"),
    "half a JPEG": (lambda: photo()[:-200], "truncated"),
    "half a PNG": (lambda: encoded(Image.fromarray(NOISE), "png")[:-900], "truncated|broken|incomplete"),
    "32 bits": (
        lambda: encoded(Image.fromarray(np.zeros((4, 4), np.float32)), "tiff"),
        "32-bit numbers",
    ),
}


@pytest.mark.parametrize(("make", "reason"), BAD.values(), ids=BAD)
def test_bad_images_have_a_reason(make: Callable[[], bytes], reason: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.jpg"
    path.write_bytes(make())
    found = read_photo(str(path))
    assert isinstance(found, BadImage)
    assert found.path == str(path)
    assert any(part in found.reason for part in reason.split("|"))


def test_an_image_of_too_many_pixels_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(pixels, "MAX_PIXELS", 500)
    for kind in ("png", "jpeg", "bmp", "gif", "tiff", "webp"):
        (tmp_path / kind).write_bytes(encoded(Image.fromarray(NOISE), kind))
        found = read_photo(str(tmp_path / kind))
        assert isinstance(found, BadImage)
        assert "megapixels, but the limit is" in found.reason


def test_an_image_that_claims_a_hundred_megapixels_is_not_decoded(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    Image.new("1", (10_000, 10_000)).save(path)
    found = read_photo(str(path))
    assert isinstance(found, BadImage)
    assert found.reason == "10000x10000 are 100 megapixels, but the limit is 89"


def test_a_file_of_too_many_bytes_is_not_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "long.png"
    Image.fromarray(NOISE).save(path)
    with path.open("ab") as file:
        file.truncate(2**29 + 2)  # a sparse file, which takes no space
    monkeypatch.setattr(pixels, "MAX_BYTES", 2**20)
    found = read_photo(str(path))
    assert isinstance(found, BadImage)
    assert found.reason == "the file has more than 1 MB"


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_only_regular_files_are_read(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero" if kind == "device" else tmp_path)
    found = read_photo(str(path))
    assert isinstance(found, BadImage)
    assert found.reason == "Not a regular file"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert read_photo(str(tmp_path / "gone.jpg")) == BadImage(
        str(tmp_path / "gone.jpg"), "No such file or directory"
    )


POSTSCRIPT = b"""%!PS-Adobe-3.0 EPSF-3.0
%%BoundingBox: 0 0 10 10
%%EndComments
(ran) print flush
showpage
"""


@pytest.mark.parametrize(
    "content", [POSTSCRIPT, b"%PDF-1.4\n", b"\x00\x00\x01\x00\x01\x00"], ids=["EPS", "PDF", "ICO"]
)
def test_other_formats_are_not_opened(
    content: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def started(*arguments: object, **options: object) -> None:
        pytest.fail(f"a program was started: {arguments}")

    monkeypatch.setattr(subprocess, "Popen", started)
    (tmp_path / "x.jpg").write_bytes(content)
    found = read_photo(str(tmp_path / "x.jpg"))
    assert isinstance(found, BadImage)
    assert "not an image" in found.reason


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize(("make", "reason"), [BAD["32 bits"], BAD["half a PNG"]], ids=["32 bits", "PNG"])
def test_training_names_a_bad_image(
    make: Callable[[], bytes], reason: str, workers: int, photos: Callable[..., Path]
) -> None:
    root = photos("whole")
    for path in (root / "class1").iterdir():
        path.write_bytes(make())
    recipe = Recipe(batch=4, resize=20, normalize=Raw())
    batches = open_data(f"folder:{root}").open(
        LoaderConfig((3, 16, 16), recipe, torch.device("cpu"), workers)
    )
    message = rf"class1/\d\.jpg cannot be read \(.*({reason}).*replace or remove the file"
    with pytest.raises(DataError, match=message):
        list(batches.train(0))


SHAPES = [
    (375, 500),
    (500, 333),
    (256, 256),
    (90, 61),
    (1, 1),
    (20, 700),
    (700, 20),
    (257, 256),
    (61, 67),
    (67, 50),
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_window_equals_that_of_pillows_resized_image(shape: tuple[int, int]) -> None:
    pixels = RANDOM.integers(0, 256, (*shape, 3), dtype=np.uint8)
    whole = torch.from_numpy(np.array(v2.functional.resize(Image.fromarray(pixels), [64])))
    assert resized_shape(shape, 64) == whole.shape[:2]
    square = centred(whole.shape[:2], (64, 64))
    for top, left, height, width in ((0, 0, 50, 50), (14, 14, 50, 50), (3, 9, 41, 50)):
        top, left = square.top + top, square.left + left
        found = window(pixels, 64, Box(top, left, height, width))
        wanted = whole[top : top + height, left : left + width]
        assert (found.int() - wanted.int()).abs().max() <= 1
