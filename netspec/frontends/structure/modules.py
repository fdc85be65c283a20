"""The tree of modules of a trace, in an order of execution in which each module's calls are contiguous."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush

from netspec.frontends.trace import Step, Trace, TraceError

CONTAINERS = {"Sequential", "ModuleList", "ModuleDict", ""}
"""Classes that say nothing about their content, and that therefore never become blocks."""


@dataclass(eq=False)
class Call:
    """A step in the tree of modules; `id` is its index in the trace."""

    id: int
    step: Step
    parent: Module
    label: str = ""


@dataclass(eq=False)
class Module:
    """A module of the traced program, with its calls and inner modules in order of execution."""

    label: str
    path: str
    kind: str
    parent: Module | None
    children: list[Module | Call] = field(default_factory=list)

    def calls(self) -> Iterator[Call]:
        """Yield all calls in this module and the modules inside it, in order."""
        for child in self.children:
            if isinstance(child, Module):
                yield from child.calls()
            else:
                yield child

    def modules(self) -> Iterator[Module]:
        """Yield this module and all modules inside it."""
        yield self
        for child in self.children:
            if isinstance(child, Module):
                yield from child.modules()

    def inputs(self) -> list[int]:
        """Return the values that the module takes from outside, in the order of their first use."""
        inside = {c.id for c in self.calls()}
        return list(dict.fromkeys(i for c in self.calls() for i in c.step.inputs if i not in inside))

    @property
    def output(self) -> int:
        """The value of the last call."""
        return list(self.calls())[-1].id

    @property
    def height(self) -> int:
        """The number of levels of modules inside this one."""
        return max((c.height + 1 for c in self.children if isinstance(c, Module)), default=0)


def nest(trace: Trace) -> Module:
    """Build the tree of modules of a trace.

    A container such as an nn.ModuleList whose calls alternate with other calls that depend on them cannot be
    one group. It is dissolved: its children join its parent, with labels such as `convs.0`.
    """
    dissolved: set[str] = set()
    while True:
        root = unordered(trace, dissolved)
        torn = {m.path for module in root.modules() for m in order(module)}
        if not torn:
            return root
        if torn <= dissolved:
            raise TraceError(f"the calls of {', '.join(sorted(torn))} depend on each other in a cycle")
        dissolved |= torn


def unordered(trace: Trace, dissolved: set[str]) -> Module:
    """Build the tree of modules, each with its children in the order of their first call."""
    root = Module("", "", "", None)
    found = {"": root}

    def place(path: str) -> tuple[Module, str]:
        """Return the module at a path, or that around a dissolved one, and the prefix of labels in it."""
        if path in dissolved:
            outer, _, name = path.rpartition(".")
            owner, prefix = place(outer)
            return owner, f"{prefix}{name}."
        if path not in found:
            outer, _, name = path.rpartition(".")
            owner, prefix = place(outer)
            found[path] = Module(prefix + name, path, trace.classes.get(path, ""), owner)
            owner.children.append(found[path])
        return found[path], ""

    for id, step in enumerate(trace.steps):
        owner, prefix = place(step.module)
        owner.children.append(Call(id, step, owner, prefix + step.name if step.name else ""))
    return root


def order(module: Module) -> list[Module]:
    """Sort a module's children by their data flow.

    If children depend on each other in a cycle, return those whose calls alternate with calls of others.
    """
    calls = [list(calls_of(child)) for child in module.children]
    place = {call.id: k for k, own in enumerate(calls) for call in own}
    needed = [
        {place[i] for c in own for i in c.step.inputs if place.get(i, k) != k} for k, own in enumerate(calls)
    ]
    users: list[list[int]] = [[] for _ in calls]
    for k, before in enumerate(needed):
        for other in before:
            users[other].append(k)
    ready = [(calls[k][0].id, k) for k, before in enumerate(needed) if not before]
    heapify(ready)
    done: list[int] = []
    while ready:
        done.append(heappop(ready)[1])
        for other in users[done[-1]]:
            needed[other].discard(done[-1])
            if not needed[other]:
                heappush(ready, (calls[other][0].id, other))
    if len(done) == len(calls):
        module.children = [module.children[k] for k in done]
        return []
    stuck = [child for child, before in zip(module.children, needed, strict=True) if before]
    return [m for m in stuck if isinstance(m, Module) and interrupted(m)]


def interrupted(module: Module) -> bool:
    """Return True if other calls come between the calls of a module."""
    ids = [call.id for call in module.calls()]
    return max(ids) - min(ids) + 1 > len(ids)


def calls_of(child: Module | Call) -> Iterator[Call]:
    """Yield the calls of a child of a module."""
    return child.calls() if isinstance(child, Module) else iter((child,))
