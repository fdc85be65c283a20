"""Generated source is laid out as formatters do, and writes repeated rows once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import netspec
from netspec import zoo
from netspec.emit.torch.style import LONGEST, repeated, wrap


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sources")
    for name in zoo.names():
        (folder / f"{name}.py").write_text(netspec.load(name).source())
    return folder


def unformatted(folder: Path, length: int) -> set[str]:
    """The files that ruff would format otherwise."""
    command = [sys.executable, "-m", "ruff", "format", "--check", "--isolated", "--no-cache"]
    options = [f"--line-length={length}", "--output-format=concise"]
    result = subprocess.run([*command, *options, str(folder)], capture_output=True, text=True)
    paths = [Path(line.split(".py:")[0]) for line in result.stdout.splitlines() if ".py:" in line]
    assert result.returncode == bool(paths), result.stderr
    return {path.stem for path in paths}


def test_ruff_leaves_every_network_of_the_zoo_as_it_is(sources: Path) -> None:
    assert unformatted(sources, 110) == set()


def test_with_shorter_lines_helpers_alone_would_be_broken(sources: Path) -> None:
    """Only helpers, which are netspec's own code with longer lines, have annotations."""
    without = {path.stem for path in sources.iterdir() if ") -> " not in path.read_text()}
    assert len(without) > 60
    assert unformatted(sources, LONGEST) & without == set()


def test_ruff_finds_what_is_not_formatted(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("x = [1,2]\n")
    assert unformatted(tmp_path, 110) == {"bad"}


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("f(1)", ["f(1)"]),
        ("f(1,)", ["f(", "    1,", ")"]),
        ("f([a,])", ["f(", "    [", "        a,", "    ]", ")"]),
        ('f("(", ")",)', ["f(", '    "(",', '    ")",', ")"]),
        (f"f({'a' * 50}, {'b' * 50})", ["f(", f"    {'a' * 50},", f"    {'b' * 50},", ")"]),
        ("a" * 200, ["a" * 200]),
    ],
)
def test_lines_are_broken_at_brackets(text: str, lines: list[str]) -> None:
    assert wrap(text) == lines


def test_two_equal_rows_are_written_twice() -> None:
    assert list(repeated(["A()", "A()", "B()"])) == ["A()", "A()", "B()"]


def test_repeated_blocks_are_one_row() -> None:
    assert "for _ in range(22)" in netspec.load("resnet101").source()
