"""Registries: named members of one kind, such as layer types. Plug-ins can add members."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any, Generic, TypeVar

from netspec import plugins
from netspec.diagnostics import did_you_mean

T = TypeVar("T")


class Registry(Mapping[str, T], Generic[T]):
    """A read-only mapping from names to members, in the order in which they were added or announced.

    `noun` is the word for a member in messages. `group` is the entry-point group of plug-ins that provide
    more members. Plug-ins are imported by `load_plugins`, or when `find` is called with an unknown name.

    >>> pools: Registry[type] = Registry("pool")
    >>> pools.add("max", int), "max" in pools, pools.suggest("maxx")
    (<class 'int'>, True, 'did you mean `max`?')
    """

    def __init__(self, noun: str, group: str | None = None) -> None:
        self.noun, self.group = noun, group
        self._members: dict[str, T] = {}
        self._later: dict[str, str] = {}

    def add(self, name: str, member: T) -> T:
        """Add a member and return it.

        Raises:
            ValueError: another member has this name.
        """
        if self._members.get(name, member) is not member:
            raise ValueError(f"a {self.noun} named {name} already exists")
        self._members[name] = member
        return member

    def adds(self, *names: str) -> Callable[[T], T]:
        """Return a decorator that adds a member under each of these names."""

        def add(member: T) -> T:
            for name in names:
                self.add(name, member)
            return member

        return add

    def later(self, module: str, *names: str) -> None:
        """Announce members that a module adds; it is imported when one of them is first needed."""
        self._later.update(dict.fromkeys(names, module))

    def find(self, name: str) -> T | None:
        """Return the member with this name, or None. Plug-ins are imported if no built-in member matches."""
        self._load(name)
        if name not in self._members:
            self.load_plugins()
        return self._members.get(name)

    def _load(self, *names: str) -> None:
        """Import the modules of members that are needed now."""
        for name in names:
            if name in self._later and name not in self._members:
                import_module(self._later[name])

    def load_plugins(self) -> None:
        """Import the plug-ins of this kind and add their members.

        An entry point names either a member, or a module that adds its members when it is imported.
        """
        if self.group is not None:
            for entry, member in plugins.load(self.group):
                if entry not in self._members and not isinstance(member, ModuleType):
                    self._members[entry] = member

    def suggest(self, name: str) -> str:
        """Return a text that suggests the names most similar to `name`, or lists all names."""
        return did_you_mean(name, self) or f"expected one of {', '.join(self)}"

    def __getitem__(self, name: str) -> T:
        self._load(name)
        return self._members[name]

    def __contains__(self, name: object) -> bool:
        return name in self._members or name in self._later

    def __iter__(self) -> Iterator[str]:
        self._load(*self._later)
        ready = [name for name in self._members if name not in self._later]
        return iter([*ready, *(name for name in self._later if name in self._members)])

    def __len__(self) -> int:
        self._load(*self._later)
        return len(self._members)


def class_attributes(model: Any, **defaults: object) -> None:
    """Set attributes of a pydantic class that its subclasses may override without annotations.

    A `ClassVar` annotation would be evaluated again for every subclass, which took a tenth of the time of
    `netspec check`.
    """
    for name, value in defaults.items():
        setattr(model, name, value)
    model.__class_vars__ = {*model.__class_vars__, *defaults}


def resolve(spelling: str) -> Any:
    """Return the object that "module:name" refers to, importing the module.

    >>> resolve("math:sqrt")(4)
    2.0
    """
    module, _, name = spelling.partition(":")
    return getattr(import_module(module), name)
