"""Expressions of the language: what they mean in Python, and total (no loops, no I/O, bounded sizes)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from netspec.diagnostics import Diagnostic, Span, did_you_mean
from netspec.language import ast as t
from netspec.language.functions import ARITHMETIC, COMPARISONS, FUNCTIONS, LONGEST
from netspec.language.values import Call, kind_of
from netspec.shape import ATTRIBUTES, Shape

LARGEST = 2**63


class Fault(Exception):
    """A fault with its place, on its way to the list of diagnostics."""

    def __init__(self, code: str, message: str, span: Span, help: str | None = None) -> None:
        self.diagnostic = Diagnostic(code, message, span, help=help)
        super().__init__(message)


class Exhausted(Fault):
    """The spec asks for more work than the language allows; nothing after it is looked at."""


class Unknown(Exception):
    """A value depends on something that was reported already; nothing more need be said."""


MOST_WORK = 5_000_000


@dataclass
class Budget:
    """What is left of the work that all expressions of a spec may do: items made and looked at."""

    left: int = MOST_WORK

    def spend(self, items: int, span: Span) -> None:
        self.left -= items
        if self.left < 0:
            raise Exhausted("too-large", f"the expressions make more than {MOST_WORK:,} values", span)


@dataclass
class Names:
    """The compile-time values that an expression can see, and where shapes of layers are found."""

    values: dict[str, object] = field(default_factory=dict)
    parent: Names | None = None
    shape_of: Callable[[t.Expr], Shape | None] = lambda expr: None
    budget: Budget = field(default_factory=Budget)

    def child(self) -> Names:
        return Names({}, self, self.shape_of, self.budget)

    def find(self, name: str) -> Names | None:
        return self if name in self.values else self.parent and self.parent.find(name)

    def known(self) -> list[str]:
        return [*self.values, *(self.parent.known() if self.parent else [])]


def evaluate(expr: t.Expr, names: Names, words: bool = False) -> object:
    """The value of an expression; with `words`, an unknown name such as `flip` or `sgd()` stands for itself.

    Raises:
        Fault: the expression has no value, with the place and the reason.
        Unknown: it depends on something that was reported already.
    """
    try:
        return bounded(value_of(expr, names, words), expr.span)
    except RecursionError:
        raise Fault("expression", "this expression is nested too deeply", expr.span) from None


def bounded(value: object, span: Span) -> object:
    if isinstance(value, int | float) and not isinstance(value, bool) and not abs(value) < LARGEST:
        raise Fault("too-large", "this number is beyond 2**63, the largest that a spec can hold", span)
    return value


def sized(value: object, span: Span, budget: Budget) -> object:
    """Refuse a list or table of more than LONGEST items, those of the inner ones counted."""
    left, waiting = LONGEST, [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            item = list(item.values())
        if isinstance(item, list | str):
            left -= len(item)
            if left < 0:
                raise Fault(
                    "too-large", f"this has more than {LONGEST:,} items, the most that a spec can hold", span
                )
            waiting.extend(x for x in item if isinstance(x, list | dict))
    budget.spend(LONGEST - left, span)
    return value


def value_of(expr: t.Expr, names: Names, words: bool) -> object:
    def value(inner: t.Expr) -> object:
        return bounded(value_of(inner, names, words), inner.span)

    match expr:
        case t.Literal():
            return expr.value
        case t.Name():
            return lookup(expr, names, words)
        case t.List():
            return sized([value(x) for x in expr.items], expr.span, names.budget)
        case t.Table():
            return sized({key(k, value(k)): value(v) for k, v in expr.pairs}, expr.span, names.budget)
        case t.Size():
            return tuple(None if p is None else whole(p, value(p)) for p in expr.parts)
        case t.Unary(op="not"):
            return not value(expr.operand)
        case t.Unary():
            number = value(expr.operand)
            return attempt(expr, lambda: -number if expr.op == "-" else +number, [number])  # type: ignore[operator]
        case t.Binary(op="and"):
            return value(expr.left) and value(expr.right)
        case t.Binary(op="or"):
            return value(expr.left) or value(expr.right)
        case t.Binary():
            return arithmetic(expr, value(expr.left), value(expr.right), names.budget)
        case t.Compare():
            return compare(expr, value, names.budget)
        case t.Choice():
            return value(expr.yes) if value(expr.condition) else value(expr.no)
        case t.Index():
            return pick(expr, value(expr.value), value(expr.index))
        case t.Slice():
            bounds = [None if x is None else value(x) for x in (expr.start, expr.stop)]
            return cut(expr, value(expr.value), bounds, names.budget)
        case t.Attribute():
            return attribute(expr, names)
        case t.CallExpr():
            return call(expr, names, value, words)
        case t.Reference():
            help = "a layer stands behind `<-`, or among the arguments of `concat`, `add`, `mul` and `share`"
            raise Fault("unknown-name", f"`{expr.path}` names a layer, not a value", expr.span, help)
        case t.Broken():
            raise Unknown


def key(expr: t.Expr, value: object) -> object:
    if isinstance(value, list | dict | Call):
        raise Fault("expression", f"{kind_of(value)} cannot be a key of a table", expr.span)
    return value


def whole(expr: t.Expr, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise Fault(
            "wrong-type", f"a size is made of whole numbers, but {kind_of(value)} stands here", expr.span
        )
    return value


def lookup(expr: t.Name, names: Names, words: bool) -> object:
    found = names.find(expr.id)
    if found:
        if found.values[expr.id] is Unknown:
            raise Unknown
        return found.values[expr.id]
    if words:
        return Call(expr.id)
    if expr.id in FUNCTIONS:
        raise Fault("expression", f"`{expr.id}` is a function: it is called with ( )", expr.span)
    if names.shape_of(expr) is not None:
        help = f"`{expr.id}.channels` is a number, and so are its height, width, features, tokens and numbers"
        raise Fault("unknown-name", f"`{expr.id}` is a layer, not a value", expr.span, help)
    message = f"there is no name `{expr.id}` here"
    known = [*names.known(), *FUNCTIONS, "true", "false", "none"]
    raise Fault("unknown-name", message, expr.span, did_you_mean(expr.id, known))


def attempt(expr: t.Expr, compute: Callable[[], object], operands: list[object]) -> object:
    """Compute, and turn what Python refuses into a fault of the spec."""
    kinds = " and ".join(kind_of(x) for x in operands)
    try:
        return compute()
    except ZeroDivisionError:
        raise Fault("expression", "this divides by zero", expr.span) from None
    except OverflowError:
        raise Fault("too-large", "this number is beyond what a spec can hold", expr.span) from None
    except (TypeError, ValueError, AttributeError):
        raise Fault("wrong-type", f"this cannot be computed for {kinds}", expr.span) from None


def arithmetic(expr: t.Binary, left: object, right: object, budget: Budget) -> object:
    numbers = isinstance(left, int | float) and isinstance(right, int | float)
    if expr.op == "+" and type(left) is type(right) and isinstance(left, list | str):
        return sized(left + right, expr.span, budget)  # type: ignore[operator]
    if expr.op == "*" and isinstance(right, list) and isinstance(left, int):
        left, right = right, left
    if expr.op == "*" and isinstance(left, list) and isinstance(right, int):
        if len(left) * right > LONGEST:
            raise Fault(
                "too-large",
                f"this list would have {len(left) * right:,} items, beyond {LONGEST:,}",
                expr.span,
            )
        return sized(left * right, expr.span, budget)
    if not numbers:
        message = f"`{expr.op}` works on numbers, but {kind_of(left)} and {kind_of(right)} stand here"
        raise Fault("wrong-type", message, expr.span)
    if (
        expr.op == "**"
        and isinstance(right, int)
        and isinstance(left, int)
        and abs(right) * left.bit_length() > 128
    ):
        raise Fault(
            "too-large", f"{left} ** {right} is beyond 2**63, the largest that a spec can hold", expr.span
        )
    result = attempt(expr, lambda: ARITHMETIC[expr.op](left, right), [left, right])
    if isinstance(result, complex):
        raise Fault("expression", f"{left} ** {right} is not a real number", expr.span)
    return result


def compare(expr: t.Compare, value: Callable[[t.Expr], object], budget: Budget) -> bool:
    left = value(expr.first)
    for op, inner in expr.rest:
        right = value(inner)
        budget.spend(len(right) if isinstance(right, list) else 1, expr.span)
        holds = attempt(expr, lambda op=op, a=left, b=right: COMPARISONS[op](a, b), [left, right])  # type: ignore[misc]
        if not holds:
            return False
        left = right
    return True


def pick(expr: t.Index, value: object, index: object) -> object:
    if isinstance(value, dict):
        if isinstance(index, list | dict | Call) or index not in value:
            known = ", ".join(map(str, value))
            raise Fault("unknown-key", f"the table has no entry for {index}: it has {known}", expr.index.span)
        return value[index]
    if not isinstance(value, list | tuple | str):
        raise Fault("wrong-type", f"{kind_of(value)} has no items to pick from", expr.span)
    if not isinstance(index, int) or not -len(value) <= index < len(value):
        message = f"there is no item {index} in a list of {len(value)}, which are counted from 0"
        raise Fault("unknown-key", message, expr.index.span)
    return value[index]


def cut(expr: t.Slice, value: object, bounds: list[object], budget: Budget) -> object:
    """The items between two bounds, as Python cuts them."""
    if not isinstance(value, list | str):
        raise Fault("wrong-type", f"{kind_of(value)} has no items to pick from", expr.span)
    places = [
        None if bound is None else whole_bound(bound, place or expr)
        for bound, place in zip(bounds, (expr.start, expr.stop), strict=True)
    ]
    return sized(value[places[0] : places[1]], expr.span, budget)


def whole_bound(bound: object, place: t.Expr) -> int:
    if isinstance(bound, bool) or not isinstance(bound, int):
        raise Fault("wrong-type", f"a list is cut at whole numbers, not at {kind_of(bound)}", place.span)
    return bound


def attribute(expr: t.Attribute, names: Names) -> object:
    shape = names.shape_of(expr.value)
    if shape is None:
        what = f"`{expr.value.span.text}` is not a layer here"
        raise Fault("unknown-name", f"{what}, and only the shapes of layers have `.{expr.name}`", expr.span)
    if expr.name not in ATTRIBUTES:
        help = did_you_mean(expr.name, ATTRIBUTES) or f"a shape has {', '.join(ATTRIBUTES)}"
        raise Fault("unknown-name", f"a shape has no `{expr.name}`", expr.span, help)
    if len(shape) not in ATTRIBUTES[expr.name]:
        raise Fault("shape-mismatch", f"{shape} has no {expr.name}", expr.span)
    return getattr(shape, expr.name)


def call(expr: t.CallExpr, names: Names, value: Callable[[t.Expr], object], words: bool) -> object:
    args = [value(a.value) for a in expr.arguments if a.name is None]
    kwargs = {a.name: value(a.value) for a in expr.arguments if a.name is not None}
    if expr.name in FUNCTIONS:
        shown = [*args, *kwargs.values()]
        if expr.name == "zip" and len({len(x) for x in args if isinstance(x, list)}) > 1:
            sizes = " and ".join(str(len(x)) for x in args if isinstance(x, list))
            raise Fault(
                "expression", f"zip pairs lists of one length, but these have {sizes} items", expr.span
            )
        names.budget.spend(sum(len(x) for x in shown if isinstance(x, list)), expr.span)
        result = attempt(expr, lambda: FUNCTIONS[expr.name](*args, **kwargs), shown)
        return sized(list(result) if isinstance(result, tuple) else result, expr.span, names.budget)
    if words:
        return Call(expr.name, tuple(args), kwargs)
    message = f"there is no function `{expr.name}`"
    raise Fault("unknown-name", message, expr.span, did_you_mean(expr.name, FUNCTIONS))
