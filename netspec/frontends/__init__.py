"""Frontends: functions that parse a file to a syntax tree, chosen by the file's extension.

A binary file, such as an ONNX model, is first converted to the text of a spec.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path, PurePath
from typing import TypeAlias

from netspec.diagnostics import Diagnostic, Source
from netspec.errors import ConvertError
from netspec.extras import needed_for
from netspec.language.ast import File
from netspec.language.parser import parse
from netspec.library import read, refusal
from netspec.registry import Registry
from netspec.shape import Shape

Frontend: TypeAlias = Callable[[Source], tuple[File, tuple[Diagnostic, ...]]]
"""A function that parses a source; it returns the syntax tree and the diagnostics."""

FRONTENDS: Registry[Frontend] = Registry("frontend")
"""The frontends by file extension."""

FRONTENDS.add(".net", parse)


def frontend_for(path: str) -> Frontend:
    """Return the frontend for a path's extension. Unknown extensions get the parser of netspec's language."""
    return FRONTENDS.get(PurePath(path).suffix.lower(), parse)


BinaryFrontend: TypeAlias = Callable[[Path, Mapping[str, Shape]], str]
"""A function that converts a file to the text of a spec; it gets the shapes of inputs with unknown sizes."""

BINARY: Registry[BinaryFrontend] = Registry("frontend for binary files")
"""The frontends for binary files, by file extension."""


def onnx(path: Path, shapes: Mapping[str, Shape]) -> str:
    """Return an ONNX model as the text of a spec.

    Raises:
        ConvertError: the file cannot be read, or the model has an operator without a counterpart in netspec.
    """
    with needed_for("reading ONNX files"):
        from netspec.frontends.onnx import read_onnx

        return read_onnx(path, shapes).text


BINARY.add(".onnx", onnx)


def read_source(path: Path, shown: str | None, shapes: Mapping[str, Shape]) -> Source:
    """Read a file as a source; messages call it `shown`, by default its path.

    Raises:
        SpecError: the file cannot be read.
    """
    frontend = BINARY.find(path.suffix.lower())
    if frontend is None:
        return read(path, shown)
    name = shown or str(path)
    try:
        return Source(name, frontend(path, shapes))
    except ConvertError as error:
        raise refusal(name, str(error), None) from error
