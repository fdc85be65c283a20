"""Generated source is laid out as formatters do, and writes repeated rows once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import netspec
from netspec import zoo
from netspec.emit.torch.loops import Loop
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


@pytest.mark.parametrize(
    ("names", "texts", "body"),
    [
        (["a1", "a2", "a3", "a4"], ["B(8, 4)", "B(12, 4)", "B(16, 4)", "B(20, 4)"], "B(8 + 4 * i, 4)"),
        (["0a2", "0a3", "0a4", "0a5"], ["B(3)", "B(2)", "B(1)", "B(0)"], "B(3 - i)"),
        (["a0", "a1", "a2", "a3"], ["B(n=0)", "B(n=1)", "B(n=2)", "B(n=3)"], "B(n=i)"),
        (["a0", "a1", "a2", "a3"], ['B("x")'] * 4, 'B("x")'),
    ],
)
def test_rows_of_a_loop(names: list[str], texts: list[str], body: str) -> None:
    loop = Loop.of(list(zip(names, texts, strict=True)))
    assert loop
    lines = loop.lines("rows", "i")
    assert lines[-1].endswith(f" = {body}")
    scope: dict[str, object] = {"OrderedDict": dict, "B": lambda *args, **named: (args, named)}
    exec("\n".join(lines), scope)
    given = {name: eval(text, scope) for name, text in zip(names, texts, strict=True)}
    assert scope["rows"] == given


@pytest.mark.parametrize(
    ("names", "texts"),
    [
        (["a0", "a1", "a2"], ["B(1)", "B(2)", "B(3)"]),
        (["a0", "a1", "a2", "a4"], ["B(1)", "B(2)", "B(3)", "B(4)"]),
        (["a0", "b1", "a2", "a3"], ["B(1)", "B(2)", "B(3)", "B(4)"]),
        (["a09", "a10", "a11", "a12"], ["B(1)", "B(2)", "B(3)", "B(4)"]),
        (["a0", "a1", "a2", "a3"], ["B(1)", "B(2)", "B(4)", "B(8)"]),
        (["a0", "a1", "a2", "a3"], ["B(1)", "B(2)", "B(3)", "C(4)"]),
        (["a0", "a1", "a2", "a3"], ["B(2 * 1)", "B(2 * 2)", "B(2 * 3)", "B(2 * 4)"]),
        (["a0", "a1", "a2", "a3"], ["B(1e-05)", "B(1e-06)", "B(1e-07)", "B(1e-08)"]),
        (["a0", "a1", "a2", "a3"], ['B("(1)")', 'B("(2)")', 'B("(3)")', 'B("(4)")']),
    ],
)
def test_rows_that_no_loop_gives(names: list[str], texts: list[str]) -> None:
    assert Loop.of(list(zip(names, texts, strict=True))) is None


def test_the_rows_of_densenet_are_loops() -> None:
    source = netspec.load("densenet121").source()
    assert 'denseblock4[f"denselayer{i + 1}"] = DenseLayer(512 + 32 * i, 32)' in source
    assert len(source.splitlines()) < 110
