"""Fixtures for all tests: golden files, real data sets, and small sets of images."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from image_files import photo, write_idx
from places import HERE

MakePhotos = Callable[..., Path]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--bless", action="store_true", help="rewrite the golden files; the diff is the review")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("no CUDA device here")


@pytest.fixture(autouse=True)
def traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let unexpected errors through, which commands would turn into a sentence."""
    monkeypatch.setenv("NETSPEC_TRACEBACK", "1")


@pytest.fixture
def golden(request: pytest.FixtureRequest):
    """Compare a text with a golden file, or rewrite the file under --bless."""

    def compare(name: str, text: str) -> None:
        path = HERE / "golden" / name
        if request.config.getoption("--bless"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        assert path.exists(), f"{name} is missing; pytest --bless writes it"
        assert text == path.read_text("utf-8")

    return compare


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of real data sets; tests that need one are skipped where there is none."""
    folder = Path(os.environ.get("NETSPEC_DATA", HERE.parent.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("no real data here: set NETSPEC_DATA to a folder with mnist/ and imagenet-sample/")
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep what is measured out of the user's own cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "netspec"


@pytest.fixture
def photos(tmp_path: Path) -> MakePhotos:
    """Make class folders of red, green and blue pictures under `tmp_path / name`."""

    def make(name: str, count: int = 4, classes: int = 3) -> Path:
        for label, colour in enumerate([(200, 60, 60), (60, 200, 60), (60, 60, 200)][:classes]):
            for number in range(count):
                photo(tmp_path / name / f"class{label}" / f"{number}.jpg", colour)
        return tmp_path / name

    return make


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
