"""Translates arguments to Python expressions in the parameters of a block, for the generated source."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from netspec.language import ast as t
from netspec.language.names import Names

SIGNS = {"+", "-", "*", "/", "//", "%", "**", "and", "or"}
CALLS = {"min", "max", "int", "abs"}
"""Functions with the same names in Python."""
PARAMETER = re.compile(r"\b(?:_[A-Za-z_]\w*|in_channels)\b")


def symbolic(expr: t.Expr, names: Names) -> str | None:
    """Return an expression in Python if it uses parameters of the block and nothing else, otherwise None.

    Parameters are written with a leading `_`, and the channels of the block's input as `in_channels`.
    """
    if isinstance(expr, t.Literal):
        return None
    text = _text(expr, names)
    return text if text is not None and PARAMETER.search(text) else None


def _text(expr: t.Expr, names: Names) -> str | None:
    """Return an expression in Python with parentheses around every operation, or None if impossible."""
    match expr:
        case t.Literal(value=bool() | str() | None):
            return repr(expr.value)
        case t.Literal(value=int() | float()):
            return repr(float(expr.value) if isinstance(expr.value, float) else expr.value)
        case t.Size():
            parts = [p for p in expr.parts if p is not None]
            whole = len(parts) == len(expr.parts)
            return _joined(parts, names, lambda *xs: f"({', '.join(xs)},)") if whole else None
        case t.Name():
            return names.symbol(expr.id)
        case t.Attribute(value=t.Name(id="in"), name="channels" | "features"):
            return names.symbol("in")
        case t.Unary():
            return _joined([expr.operand], names, lambda x: f"({expr.op} {x})")
        case t.Binary() if expr.op in SIGNS:
            return _joined([expr.left, expr.right], names, lambda x, y: f"({x} {expr.op} {y})")
        case t.Compare(rest=((sign, other),)):
            return _joined([expr.first, other], names, lambda x, y: f"({x} {sign} {y})")
        case t.Choice():
            parts = [expr.yes, expr.condition, expr.no]
            return _joined(parts, names, lambda x, y, z: f"({x} if {y} else {z})")
        case t.CallExpr() if expr.name in CALLS and all(a.name is None for a in expr.arguments):
            values = [a.value for a in expr.arguments]
            return _joined(values, names, lambda *xs: f"{expr.name}({', '.join(xs)})")
    return None


def _joined(parts: list[t.Expr], names: Names, join: Callable[..., str]) -> str | None:
    texts = [_text(part, names) for part in parts]
    return None if None in texts else join(*texts)


def defaults(parameters: tuple[t.Parameter, ...]) -> Mapping[str, object]:
    """Return the defaults of a block's parameters that are plain numbers, strings or booleans."""
    plain = ((p.name, p.default.value) for p in parameters if isinstance(p.default, t.Literal))
    return {name: value for name, value in plain if type(value) in (bool, int, float, str)}
