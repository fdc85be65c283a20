"""Registries: everything of one kind that has a name, which plug-ins can add to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any, Generic, TypeVar

from netspec import plugins
from netspec.diagnostics import did_you_mean

T = TypeVar("T")


class Registry(Mapping[str, T], Generic[T]):
    """The members of one kind by their names, in the order in which they were added.

    `noun` is what messages call a member. `group` is the entry-point group in which installed packages offer
    more members; they are imported when `find` meets a name that is not here, or by `load_plugins`.

    >>> pools: Registry[type] = Registry("pool")
    >>> pools.add("max", int), "max" in pools, pools.suggest("maxx")
    (<class 'int'>, True, 'did you mean `max`?')
    """

    def __init__(self, noun: str, group: str | None = None) -> None:
        self.noun, self.group = noun, group
        self._members: dict[str, T] = {}

    def add(self, name: str, member: T) -> T:
        """Add a member and give it back.

        Raises:
            ValueError: the name is taken by another member.
        """
        if self._members.get(name, member) is not member:
            raise ValueError(f"there is already a {self.noun} named {name}")
        self._members[name] = member
        return member

    def find(self, name: str) -> T | None:
        """The member of a name, from an installed plug-in where it is not built in, or None."""
        if name not in self._members:
            self.load_plugins()
        return self._members.get(name)

    def load_plugins(self) -> None:
        """Import the plug-ins of this kind and add their members.

        An entry point names a member, or a module that adds its members when it is imported.
        """
        if self.group is not None:
            for entry, member in plugins.load(self.group):
                if entry not in self._members and not isinstance(member, ModuleType):
                    self._members[entry] = member

    def suggest(self, name: str) -> str:
        """The nearest known names as a help line, or all of them."""
        return did_you_mean(name, self._members) or f"known are {', '.join(self._members)}"

    def __getitem__(self, name: str) -> T:
        return self._members[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)


def resolve(spelling: str) -> Any:
    """Import what "module:name" names.

    >>> resolve("math:sqrt")(4)
    2.0
    """
    module, _, name = spelling.partition(":")
    return getattr(import_module(module), name)
