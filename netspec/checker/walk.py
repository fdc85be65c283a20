"""Traverses a syntax tree."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from functools import cache

from netspec.language import ast as t


def walk(root: t.Tree) -> Iterator[t.Tree]:
    """Yield every node of a tree in source order, each before its children."""
    waiting: list[object] = [root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, t.Tree):
            yield node
            waiting.extend(getattr(node, name) for name in reversed(children(type(node).__name__)))
        elif isinstance(node, tuple):
            waiting.extend(reversed(node))


@cache
def children(kind: str) -> tuple[str, ...]:
    """Return the names of a node class's fields that contain other nodes."""
    plain = {"span", "text", "comments", "id", "name", "op"} | ({"value"} if kind == "Literal" else set())
    return tuple(f.name for f in fields(getattr(t, kind)) if f.name not in plain)


def mentioned(file: t.File) -> set[str]:
    """Return the names that a file's `expect` statements depend on.

    These include names in the conditions of enclosing `if` statements.
    """
    nodes = list(walk(file))
    choices = [n for n in nodes if isinstance(n, t.If) and any(isinstance(x, t.Expect) for x in walk(n))]
    used = {x.id for n in nodes if isinstance(n, t.Expect) for x in walk(n) if isinstance(x, t.Name)}
    used |= {x.id for n in choices for x in walk(n.condition) if isinstance(x, t.Name)}
    for bind in reversed([n for n in nodes if isinstance(n, t.Bind)]):
        if bind.name in used:
            used |= {x.id for x in walk(bind.value) if isinstance(x, t.Name)}
    return used
