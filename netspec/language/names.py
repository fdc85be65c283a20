"""The names that expressions can use, and the errors and limits of evaluating them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from netspec.diagnostics import Diagnostic, Span
from netspec.language import ast as t
from netspec.shape import Shape


class Fault(Exception):
    """An error with its diagnostic, raised where it occurs and collected by the checker."""

    def __init__(self, code: str, message: str, span: Span, help: str | None = None) -> None:
        self.diagnostic = Diagnostic(code, message, span, help=help)
        super().__init__(message)


class Exhausted(Fault):
    """The spec asks for more work than is allowed; checking stops."""


class Unknown(Exception):
    """A value depends on something that failed and was reported already."""


MOST_WORK = 5_000_000


@dataclass
class Budget:
    """The work that the expressions of a spec may still do, in items created or compared."""

    left: int = MOST_WORK

    def spend(self, items: int, span: Span) -> None:
        """Count work; raises Exhausted if there is too much."""
        self.left -= items
        if self.left < 0:
            raise Exhausted("too-large", f"the expressions compute more than {MOST_WORK:,} values", span)


@dataclass
class Names:
    """The names in scope at an expression, and how to find the shapes of layers."""

    values: dict[str, object] = field(default_factory=dict)
    parent: Names | None = None
    shape_of: Callable[[t.Expr], Shape | None] = lambda expr: None
    budget: Budget = field(default_factory=Budget)
    symbols: dict[str, str] = field(default_factory=dict)
    """Python expressions for names, in terms of the parameters of the block around them."""
    block: bool = False
    """Whether these are the parameters of a block, whose symbols are the outermost that it can use."""
    bindings: dict[str, tuple[str, object]] = field(default_factory=dict)
    """Of a block: the names that it binds to expressions of its parameters, with their values."""

    def child(self) -> Names:
        return Names({}, self, self.shape_of, self.budget)

    def bind(self, name: str, value: object, symbol: str | None = None) -> None:
        """Give a name its value, and its Python expression inside a block: its own name if that is unique."""
        block = self.around()
        taken = block is None or (name in block.values and name not in block.bindings)
        self.values[name] = value
        self.symbols.pop(name, None)
        if symbol is None:
            return
        if not taken and block is not None:
            taken = block.bindings.setdefault(name, (symbol, value)) != (symbol, value)
        self.symbols[name] = symbol if taken else f"_{name}"

    def around(self) -> Names | None:
        """The names of the innermost block, or None outside of blocks."""
        return self if self.block else self.parent and self.parent.around()

    def symbol(self, name: str) -> str | None:
        """The Python expression of a name, or None where it has none."""
        if name in self.values or name in self.symbols:
            return self.symbols.get(name)
        return None if self.block or self.parent is None else self.parent.symbol(name)

    def find(self, name: str) -> Names | None:
        return self if name in self.values else self.parent and self.parent.find(name)

    def known(self) -> list[str]:
        return [*self.values, *(self.parent.known() if self.parent else [])]
