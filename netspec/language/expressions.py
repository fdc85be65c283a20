"""Evaluates expressions. This always terminates, since there are no loops and sizes are limited."""

from __future__ import annotations

from collections.abc import Callable

from netspec.diagnostics import Span, did_you_mean
from netspec.language import ast as t
from netspec.language.functions import ARITHMETIC, COMPARISONS, FUNCTIONS, LONGEST
from netspec.language.names import Budget, Fault, Names, Unknown
from netspec.language.python import is_python, spec_of
from netspec.language.values import Call, described, kind_of, spell
from netspec.shape import ATTRIBUTES, has_attribute

LARGEST = 2**63


def evaluate(expr: t.Expr, names: Names, words: bool = False) -> object:
    """Return the value of an expression; with `words`, unknown names such as `flip` become a `Call`.

    Raises:
        Fault: the expression has no value.
        Unknown: it depends on a statement that has failed.
    """
    try:
        return bounded(value_of(expr, names, words), expr.span)
    except RecursionError:
        raise Fault("expression", "this expression is nested too deeply", expr.span) from None


def bounded(value: object, span: Span) -> object:
    """Return a value unchanged; raises Fault if it is a number that is too large."""
    if isinstance(value, int | float) and not isinstance(value, bool) and not abs(value) < LARGEST:
        raise Fault("too-large", "numbers must be below 2**63", span)
    return value


def sized(value: object, span: Span, budget: Budget) -> object:
    """Return a value unchanged; raises Fault if it has too many items, including nested ones."""
    left, waiting = LONGEST, [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            item = list(item.values())
        if isinstance(item, list | str):
            left -= len(item)
            if left < 0:
                raise Fault("too-large", f"a list or table can have at most {LONGEST:,} items", span)
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
            try:
                return pick(expr, value(expr.value), value(expr.index))
            except Fault as fault:
                if fault.diagnostic.code == "unknown-key" and isinstance(expr.index, t.Name):
                    names.mark_unknown(expr.index.id)
                raise
        case t.Slice():
            bounds = [None if x is None else value(x) for x in (expr.start, expr.stop)]
            return cut(expr, value(expr.value), bounds, names.budget)
        case t.Attribute():
            return attribute(expr, names)
        case t.CallExpr():
            return call(expr, names, value, words)
        case t.Reference():
            help = "a layer can be named after `<-` and as an argument of `concat`, `add`, `mul` or `share`"
            raise Fault("unknown-name", f"`{expr.path}` is a layer, not a value", expr.span, help)
        case t.Broken():
            raise Unknown


def key(expr: t.Expr, value: object) -> object:
    if isinstance(value, list | dict | Call):
        raise Fault("expression", f"{kind_of(value)} cannot be the key of a table", expr.span)
    return value


def whole(expr: t.Expr, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise Fault("wrong-type", f"sizes must be whole numbers, not {described(value)}", expr.span)
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
        raise Fault("expression", f"`{expr.id}` is a function: call it with ( )", expr.span)
    if names.shape_of(expr) is not None:
        help = f"`{expr.id}.channels` is a value, and so are height, width, features, tokens and numbers"
        raise Fault("unknown-name", f"`{expr.id}` is a layer, not a value", expr.span, help)
    message = f"the name `{expr.id}` is not defined"
    known = [*names.known(), *FUNCTIONS, "true", "false", "none"]
    raise Fault("unknown-name", message, expr.span, did_you_mean(expr.id, known))


def attempt(expr: t.Expr, compute: Callable[[], object], operands: list[object]) -> object:
    """Return the result of `compute`; convert Python's exceptions to faults."""
    kinds = " and ".join(kind_of(x) for x in operands)
    try:
        return compute()
    except ZeroDivisionError:
        raise Fault("expression", "division by zero", expr.span) from None
    except OverflowError:
        raise Fault("too-large", "the result is too large", expr.span) from None
    except (TypeError, ValueError, AttributeError):
        raise Fault("wrong-type", undefined(expr, operands, kinds), expr.span) from None


def undefined(expr: t.Expr, operands: list[object], kinds: str) -> str:
    """Return the message for an operation or function call that raised TypeError or ValueError."""
    if not isinstance(expr, t.CallExpr):
        return f"this operation is not defined for {kinds}"
    if not operands:
        return f"`{expr.name}` needs at least one value"
    if expr.name == "range" and operands[2:] == [0]:
        return "the step of `range` must not be 0"
    return f"`{expr.name}` is not defined for {kinds}"


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
                f"a list can have at most {LONGEST:,} items, not {len(left) * right:,}",
                expr.span,
            )
        return sized(left * right, expr.span, budget)
    if not numbers:
        message = f"`{expr.op}` needs numbers, not {kind_of(left)} and {kind_of(right)}"
        raise Fault("wrong-type", message, expr.span)
    if (
        expr.op == "**"
        and isinstance(right, int)
        and isinstance(left, int)
        and abs(right) * left.bit_length() > 128
    ):
        raise Fault("too-large", f"{left} ** {right} is too large: numbers must be below 2**63", expr.span)
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
            known = f"its keys are {', '.join(map(str, value))}" if value else "it is empty"
            raise Fault("unknown-key", f"the table has no key {spell(index)}: {known}", expr.index.span)
        return value[index]
    if not isinstance(value, list | tuple | str):
        raise Fault("wrong-type", f"{kind_of(value)} has no items", expr.span)
    if not isinstance(index, int):
        message = f"the index of an item must be a whole number, not {kind_of(index)}"
        raise Fault("wrong-type", message, expr.index.span)
    if not -len(value) <= index < len(value):
        message = f"there is no item {index}: the {len(value)} items are counted from 0"
        raise Fault("unknown-key", message, expr.index.span)
    return value[index]


def cut(expr: t.Slice, value: object, bounds: list[object], budget: Budget) -> object:
    """Return a slice of a list or string, as in Python."""
    if not isinstance(value, list | str):
        raise Fault("wrong-type", f"{kind_of(value)} has no items", expr.span)
    places = [
        None if bound is None else whole_bound(bound, place or expr)
        for bound, place in zip(bounds, (expr.start, expr.stop), strict=True)
    ]
    return sized(value[places[0] : places[1]], expr.span, budget)


def whole_bound(bound: object, place: t.Expr) -> int:
    if isinstance(bound, bool) or not isinstance(bound, int):
        raise Fault(
            "wrong-type", f"the bounds of a slice must be whole numbers, not {described(bound)}", place.span
        )
    return bound


def attribute(expr: t.Attribute, names: Names) -> object:
    shape = names.shape_of(expr.value)
    if shape is None:
        what = f"`{expr.value.span.text}` is not a layer"
        help = spec_of(expr.span.text) if is_python(expr.span.text) else None
        raise Fault("unknown-name", f"{what}, and only layers have `.{expr.name}`", expr.span, help)
    if expr.name not in ATTRIBUTES:
        help = did_you_mean(expr.name, ATTRIBUTES) or f"its attributes are {', '.join(ATTRIBUTES)}"
        raise Fault("unknown-name", f"a shape has no attribute `{expr.name}`", expr.span, help)
    if not has_attribute(shape, expr.name):
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
                "expression", f"zip needs lists of equal length, but these have {sizes} items", expr.span
            )
        names.budget.spend(sum(len(x) for x in shown if isinstance(x, list)), expr.span)
        result = attempt(expr, lambda: FUNCTIONS[expr.name](*args, **kwargs), shown)
        return sized(list(result) if isinstance(result, tuple) else result, expr.span, names.budget)
    if words:
        return Call(expr.name, tuple(args), kwargs)
    message = f"there is no function `{expr.name}`"
    raise Fault("unknown-name", message, expr.span, did_you_mean(expr.name, FUNCTIONS))
