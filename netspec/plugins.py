"""Plug-ins: layer types, data sets and output formats that other packages register as entry points."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from netspec.errors import NetspecError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUPS = ("netspec.ops", "netspec.datasets", "netspec.formats")
"""The entry-point groups in which a package can provide plug-ins."""


class PluginError(NetspecError):
    """An installed plug-in cannot be imported or compiled."""


@dataclass(frozen=True)
class Plugin:
    """A layer type, data set or output format that an installed package provides."""

    group: str
    name: str
    distribution: str
    version: str

    def __str__(self) -> str:
        return f"{self.name} from {self.distribution} {self.version}"


_allowed: ContextVar[bool] = ContextVar("plugins", default=True)
_loaded: dict[Plugin, Any] = {}


def loaded() -> tuple[Plugin, ...]:
    """Return the plug-ins that this process has imported."""
    return tuple(_loaded)


@contextmanager
def disabled() -> Iterator[None]:
    """Disable the import of plug-ins inside this context."""
    token = _allowed.set(False)
    try:
        yield
    finally:
        _allowed.reset(token)


def provider(member: type) -> Plugin | None:
    """Return the plug-in that provides `member`, or None if netspec itself provides it."""
    for plugin, found in _loaded.items():
        if found is member or getattr(found, "__name__", None) == member.__module__:
            return plugin
    return None


def names(group: str) -> list[str]:
    """Return the names that installed packages provide in a group, without importing them."""
    return [entry.name for entry in _entry_points(group, tuple(sys.path))] if _allowed.get() else []


@cache
def _entry_points(group: str, path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """Return the entry points of a group, cached for each value of `sys.path`."""
    from importlib.metadata import entry_points  # takes 25 ms, so only when needed

    return tuple(entry_points(group=group))


def load(group: str) -> Iterator[tuple[str, Any]]:
    """Import the plug-ins of a group and yield each with its name.

    Raises:
        PluginError: a plug-in fails to import.
    """
    if not _allowed.get():
        return
    for entry in _entry_points(group, tuple(sys.path)):
        name, version = (entry.dist.name, entry.dist.version) if entry.dist else ("?", "?")
        plugin = Plugin(group, entry.name, name, version)
        if plugin not in _loaded:
            try:
                _loaded[plugin] = entry.load()
            except Exception as error:  # a plug-in can raise any exception
                cause = f"{type(error).__name__}: {error}"
                message = f"the plug-in {plugin} cannot be imported ({cause})"
                raise PluginError(f"{message}: fix or uninstall {name}, or use `no_plugins`") from error
        yield entry.name, _loaded[plugin]
