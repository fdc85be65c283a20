"""Plug-ins: packages that add layer types, data sets and output formats by entry points."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from netspec.errors import NetspecError

GROUPS = ("netspec.ops", "netspec.datasets", "netspec.formats")
"""The groups of entry points in which a package can offer members."""


class PluginError(NetspecError):
    """An installed plug-in that cannot be imported."""


@dataclass(frozen=True)
class Plugin:
    """One member that an installed package offers."""

    group: str
    name: str
    distribution: str
    version: str

    def __str__(self) -> str:
        return f"{self.name} from {self.distribution} {self.version}"


_allowed: ContextVar[bool] = ContextVar("plugins", default=True)
_loaded: dict[Plugin, Any] = {}


def loaded() -> tuple[Plugin, ...]:
    """The plug-ins that this process has imported."""
    return tuple(_loaded)


@contextmanager
def disabled() -> Iterator[None]:
    """Import no plug-in inside this context."""
    token = _allowed.set(False)
    try:
        yield
    finally:
        _allowed.reset(token)


def load(group: str) -> Iterator[tuple[str, Any]]:
    """Import the members of a group, and give each with its name.

    Raises:
        PluginError: a plug-in fails to import.
    """
    if not _allowed.get():
        return
    from importlib.metadata import entry_points  # takes 25 ms, which most commands need not spend

    for entry in entry_points(group=group):
        name, version = (entry.dist.name, entry.dist.version) if entry.dist else ("?", "?")
        plugin = Plugin(group, entry.name, name, version)
        if plugin not in _loaded:
            try:
                _loaded[plugin] = entry.load()
            except Exception as error:  # a stranger's module can raise anything
                said = f"{type(error).__name__}: {error}"
                message = f"the plug-in {plugin} cannot be imported ({said})"
                raise PluginError(f"{message}: mend or uninstall {name}, or use `no_plugins`") from error
        yield entry.name, _loaded[plugin]
