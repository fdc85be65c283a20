"""What turns the text of a file into a syntax tree: one frontend for each ending of a file's name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePath
from typing import TypeAlias

from netspec.diagnostics import Diagnostic, Source
from netspec.language.ast import File
from netspec.language.parser import parse
from netspec.registry import Registry

Frontend: TypeAlias = Callable[[Source], tuple[File, tuple[Diagnostic, ...]]]
"""Reads a source as a syntax tree whose spans lie in that source, and reports what it cannot read."""

FRONTENDS: Registry[Frontend] = Registry("frontend")
"""Every frontend by the ending of the files that it reads."""

FRONTENDS.add(".net", parse)


def frontend_for(path: str) -> Frontend:
    """The frontend for a file's name; the language of netspec reads files with any other ending."""
    return FRONTENDS.get(PurePath(path).suffix.lower(), parse)
