"""Small sets of images, made where a test needs them."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

MakePhotos = Callable[..., Path]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep what is measured out of the user's own cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "netspec"


def photo(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (40, 30)) -> None:
    """Write one picture of a colour, with a little noise that its path decides."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(len(str(path.name))).integers(-20, 20, (size[1], size[0], 3))
    Image.fromarray((np.array(colour) + noise).clip(0, 255).astype(np.uint8)).save(path)


@pytest.fixture
def photos(tmp_path: Path) -> MakePhotos:
    """Make class folders of red, green and blue pictures under `tmp_path / name`."""

    def make(name: str, count: int = 4, classes: int = 3) -> Path:
        for label, colour in enumerate([(200, 60, 60), (60, 200, 60), (60, 60, 200)][:classes]):
            for number in range(count):
                photo(tmp_path / name / f"class{label}" / f"{number}.jpg", colour)
        return tmp_path / name

    return make


def write_idx(path: Path, values: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> None:
    """Write bytes as an IDX file, gzipped where the name ends in .gz."""
    head = struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape)
    content = head + values.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


@pytest.fixture
def mnist_root(tmp_path: Path) -> Path:
    """A small MNIST: 64 images to train on, two files gzipped; 16 to validate on, two not."""
    root = tmp_path / "mnist"
    root.mkdir()
    random = np.random.default_rng(0)
    for part, count, suffix in (("train", 64, ".gz"), ("t10k", 16, "")):
        images = random.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = (np.arange(count) % 10).astype(np.uint8)
        write_idx(root / f"{part}-images-idx3-ubyte{suffix}", images)
        write_idx(root / f"{part}-labels-idx1-ubyte{suffix}", labels)
    return root
