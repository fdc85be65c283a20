"""The context of a statement: the names, blocks, defaults and labels in scope."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from netspec.checker.arguments import Given
from netspec.checker.naming import Naming
from netspec.diagnostics import Span
from netspec.language import ast as t
from netspec.language.names import Fault, Names

Value = int | None
"""The id of the node that computes a tensor: UNKNOWN after an error, None before the first input."""


@dataclass(frozen=True)
class BlockDefinition:
    """A block, with the names, blocks and defaults in scope where it is defined."""

    tree: t.Block
    names: Names
    blocks: dict[str, BlockDefinition]
    defaults: dict[str, dict[str, Given]]


@dataclass(frozen=True)
class Context:
    """The names, blocks, defaults and labels in scope at a statement, and the enclosing block calls.

    Inside the braces of a join such as `add { ... }`, `branches` collects the output of each branch.
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
    """A layer statement: its context, label, span and inputs. `named` is true if `<-` names the inputs."""

    ctx: Context
    label: str | None
    span: Span
    inputs: tuple[Value, ...]
    named: bool

    @property
    def input(self) -> Value:
        """Return the only input.

        Raises:
            Fault: there are several inputs.
        """
        if len(self.inputs) != 1:
            message = f"expected one input, not {len(self.inputs)}"
            raise Fault("wrong-arity", message, self.span.first_line())
        return self.inputs[0]


@dataclass(frozen=True)
class Made:
    """The result of a layer statement: its output, and the inner scope of a group, join or block."""

    value: Value
    inside: Naming | None = None


FRAMES = 4000


@contextmanager
def deep_recursion() -> Iterator[None]:
    """Raise Python's recursion limit inside this context, because deeply nested blocks need it."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, FRAMES))
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)
