"""Converts elementwise arithmetic and functions."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any

from torch import fx

from netspec.convert.aten.axes import reshaped
from netspec.convert.reader import Reader
from netspec.convert.rows import Arguments, Value, aten, rank_of
from netspec.errors import ConvertError
from netspec.frontends.layout import BARE


def aligned(reader: Reader, node: fx.Node, rank: int) -> int:
    """Return a value to be broadcast over `rank` axes; leading axes of size 1 are added or removed."""
    value = reader.one(node)
    shape = tuple(reader.shape(value))
    if len(shape) == rank + 1 and reader.is_raw(value) and shape[0] == 1:
        return reshaped(reader, value, shape[1:])
    missing = rank - len(shape)
    if missing > 0:
        folded = reader.layout(node).folded if not reader.is_raw(value) else 0
        return reshaped(reader, value, (*shape[:folded], *(1,) * missing, *shape[folded:]))
    return value


def binary(op: str) -> Any:
    """Return a function that converts an elementwise operator on two tensors, or on a tensor and a scalar."""

    def row(reader: Reader, node: fx.Node, a: Arguments) -> Value:
        x, other = a["self"], a["other"]
        if a.get("alpha", 1) != 1:
            raise ConvertError(f"{reader.place}: netspec does not support {op} with alpha={a['alpha']}")
        number = reader.constants.number(other)
        other = other if number is None else number
        if isinstance(x, fx.Node) and isinstance(other, fx.Node):
            lead = x if not reader.is_raw(reader.one(x)) else other
            if rank_of(other) > rank_of(lead) and not reader.is_raw(reader.one(other)):
                lead = other
            if reader.is_raw(reader.one(x)) and reader.is_raw(reader.one(other)):
                lead = max((x, other), key=lambda n: (reader.layout(n).at, len(reader.shape(reader.one(n)))))
            rank = len(reader.shape(reader.one(lead)))
            reader.layouts[node] = reader.layout(lead)
            return reader.add(op, [aligned(reader, n, rank) for n in (x, other)], node)
        value, number = (x, other) if isinstance(x, fx.Node) else (other, x)
        return with_number(reader, op, reader.one(value), float(number), node)

    return row


def with_number(reader: Reader, op: str, value: int, number: float, node: fx.Node) -> int:
    """Return the result of `op` on a value and a scalar, with the layer `scale`."""
    shape = reader.shape(value)
    if op == "add":
        return reader.add("scale", value, shape, factor=1.0, offset=number)
    if op == "sub":
        return reader.add("scale", value, shape, factor=1.0, offset=-number)
    if op == "mul":
        return reader.add("scale", value, shape, factor=number, offset=0.0)
    return reader.add("scale", value, shape, factor=1 / number, offset=0.0)


for operator in ("add", "mul", "sub", "div"):
    aten(operator, f"{operator}_")(binary(operator))
for operator in ("maximum", "minimum"):
    aten(operator)(binary(operator))


FUNCTIONS = {name: name for name in ("exp", "sqrt", "abs", "sin", "cos", "log", "erf")}


@aten(*FUNCTIONS)
def function(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Convert an operator in FUNCTIONS."""
    value = reader.one(a["self"])
    return reader.add(FUNCTIONS[str(node.target).split(".")[1]], value, reader.shape(value))


@aten("pow", "square")
def power(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Convert `aten.pow` with a scalar exponent, or `aten.square`."""
    value = reader.one(a["self"])
    exponent = a.get("exponent", 2)
    if isinstance(exponent, fx.Node):
        raise ConvertError(f"{reader.place}: netspec does not support pow with a tensor exponent")
    return reader.add("pow", value, reader.shape(value), exponent=float(exponent))


@aten("rsqrt")
def rsqrt(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Convert `aten.rsqrt`."""
    value = reader.one(a["self"])
    return reader.add("pow", value, reader.shape(value), exponent=-0.5)


@aten("neg")
def negative(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Convert `aten.neg`."""
    value = reader.one(a["self"])
    return reader.add("scale", value, reader.shape(value), factor=-1.0, offset=0.0)


@aten("rsub")
def rsub(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Convert `aten.rsub` with a scalar, which computes `other - alpha * self`."""
    value = reader.one(a["self"])
    if isinstance(a["other"], fx.Node):
        raise ConvertError(f"{reader.place}: netspec does not support rsub with two tensors")
    return reader.add(
        "scale", value, reader.shape(value), factor=-float(a["alpha"]), offset=float(a["other"])
    )


@aten("_weight_norm", "_weight_norm_interface")
def weight_norm(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Convert weight normalization (Salimans and Kingma, 2016): a direction with norm 1, times a scale."""
    direction, scale = reader.one(a["v"]), reader.one(a["g"])
    x = tuple(reader.shape(direction))
    if reader.layout(a["v"]).at >= 0:
        direction, x = whole(reader, direction), (1, *x)
        scale = whole(reader, scale)
    axes = [k for k in range(len(x)) if k != a["dim"] % len(x)]
    lengths = tuple(1 if k in axes else n for k, n in enumerate(x))
    length = reader.add("norm", direction, lengths, axis=axes, keep=True)
    scale = reshaped(reader, scale, lengths)
    reader.layouts[node] = BARE
    unit = reader.add("div", [direction, length], x)
    found = reader.add("mul", [unit, scale], x)
    return (found, length) if "interface" in str(node.target) else found


def whole(reader: Reader, value: int) -> int:
    """Return a raw tensor whose stored leading axis of size 1 is an ordinary axis instead of the batch."""
    shape = (1, *reader.shape(value))
    return reader.add("reshape", value, shape, shape=shape)


@aten("reciprocal")
def reciprocal(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Convert `aten.reciprocal`."""
    value = reader.one(a["self"])
    return reader.add("pow", value, reader.shape(value), exponent=-1.0)


@aten("masked_fill", "masked_fill_")
def masked_fill(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Convert `aten.masked_fill` with a scalar or constant value."""
    value, number = reader.one(a["self"]), a["value"]
    number = reader.constants.number(number) if isinstance(number, fx.Node) else float(number)
    if number is None:
        raise ConvertError(f"{reader.place}: netspec supports masked_fill only with a constant value")
    mask = aligned(reader, a["mask"], len(reader.shape(value)))
    return reader.add("masked_fill", [value, mask], node, value=None if number == -inf else number)


@aten("where")
def where(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Convert `aten.where` with a tensor and a constant scalar."""
    for name, other, inverted in (("self", "other", False), ("other", "self", True)):
        number = reader.constants.number(a[name]) if isinstance(a[name], fx.Node) else a[name]
        if number is None or not isinstance(a[other], fx.Node):
            continue
        value = reader.one(a[other])
        mask = aligned(reader, a["condition"], len(reader.shape(value)))
        mask = reader.add("equal", mask, reader.shape(mask), value=0.0) if inverted else mask
        fill = None if number == -inf else float(number)
        return reader.add("masked_fill", [value, mask], node, value=fill)
    raise ConvertError(f"{reader.place}: netspec supports where only with a tensor and a constant scalar")


@aten("eq")
def equal(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Convert `aten.eq` with a constant scalar, which returns a mask."""
    number = reader.constants.number(a["other"]) if isinstance(a["other"], fx.Node) else float(a["other"])
    if number is None:
        raise ConvertError(f"{reader.place}: netspec supports eq only with a constant scalar")
    value = reader.one(a["self"])
    return reader.add("equal", value, reader.shape(value), value=number)


@aten("bitwise_not", "logical_not")
def inverted(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Convert `aten.bitwise_not` or `aten.logical_not` of a mask."""
    value = reader.one(a["self"])
    return reader.add("equal", value, reader.shape(value), value=0.0)


@aten("clamp", "clamp_min", "clamp_max", "clamp_")
def clamp(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Convert `aten.clamp`, `aten.clamp_min` or `aten.clamp_max`."""
    value = reader.one(a["self"])
    low, high = (None if a.get(n) is None else float(a[n]) for n in ("min", "max"))
    return reader.add("clamp", value, reader.shape(value), min=low, max=high)


@aten("addcmul")
def addcmul(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Convert `aten.addcmul`, which computes `self + value * tensor1 * tensor2`, with value 1."""
    rank = max(len(reader.shape(reader.one(a[n]))) for n in ("self", "tensor1", "tensor2"))
    x, first, second = (aligned(reader, a[n], rank) for n in ("self", "tensor1", "tensor2"))
    if a["value"] != 1:
        raise ConvertError(f"{reader.place}: netspec does not support addcmul with value={a['value']}")
    product = reader.add("mul", [first, second], broadcast(reader.shape(first), reader.shape(second)))
    return reader.add("add", [x, product], node)


def broadcast(a: Sequence[int], b: Sequence[int]) -> tuple[int, ...]:
    """Return the shape to which two shapes with the same number of axes are broadcast."""
    return tuple(max(m, n) for m, n in zip(a, b, strict=True))
