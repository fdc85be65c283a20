"""Reads ONNX elementwise arithmetic and Einstein sums."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from netspec.errors import ConvertError
from netspec.frontends.layout import Layout
from netspec.frontends.onnx.layers import tidy, with_bias
from netspec.frontends.onnx.model import Call
from netspec.frontends.onnx.reader import Reader, onnx_operator
from netspec.shape import Grid


@onnx_operator("Add", "Sub", "Mul", "Div", "Sum", "Pow")
def combined(r: Reader, c: Call) -> int:
    """Read an elementwise operator."""
    op = {"Sum": "add", "Max": "maximum", "Min": "minimum"}.get(c.kind, c.kind.lower())
    numbers = [
        (k, r.constants[n]) for k, n in enumerate(c.inputs) if n in r.constants and r.constants[n].size == 1
    ]
    if len(c.inputs) == 2 and len(numbers) == 1:
        place, number = numbers[0]
        found = with_number(r, op, r.value(c.inputs[1 - place]), float(number.reshape(-1)[0]), place == 0)
        if found is not None:
            return found
    if op == "pow":
        raise ConvertError(f"{c.place}: netspec supports only a constant scalar as exponent")
    names = list(c.inputs)
    if op in ("add", "mul") and names[0] in r.constants:
        names.reverse()
    if op == "add" and len(names) == 2 and names[1] in r.constants and r.sole(names[0]):
        found = with_bias(r, r.value(names[0]), r.constants[names[1]])
        if found is not None:
            return found
    layout = r.arriving(c)
    rank = max(r.rank(n) for n in names)
    values = []
    for name in names:
        if name in r.values:
            value = r.values[name]
            missing = rank - 1 - len(r.shape(value)) + layout.folded
            if missing > 0 and r.layout(name).at <= 0:
                value = r.add("reshape", value, shape=(*[1] * missing, *r.shape(value)))
            values.append(value)
        else:
            values.append(r.tensor(name, r.constants[name], rank, layout))
            if any(isinstance(r.shape(v), Grid) for v in values[:-1]):
                values[-1] = r.add("reshape", values[-1], shape=tuple(r.shape(values[-1])))
    if op == "mul" and (silu := as_silu(r, c, values)) is not None:
        return silu
    return r.add(op, values)


def with_number(r: Reader, op: str, value: int, number: float, first: bool) -> int | None:
    """Return the result of `op` on a value and a scalar; return None if netspec has no op for it.

    `first` is true if the scalar is the left operand, as in `1 - x`.
    """
    number = tidy(number)
    if op == "add":
        return r.add("scale", value, factor=1.0, offset=number) if number else value
    if op == "sub":
        if first:
            return r.add("scale", value, factor=-1.0, offset=number)
        return r.add("scale", value, factor=1.0, offset=-number)
    if op == "mul":
        return r.add("scale", value, factor=number, offset=0.0) if number != 1 else value
    if op == "div" and not first:
        return r.add("scale", value, factor=1 / number, offset=0.0) if number != 1 else value
    if op == "div":
        inverse = r.add("pow", value, exponent=-1.0)
        return inverse if number == 1 else r.add("scale", inverse, factor=number, offset=0.0)
    if op == "pow" and not first:
        return r.add("pow", value, exponent=number)
    return None


def as_silu(r: Reader, c: Call, values: Sequence[int]) -> int | None:
    """Return x * sigmoid(x) as one op if the sigmoid is the last step and used only here; otherwise None."""
    last = len(r.steps) - 1
    for gate, value, name in zip(values, reversed(values), c.inputs, strict=True):
        step = r.steps[gate]
        if gate == last and step.op == "sigmoid" and step.inputs == (value,) and r.sole(name):
            r.steps.pop()
            return r.add("silu", value)
    return None


@onnx_operator("Max", "Min")
def bound(r: Reader, c: Call) -> int:
    """Read `Max` or `Min`."""
    numbers = [r.constants[n] for n in c.inputs if n in r.constants]
    if len(c.inputs) != 2 or len(numbers) != 1 or numbers[0].size != 1:
        found = combined(r, c)
        assert isinstance(found, int)
        return found
    name = next(n for n in c.inputs if n not in r.constants)
    given = {"min" if c.kind == "Max" else "max": tidy(float(numbers[0].reshape(-1)[0]))}
    return r.add("clamp", r.value(name), **given)


@onnx_operator("Where")
def where(r: Reader, c: Call) -> int:
    """Read `Where` with a constant condition, a tensor and a constant scalar."""
    first, second = c.inputs[1:]
    if c.inputs[0] in r.values:
        raise ConvertError(f"{c.place}: netspec does not support a condition that depends on the input")
    mask = r.constant(c.inputs[0])
    filled = first in r.constants and r.constants[first].size == 1
    number, name = (first, second) if filled else (second, first)
    if r.constant(number).size != 1 or name not in r.values:
        raise ConvertError(f"{c.place}: netspec supports Where only with a tensor and a constant scalar")
    value, fill = r.values[name], float(r.constants[number].reshape(-1)[0])
    label = c.inputs[0] if filled else f"{c.inputs[0]}_inverted"
    place = r.tensor(label, mask if filled else ~mask, r.rank(name), r.layout(name))
    return r.add("masked_fill", [value, place], value=None if fill == -np.inf else tidy(fill))


@onnx_operator("Einsum")
def einsum(r: Reader, c: Call) -> int:
    """Read `Einsum`."""
    equation = c.get("equation").replace(" ", "")
    if any(r.layout(n) != Layout() for n in c.inputs):
        raise ConvertError(f"{c.place}: the batch must be the first axis of each input of Einsum")
    return r.add("einsum", [r.value(n) for n in c.inputs], equation=equation)
