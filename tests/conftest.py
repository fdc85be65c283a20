"""Where tests find what they need: cases, golden files and how they are rewritten, real data sets."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from places import HERE


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
