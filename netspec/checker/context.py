"""What a statement sees around it while a tree is expanded."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from netspec.checker.arguments import Given
from netspec.checker.naming import Naming
from netspec.diagnostics import Span
from netspec.language import ast as t
from netspec.language.expressions import Fault, Names

Value = int | None
"""The id of the node that a value flows from; UNKNOWN after a fault, None where nothing flows yet."""


@dataclass(frozen=True)
class BlockDefinition:
    """A block, and what it sees where it is defined."""

    tree: t.Block
    names: Names
    blocks: dict[str, BlockDefinition]
    defaults: dict[str, dict[str, Given]]


@dataclass(frozen=True)
class Context:
    """Names, blocks, defaults and naming scope around a statement, and the calls of blocks that led there.

    `branches` is where the layers of a join's body put their values, each being a branch.
    """

    names: Names
    blocks: dict[str, BlockDefinition]
    defaults: dict[str, dict[str, Given]]
    naming: Naming
    input: Value = None
    calls: tuple[tuple[str, Span], ...] = ()
    branches: list[tuple[int, Span]] | None = None


@dataclass(frozen=True)
class Site:
    """Where a layer stands: its label, its place, and the values that flow in, named with `<-` or not."""

    ctx: Context
    label: str | None
    span: Span
    inputs: tuple[Value, ...]
    named: bool

    @property
    def input(self) -> Value:
        """The one value that flows in; several are a fault."""
        if len(self.inputs) != 1:
            message = f"one value can flow in here, not {len(self.inputs)}"
            raise Fault("wrong-arity", message, self.span.first_line())
        return self.inputs[0]


@dataclass(frozen=True)
class Made:
    """What a layer statement gives: a value, and the scope inside it if it has one."""

    value: Value
    inside: Naming | None = None


FRAMES = 4000


@contextmanager
def deep_recursion() -> Iterator[None]:
    """Allow for blocks nested as deep as the language does; Python's own frames take no C stack."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, FRAMES))
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)
