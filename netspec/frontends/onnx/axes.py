"""Reads ONNX operators on axes: concatenation, reshaping, reordering, reducing and selecting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import numpy as np

from netspec.errors import ConvertError
from netspec.frontends.layout import BATCH, Layout, is_row_of_pixels, named_order
from netspec.frontends.onnx.model import Call
from netspec.frontends.onnx.reader import Reader, onnx_operator
from netspec.shape import Shape


@onnx_operator("Concat")
def concat(r: Reader, c: Call) -> int:
    """Read `Concat`."""
    first = next(n for n in c.inputs if n in r.values)
    rank = r.rank(first)
    place = r.axis(first, c.attributes["axis"])
    layout = r.layout(first)
    values = []
    for name in c.inputs:
        if name in r.values:
            values.append(r.values[name])
        else:
            array = r.constants[name]
            if array.shape[layout.at] == BATCH and (array == np.take(array, [0], layout.at)).all():
                array = np.take(array, [0], layout.at)
            values.append(r.tensor(name, array, rank, layout))
    if len(values) == 1:
        return values[0]
    x = r.shape(values[0])
    return r.add("concat", values, axis=place if type(x) is Shape else place - len(x))


def reshaped(r: Reader, value: int, shape: Sequence[int]) -> int:
    """Return a value in the given shape; a value that already has it is returned unchanged."""
    if tuple(r.shape(value)) == tuple(shape):
        return value
    if len(shape) == 1:
        return r.add("flatten", value)
    return r.add("reshape", value, shape=tuple(int(n) for n in shape))


@onnx_operator("Reshape", "Flatten", "Squeeze", "Unsqueeze")
def reshape(r: Reader, c: Call) -> int:
    """Read `Reshape`, `Flatten`, `Squeeze` or `Unsqueeze`."""
    name = c.inputs[0]
    wanted = wanted_shape(r, c, r.actual(name))
    given, x, value = r.layout(name), r.shape(r.value(name)), r.value(name)
    before = x[0] if given.rows else prod(x[given.folded : given.folded + given.at])
    folded = tuple(x[: given.folded])
    for at in range(len(wanted)):
        if prod(wanted[:at]) != before:
            continue
        rest = wanted[:at] + wanted[at + 1 :]
        if wanted[at] == BATCH and (at == 0 or not folded):
            r.layouts[c.outputs[0]] = Layout(at)
            return reshaped(r, value, rest)
        if wanted[at] == BATCH * prod(folded) and folded:
            r.layouts[c.outputs[0]] = Layout(at, given.folded)
            return reshaped(r, value, (*folded, *rest))
        if given.rows and at == 1 and wanted[1] == BATCH and wanted[0] == x[0]:
            r.layouts[c.outputs[0]] = Layout(1)
            return reshaped(r, value, (x[0], *wanted[2:]))
        if at == 0 and wanted[0] % BATCH == 0:
            r.layouts[c.outputs[0]] = Layout(0, 1)
            return reshaped(r, value, (wanted[0] // BATCH, *rest))
        if wanted[at] % BATCH == 0 and not folded:  # the heads of attention are merged into the batch axis
            value = reshaped(r, value, (*wanted[:at], wanted[at] // BATCH, *wanted[at + 1 :]))
            r.layouts[c.outputs[0]] = Layout(at, 1)
            return permuted(r, value, [at, *range(at), *range(at + 1, len(wanted))])
        if wanted[at] == BATCH and given.folded == 1:  # and split from it
            value = permuted(r, value, [*range(1, given.at + 1), 0, *range(given.at + 1, len(x))])
            r.layouts[c.outputs[0]] = Layout(at)
            return reshaped(r, value, rest)
    if given.at > 0 and not folded and wanted[0] == before * BATCH:
        r.layouts[c.outputs[0]] = Layout(0, 1, rows=True)
        return reshaped(r, value, (before, *wanted[1:]))
    raise ConvertError(f"{c.place}: reshaping {r.actual(name)} to {wanted} splits the batch axis")


def wanted_shape(r: Reader, c: Call, x: tuple[int, ...]) -> tuple[int, ...]:
    """Return the output shape of a call that changes the shape but not the order of the elements."""
    if c.kind == "Flatten":
        axis = c.get("axis", 1) % (len(x) + 1)
        return prod(x[:axis]), prod(x[axis:])
    if c.kind == "Reshape":
        given = r.given(c, 1, "shape") or []
        sizes = [x[k] if n == 0 and not c.get("allowzero", 0) else int(n) for k, n in enumerate(given)]
        fixed = with_batch(r, sizes, x, r.layout(c.inputs[0]))
        known = prod(n for n in fixed if n >= 0)
        return tuple(prod(x) // known if n < 0 else n for n in fixed)
    axes = r.given(c, 1, "axes")
    if c.kind == "Squeeze":
        gone = {a % len(x) for a in axes} if axes is not None else {k for k, n in enumerate(x) if n == 1}
        return tuple(n for k, n in enumerate(x) if k not in gone)
    rank = len(x) + len(axes or [])
    new = {a % rank for a in axes or []}
    if len(new) + len(x) != rank:
        raise ConvertError(f"{c.place}: the axes {axes} are not distinct")
    rest = iter(x)
    return tuple(1 if k in new else next(rest) for k in range(rank))


def with_batch(r: Reader, sizes: list[int], x: tuple[int, ...], layout: Layout) -> list[int]:
    """Return the sizes of a reshape, with BATCH in place of the fixed batch size of the model."""
    fixed = r.model.batch
    if fixed is None or layout.at < 0 or BATCH in sizes:
        return sizes
    old = [n // BATCH * fixed if k == layout.at else n for k, n in enumerate(x)]
    known = prod(n for n in sizes if n >= 0)
    if not known or prod(old) % known or (-1 not in sizes and prod(old) != known):
        return sizes
    new = [prod(old) // known if n < 0 else n for n in sizes]
    for k, n in enumerate(new):
        if prod(new[:k]) == prod(old[: layout.at]) and n % fixed == 0:
            return [*new[:k], n // fixed * BATCH, *new[k + 1 :]]
    return sizes


@onnx_operator("Transpose")
def transpose(r: Reader, c: Call) -> int:
    """Read `Transpose`."""
    name = c.inputs[0]
    rank = r.rank(name)
    order = [int(k) for k in c.get("perm") or range(rank)[::-1]]
    value, given = r.value(name), r.layout(name)
    if given.at >= 0:
        r.layouts[c.outputs[0]] = replace(given, at=order.index(given.at))
    moved = [given.axis(d, rank) for d in order if d != given.at]
    return permuted(r, value, [*range(given.folded), *(d for d in moved if d is not None)])


def permuted(r: Reader, value: int, order: list[int]) -> int:
    """Return a value with its axes in another order, using a named op such as `tokens` if there is one."""
    x = r.shape(value)
    if order == list(range(len(x))):
        return value
    if named := named_order(x, order):
        return r.add(named, value)
    last = r.steps[value]
    fresh = last.op == "reshape" and value == len(r.steps) - 1
    if order == [1, 0] and fresh and is_row_of_pixels(r.shape(last.inputs[0]), x):
        r.steps.pop()
        return r.add("tokens", last.inputs[0])
    return r.add("permute", value, order=order)


def removed(r: Reader, c: Call, places: Sequence[int]) -> None:
    """Set the layout of the output of a call that removes axes."""
    name = c.inputs[0]
    given, rank = r.layout(name), r.rank(name)
    r.layouts[c.outputs[0]] = replace(given, at=given.at - sum(p % rank < given.at for p in places))


REDUCTIONS = {
    "ReduceMean": "mean",
    "ReduceSum": "sum",
    "ReduceMax": "max",
    "ReduceMin": "min",
    "ReduceL2": "norm",
    "ReduceSumSquare": "sum",
}


@onnx_operator(*REDUCTIONS)
def reduction(r: Reader, c: Call) -> int:
    """Read a reduction over axes."""
    name = c.inputs[0]
    places = r.given(c, 1, "axes")
    if places is None:
        raise ConvertError(
            f"{c.place}: netspec does not support a reduction over all axes, including the batch axis"
        )
    axes = sorted(r.axis(name, int(p)) for p in places)
    keep = bool(c.get("keepdims", 1))
    if not keep:
        removed(r, c, [int(p) for p in places])
    value = r.value(name)
    x = r.shape(value)
    if c.kind == "ReduceMean" and axes == [1, 2] and type(x) is Shape:
        pooled = r.add("adaptive_avgpool", value, size=1)
        return pooled if keep else r.add("flatten", pooled)
    if c.kind == "ReduceSumSquare":
        value = r.add("pow", value, exponent=2.0)
    return r.add(REDUCTIONS[c.kind], value, axis=axes, keep=keep)


@onnx_operator("Gather")
def gather(r: Reader, c: Call) -> int:
    """Read `Gather`."""
    name, indices = c.inputs
    place = c.get("axis", 0) % r.rank(name)
    if indices in r.values:
        return looked_up(r, c, place)
    chosen = r.constant(indices)
    axis = r.axis(name, place)
    value = r.value(name)
    if chosen.ndim == 0:
        removed(r, c, [place])
        x, index = r.shape(value), int(chosen)
        if len(x) == 2 and axis == 0 and index >= 0:
            return r.add("token", value, index=index)
        return r.add("select", value, index=index, axis=axis)
    steps = np.diff(chosen) if chosen.ndim == 1 else np.array([])
    if chosen.ndim == 1 and (steps == 1).all() and chosen[0] >= 0:
        return sliced(r, value, axis, int(chosen[0]), int(chosen[-1]) + 1, 1)
    raise ConvertError(f"{c.place}: netspec does not support gathering positions that are not adjacent")


def looked_up(r: Reader, c: Call, place: int) -> int:
    """Return the rows of a table at indices that depend on the input."""
    name, indices = c.inputs
    table, positions = r.constant(name), r.values[indices]
    if place or table.ndim != 2:
        raise ConvertError(
            f"{c.place}: netspec does not support gathering from a table of shape {table.shape} along axis"
            f" {place}"
        )
    r.layouts[c.outputs[0]] = r.layout(indices)
    count, features = table.shape
    if r.users[name] > 1:
        return r.add("index", [r.tensor(name, table, 3), positions])
    return r.add("embedding", positions, {"weight": table}, count=count, features=features)


def sliced(r: Reader, value: int, axis: int, start: int, stop: int, step: int) -> int:
    """Return a slice of a value along an axis; a slice of the whole axis is the value itself."""
    size = r.shape(value)[axis]
    if (start, stop, step) == (0, size, 1):
        return value
    return r.add("slice", value, start=start, stop=stop, axis=axis, step=step)


@onnx_operator("Slice")
def slice_(r: Reader, c: Call) -> int:
    """Read `Slice`."""
    name = c.inputs[0]
    starts, ends = r.given(c, 1, "starts") or [], r.given(c, 2, "ends") or []
    places = r.given(c, 3, "axes") or list(range(len(starts)))
    steps = r.given(c, 4, "steps") or [1] * len(starts)
    value = r.value(name)
    for start, end, place, step in zip(starts, ends, places, steps, strict=True):
        size = r.actual(name)[int(place)]
        first, last, jump = slice(int(start), int(end), int(step)).indices(size)
        if (first, last, jump) == (0, size, 1):
            continue
        axis = r.axis(name, int(place))
        if jump == -1 and (first, last) == (size - 1, -1):
            value = r.add("flip", value, axis=axis)
        elif jump < 0:
            raise ConvertError(f"{c.place}: netspec does not support a slice with a negative step")
        else:
            value = sliced(r, value, axis, first, last, jump)
    return value


@onnx_operator("Split")
def split(r: Reader, c: Call) -> Sequence[int]:
    """Read `Split`."""
    name = c.inputs[0]
    place = c.get("axis", 0)
    size = r.actual(name)[place]
    count = len(c.outputs)
    width = -(-size // count)
    given = r.given(c, 1, "split") or [min(width, size - k * width) for k in range(count)]
    axis, value, start, parts = r.axis(name, place), r.value(name), 0, []
    for part in given:
        parts.append(sliced(r, value, axis, start, start + int(part), 1))
        start += int(part)
    return parts


@onnx_operator("Expand")
def expand(r: Reader, c: Call) -> int:
    """Read `Expand`."""
    name = c.inputs[0]
    given, x = r.layout(name), r.actual(name)
    wanted = tuple(int(n) for n in r.constant(c.inputs[1]).reshape(-1))
    whole = np.broadcast_shapes(x, wanted)
    if len(whole) != len(x):
        raise ConvertError(
            f"{c.place}: netspec does not support expanding {x} to {wanted}, which has more axes"
        )
    value = r.value(name)
    shape = (*r.shape(value)[: given.folded], *whole[: given.at], *whole[given.at + 1 :])
    same = tuple(r.shape(value)) == tuple(shape)
    return value if same else r.add("expand", value, shape=tuple(int(n) for n in shape))
