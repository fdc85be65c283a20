"""Writing drawings atomically, and the errors if a drawing cannot be written."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from netspec.emit.picture import write_picture
from netspec.errors import PictureError

TEXT = 'digraph "net" {\n  "a" [label="ü"]\n  "a" -> "b"\n}\n'

STARTS = {"net.svg": b"<?xml", "net.png": b"\x89PNG", "net.pdf": b"%PDF", "NET.SVG": b"<?xml"}


@pytest.mark.parametrize("name", ["net.dot", "net.gv", "a b.DOT"])
def test_dot_text_needs_no_graphviz(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    write_picture(TEXT, tmp_path / name)
    assert (tmp_path / name).read_text("utf-8") == TEXT


@pytest.mark.parametrize(("name", "start"), STARTS.items())
def test_pictures(name: str, start: bytes, tmp_path: Path, graphviz: None) -> None:
    write_picture(TEXT, tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(start)
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_svg_is_in_unicode(tmp_path: Path, graphviz: None) -> None:
    write_picture(TEXT, tmp_path / "net.svg")
    texts = [e.text for e in ET.parse(tmp_path / "net.svg").iter() if e.tag.endswith("}text")]
    assert texts == ["ü", "b"]


REFUSED = {
    "net.jpeg": "must end in one of .dot, .gv, .svg, .png, .pdf",
    "net": "must end in one of",
    "missing/net.dot": "does not exist",
    "folder.dot": "is a folder",
    "file/net.dot": "does not exist",
}


@pytest.mark.parametrize(("name", "words"), REFUSED.items())
def test_invalid_paths_are_rejected(name: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "folder.dot").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(PictureError, match=words) as error:
        write_picture(TEXT, tmp_path / name)
    assert "\n" not in str(error.value)


def test_without_graphviz_the_error_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PictureError, match="not installed") as error:
        write_picture(TEXT, tmp_path / "net.svg")
    for phrase in ("apt-get install graphviz", "brew install graphviz", "write a .dot file"):
        assert phrase in str(error.value)


def test_a_failure_of_graphviz_leaves_the_old_file(tmp_path: Path, graphviz: None) -> None:
    (tmp_path / "net.svg").write_text("old")
    with pytest.raises(PictureError, match="Graphviz cannot draw this network as svg"):
        write_picture("digraph {", tmp_path / "net.svg")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("net.svg", "old")]


@pytest.mark.parametrize("step", ["replace", "chmod"])
def test_a_failed_write_leaves_the_old_file(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "no space left on device")

    (tmp_path / "net.dot").write_text("old")
    monkeypatch.setattr(Path, step, fail)
    with pytest.raises(PictureError, match=r"net\.dot cannot be written: no space left on device"):
        write_picture(TEXT, tmp_path / "net.dot")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("net.dot", "old")]


@pytest.mark.skipif(os.name != "posix", reason="modes of files are POSIX's")
def test_the_file_has_the_mode_of_a_new_file(tmp_path: Path) -> None:
    write_picture(TEXT, tmp_path / "net.dot")
    (tmp_path / "other").touch()
    assert (tmp_path / "net.dot").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_drawing_imports_no_torch() -> None:
    code = "import sys, netspec.emit.dot, netspec.emit.picture; print({'torch', 'graphviz'} & {*sys.modules})"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"
