"""The output formats of `netspec check`: one module each, named as `--format` names it.

A module defines `FORMAT`. A plug-in offers its own `Format` under the entry-point group `netspec.formats`.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module

from netspec import plugins
from netspec.checker import Report
from netspec.datasets.info import DatasetInfo
from netspec.errors import NetspecError
from netspec.registry import Registry


@dataclass(frozen=True)
class Options:
    """What a report shows beside the layers; a format ignores the options that it has no place for."""

    batch: int | None = None
    """Images in a training batch for the memory estimate; the recipe's by default."""
    depth: int | None = None
    """Levels of blocks and groups to show; deeper ones are folded into one row each."""
    ops: bool = False
    """Whether to count operations other than MACs."""
    explain: bool = False
    """Whether to show the arithmetic of every layer."""
    data: DatasetInfo | None = None
    """The data set whose images the parameters are compared with."""


@dataclass(frozen=True)
class Format:
    """An output format: how reports become the text that is written to standard output."""

    write: Callable[[Sequence[Report], Options], str]
    holds_diagnostics: bool = False
    """Whether the text holds the diagnostics, which otherwise go to standard error."""


PLUGINS: Registry[Format] = Registry("output format", "netspec.formats")
"""The formats of plug-ins; the built-in ones are the modules of this package."""


def builtin() -> list[str]:
    """The names of the built-in formats, without importing them."""
    return [module.name for module in pkgutil.iter_modules(__path__)]


def names() -> list[str]:
    """The names of all formats, those of installed plug-ins included, without importing any."""
    return list(dict.fromkeys([*builtin(), *PLUGINS, *plugins.names("netspec.formats")]))


def find(name: str) -> Format:
    """Look up a format by its name.

    Raises:
        NetspecError: there is no such format.
    """
    if name in builtin():
        found: Format | None = import_module(f"{__name__}.{name}").FORMAT
    else:
        found = PLUGINS.find(name)
    if found is None:
        message = f"there is no output format `{name}`: choose from {', '.join(names())}"
        raise NetspecError(message, wrong_use=True)
    return found
