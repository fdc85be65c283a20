"""The output formats of `netspec check`, each in a module with the name that `--format` accepts.

Each module defines `FORMAT`. A plug-in provides a `Format` in the entry-point group `netspec.formats`.
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
    """Options for writing reports. A format ignores options that it does not support."""

    batch: int | None = None
    """The batch size for the estimate of training memory; by default the batch size in the recipe."""
    depth: int | None = None
    """The number of levels of blocks and groups to show; each deeper block or group becomes one row."""
    ops: bool = False
    """Whether to count operations other than MACs."""
    explain: bool = False
    """Whether to show the arithmetic of every layer."""
    data: DatasetInfo | None = None
    """The data set whose size is compared with the number of parameters."""


@dataclass(frozen=True)
class Format:
    """An output format: a function that returns reports as text for standard output."""

    write: Callable[[Sequence[Report], Options], str]
    holds_diagnostics: bool = False
    """Whether the text contains the diagnostics, which otherwise go to standard error."""


PLUGINS: Registry[Format] = Registry("output format", "netspec.formats")
"""The formats of plug-ins. The built-in formats are the modules of this package."""


def builtin() -> list[str]:
    """Return the names of the built-in formats, without importing them."""
    return [module.name for module in pkgutil.iter_modules(__path__)]


def names() -> list[str]:
    """Return the names of all formats, including those of installed plug-ins, without importing them."""
    return list(dict.fromkeys([*builtin(), *PLUGINS, *plugins.names("netspec.formats")]))


def find(name: str) -> Format:
    """Return the format with this name.

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
