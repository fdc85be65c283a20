"""Builds the tree of modules of a trace, in an order in which the calls of each module are contiguous."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush

from netspec.frontends.trace import Step, Trace, TraceError

CONTAINERS = {"Sequential", "ModuleList", "ModuleDict", ""}
"""Classes whose instances can have any content, and which therefore never become blocks."""


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
        """Return the values computed outside the module that it uses, in the order of their first use."""
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

    If the calls of a container such as an nn.ModuleList alternate with other calls that depend on them, the
    container cannot be one group. It is dissolved: its children become children of its parent, with labels
    such as `convs.0`.
    """
    dissolved: set[str] = set()
    while True:
        root = unordered(trace, dissolved)
        split = {m.path for module in root.modules() for m in order(module)}
        if not split:
            return root
        if split <= dissolved:
            raise TraceError(f"the calls of {', '.join(sorted(split))} depend on each other in a cycle")
        dissolved |= split


def unordered(trace: Trace, dissolved: set[str]) -> Module:
    """Build the tree of modules; the children of each module are in the order of their first calls."""
    root = Module("", "", "", None)
    found = {"": root}

    def place(path: str) -> tuple[Module, str]:
        """Return the module that contains the calls of a path, and a prefix for their labels.

        For a dissolved module, that is the innermost module around it that is not dissolved.
        """
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
    """Sort a module's children by data flow; return the modules that make this impossible.

    If the children depend on each other in a cycle, the returned modules are those whose calls alternate with
    other calls.
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
    """Return True if there are other calls between the calls of a module."""
    ids = [call.id for call in module.calls()]
    return max(ids) - min(ids) + 1 > len(ids)


def calls_of(child: Module | Call) -> Iterator[Call]:
    """Return an iterator over the calls in a child of a module."""
    return child.calls() if isinstance(child, Module) else iter((child,))
