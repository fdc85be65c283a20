"""The names that an expression can use, and the errors and limits of its evaluation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from netspec.diagnostics import Diagnostic, Span
from netspec.language import ast as t
from netspec.shape import Shape


class Fault(Exception):
    """An error in a spec. The checker collects its `diagnostic`."""

    def __init__(self, code: str, message: str, span: Span, help: str | None = None) -> None:
        self.diagnostic = Diagnostic(code, message, span, help=help)
        super().__init__(message)


class Exhausted(Fault):
    """The spec exceeds a limit on the work of the check, so the check stops."""


class Unknown(Exception):
    """A value depends on a statement that has failed. The failure has already been reported."""


class Refused(Exception):
    """The condition of an `assert` is false. This has already been reported, and the check stops."""


MOST_WORK = 5_000_000


@dataclass
class Budget:
    """The work that the expressions of a spec may still do, in items created or compared."""

    left: int = MOST_WORK

    def spend(self, items: int, span: Span) -> None:
        """Subtract work from the budget; raises Exhausted if it is used up."""
        self.left -= items
        if self.left < 0:
            raise Exhausted("too-large", f"the expressions compute more than {MOST_WORK:,} values", span)


@dataclass
class Names:
    """The names that an expression can use. `shape_of` looks up the shapes of layers."""

    values: dict[str, object] = field(default_factory=dict)
    parent: Names | None = None
    shape_of: Callable[[t.Expr], Shape | None] = lambda expr: None
    budget: Budget = field(default_factory=Budget)
    symbols: dict[str, str] = field(default_factory=dict)
    """The Python expressions of names, in the parameters of the enclosing block."""
    block: bool = False
    """Whether these are a block's parameters; its expressions cannot use `symbols` from outside the block."""
    bindings: dict[str, tuple[str, object]] = field(default_factory=dict)
    """The names that a block defines with expressions in its parameters: their expressions and values."""

    def child(self) -> Names:
        return Names({}, self, self.shape_of, self.budget)

    def bind(self, name: str, value: object, symbol: str | None = None) -> None:
        """Give a name a value and, inside a block, a Python expression.

        The expression is the name itself if the block binds the name only once; otherwise it is `symbol`.
        """
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
        """Return the names of the innermost enclosing block, or None outside blocks."""
        return self if self.block else self.parent and self.parent.around()

    def symbol(self, name: str) -> str | None:
        """Return the Python expression of a name, or None if it has none."""
        if name in self.values or name in self.symbols:
            return self.symbols.get(name)
        return None if self.block or self.parent is None else self.parent.symbol(name)

    def find(self, name: str) -> Names | None:
        return self if name in self.values else self.parent and self.parent.find(name)

    def mark_unknown(self, name: str) -> None:
        """Mark a name with a wrong value as unknown, so that the error is reported only once."""
        if scope := self.find(name):
            scope.values[name] = Unknown

    def known(self) -> list[str]:
        return [*self.values, *(self.parent.known() if self.parent else [])]
