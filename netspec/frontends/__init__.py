"""Frontends, which parse a file to a syntax tree, by the extension of the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePath
from typing import TypeAlias

from netspec.diagnostics import Diagnostic, Source
from netspec.language.ast import File
from netspec.language.parser import parse
from netspec.registry import Registry

Frontend: TypeAlias = Callable[[Source], tuple[File, tuple[Diagnostic, ...]]]
"""Parses a source to a syntax tree with spans in that source, and returns it with the diagnostics."""

FRONTENDS: Registry[Frontend] = Registry("frontend")
"""The frontends by file extension."""

FRONTENDS.add(".net", parse)


def frontend_for(path: str) -> Frontend:
    """Return the frontend for a path; other extensions are parsed in the language of netspec."""
    return FRONTENDS.get(PurePath(path).suffix.lower(), parse)
