"""The functions and operators of the language."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

LONGEST = 100_000
"""The maximum number of items in a list or table, including nested items."""


def bounded_range(*bounds: int) -> list[int]:
    """Return Python's `range` as a list; raises OverflowError if it is too long."""
    numbers = range(*bounds)
    if len(numbers) > LONGEST:
        raise OverflowError
    return list(numbers)


def bounded_round(number: float, digits: int | None = None) -> float:
    """Return a number rounded like Python's `round`, to at most 18 digits."""
    return round(number, None if digits is None else max(-18, min(18, digits)))


def make_divisible(value: float, divisor: int = 8, least: int | None = None) -> int:
    """Return a multiple of `divisor` near the value and at least 90 % of it, as MobileNetV2's code does."""
    rounded = max(least or divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


FUNCTIONS: Mapping[str, Callable[..., object]] = {
    "range": bounded_range,
    "len": len,
    "min": min,
    "max": max,
    "sum": sum,
    "round": bounded_round,
    "floor": math.floor,
    "ceil": math.ceil,
    "int": int,
    "abs": abs,
    "enumerate": lambda xs, start=0: [[i, x] for i, x in enumerate(xs, start)],
    "zip": lambda *xs: [list(x) for x in zip(*xs, strict=True)],
    "make_divisible": make_divisible,
}
ARITHMETIC: Mapping[str, Callable[[Any, Any], object]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
}
COMPARISONS: Mapping[str, Callable[[Any, Any], object]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "in": lambda a, b: a in b,
    "not in": lambda a, b: a not in b,
}
