"""Frontends: functions that parse a file to a syntax tree, chosen by the file's extension."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePath
from typing import TypeAlias

from netspec.diagnostics import Diagnostic, Source
from netspec.language.ast import File
from netspec.language.parser import parse
from netspec.registry import Registry

Frontend: TypeAlias = Callable[[Source], tuple[File, tuple[Diagnostic, ...]]]
"""A function that parses a source; it returns the syntax tree and the diagnostics."""

FRONTENDS: Registry[Frontend] = Registry("frontend")
"""The frontends by file extension."""

FRONTENDS.add(".net", parse)


def frontend_for(path: str) -> Frontend:
    """Return the frontend for a path's extension. Unknown extensions get the parser of netspec's language."""
    return FRONTENDS.get(PurePath(path).suffix.lower(), parse)
