"""Arithmetic, joins, and operations on the axes of tensors of ONNX."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import numpy as np

from netspec.errors import ConvertError
from netspec.frontends.layout import BATCH, Layout
from netspec.frontends.onnx.layers import tidy, with_bias
from netspec.frontends.onnx.model import Call
from netspec.frontends.onnx.reader import Reader, onnx_operator
from netspec.shape import Grid, Shape


@onnx_operator("Add", "Sub", "Mul", "Div", "Sum", "Pow")
def arithmetic(r: Reader, c: Call) -> int:
    op = {"Sum": "add"}.get(c.kind, c.kind.lower())
    numbers = [
        (k, r.constants[n]) for k, n in enumerate(c.inputs) if n in r.constants and r.constants[n].size == 1
    ]
    if len(c.inputs) == 2 and len(numbers) == 1:
        place, number = numbers[0]
        found = with_number(r, op, r.value(c.inputs[1 - place]), float(number.reshape(-1)[0]), place == 0)
        if found is not None:
            return found
    if op == "pow":
        raise ConvertError(f"{c.place}: an exponent that is not one number")
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
    """Combine a value with one number, which stands first for `1 - x`; None if no op does that."""
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
    """Return x * sigmoid(x) as one op, if the sigmoid is the last step and used only here."""
    last = len(r.steps) - 1
    for gate, value, name in zip(values, reversed(values), c.inputs, strict=True):
        step = r.steps[gate]
        if gate == last and step.op == "sigmoid" and step.inputs == (value,) and r.sole(name):
            r.steps.pop()
            return r.add("silu", value)
    return None


@onnx_operator("Max", "Min")
def bound(r: Reader, c: Call) -> int:
    numbers = [r.constants[n] for n in c.inputs if n in r.constants]
    if len(c.inputs) != 2 or len(numbers) != 1 or numbers[0].size != 1:
        raise ConvertError(f"{c.place}: the {c.kind.lower()}imum of two values that depend on the input")
    name = next(n for n in c.inputs if n not in r.constants)
    given = {"min" if c.kind == "Max" else "max": tidy(float(numbers[0].reshape(-1)[0]))}
    return r.add("clamp", r.value(name), **given)


@onnx_operator("Concat")
def concat(r: Reader, c: Call) -> int:
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


@onnx_operator("Einsum")
def einsum(r: Reader, c: Call) -> int:
    equation = c.get("equation").replace(" ", "")
    if any(r.layout(n) != Layout() for n in c.inputs):
        raise ConvertError(f"{c.place}: an Einstein sum along the batch")
    return r.add("einsum", [r.value(n) for n in c.inputs], equation=equation)


def reshaped(r: Reader, value: int, shape: Sequence[int]) -> int:
    """Return a value with another shape, as itself if it has it already."""
    if tuple(r.shape(value)) == tuple(shape):
        return value
    if len(shape) == 1:
        return r.add("flatten", value)
    return r.add("reshape", value, shape=tuple(int(n) for n in shape))


@onnx_operator("Reshape", "Flatten", "Squeeze", "Unsqueeze")
def reshape(r: Reader, c: Call) -> int:
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
        if wanted[at] % BATCH == 0 and not folded:  # the heads of attention join the batch
            value = reshaped(r, value, (*wanted[:at], wanted[at] // BATCH, *wanted[at + 1 :]))
            r.layouts[c.outputs[0]] = Layout(at, 1)
            return permuted(r, value, [at, *range(at), *range(at + 1, len(wanted))])
        if wanted[at] == BATCH and given.folded == 1:  # and leave it
            value = permuted(r, value, [*range(1, given.at + 1), 0, *range(given.at + 1, len(x))])
            r.layouts[c.outputs[0]] = Layout(at)
            return reshaped(r, value, rest)
    if given.at > 0 and not folded and wanted[0] == before * BATCH:
        r.layouts[c.outputs[0]] = Layout(0, 1, rows=True)
        return reshaped(r, value, (before, *wanted[1:]))
    raise ConvertError(f"{c.place}: reshaping {r.actual(name)} to {wanted} splits the batch")


def wanted_shape(r: Reader, c: Call, x: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of the output of a call that changes the sizes, but not the order of the numbers."""
    if c.kind == "Flatten":
        axis = c.get("axis", 1) % (len(x) + 1)
        return prod(x[:axis]), prod(x[axis:])
    if c.kind == "Reshape":
        given = r.given(c, 1, "shape") or []
        sizes = [x[k] if n == 0 and not c.get("allowzero", 0) else int(n) for k, n in enumerate(given)]
        fixed = fixed_batch(r, sizes, x)
        known = prod(n for n in fixed if n >= 0)
        return tuple(prod(x) // known if n < 0 else n for n in fixed)
    axes = r.given(c, 1, "axes")
    if c.kind == "Squeeze":
        gone = {a % len(x) for a in axes} if axes is not None else {k for k, n in enumerate(x) if n == 1}
        return tuple(n for k, n in enumerate(x) if k not in gone)
    rank = len(x) + len(axes or [])
    new = {a % rank for a in axes or []}
    rest = iter(x)
    return tuple(1 if k in new else next(rest) for k in range(rank))


def fixed_batch(r: Reader, sizes: list[int], x: tuple[int, ...]) -> list[int]:
    """Replace a first size that is the batch for which a model was exported by the batch of the trace."""
    declared = {d[0] for d in r.model.inputs.values() if d and d[0]}
    if x[0] == BATCH and sizes and sizes[0] in declared and -1 not in sizes:
        own = prod(sizes[1:])
        if own * BATCH == prod(x):
            return [BATCH, *sizes[1:]]
    return sizes


@onnx_operator("Transpose")
def transpose(r: Reader, c: Call) -> int:
    name = c.inputs[0]
    rank = r.rank(name)
    order = [int(k) for k in c.get("perm") or range(rank)[::-1]]
    value, given = r.value(name), r.layout(name)
    if given.at >= 0:
        r.layouts[c.outputs[0]] = replace(given, at=order.index(given.at))
    moved = [given.axis(d, rank) for d in order if d != given.at]
    return permuted(r, value, [*range(given.folded), *(d for d in moved if d is not None)])


def permuted(r: Reader, value: int, order: list[int]) -> int:
    """Return a value with its axes in another order, by the name that this order has."""
    x = r.shape(value)
    if order == list(range(len(x))):
        return value
    if order == [1, 2, 0] and type(x) is Shape:
        return r.add("channels_last", value)
    if order == [2, 0, 1] and type(x) is Grid:
        return r.add("channels_first", value)
    last = r.steps[value]
    if order == [1, 0] and last.op == "reshape" and value == len(r.steps) - 1:
        source = r.shape(last.inputs[0])
        if len(source) == 3 and type(source) is not Grid and tuple(x) == (source[0], source[1] * source[2]):
            r.steps.pop()
            return r.add("tokens", last.inputs[0])
    return r.add("permute", value, order=order)


def removed(r: Reader, c: Call, places: Sequence[int]) -> None:
    """Set the layout of the output of a call that removes axes."""
    name = c.inputs[0]
    given, rank = r.layout(name), r.rank(name)
    r.layouts[c.outputs[0]] = replace(given, at=given.at - sum(p % rank < given.at for p in places))


@onnx_operator("ReduceMean", "ReduceSum", "ReduceMax", "ReduceL2")
def reduction(r: Reader, c: Call) -> int:
    name = c.inputs[0]
    places = r.given(c, 1, "axes")
    if places is None:
        raise ConvertError(f"{c.place}: a reduction over all axes, the batch among them")
    axes = sorted(r.axis(name, int(p)) for p in places)
    keep = bool(c.get("keepdims", 1))
    if not keep:
        removed(r, c, [int(p) for p in places])
    value = r.value(name)
    x = r.shape(value)
    if c.kind == "ReduceMean" and axes == [1, 2] and type(x) is Shape:
        pooled = r.add("adaptive_avgpool", value, size=1)
        return pooled if keep else r.add("flatten", pooled)
    op = {"ReduceMean": "mean", "ReduceSum": "sum", "ReduceMax": "max", "ReduceL2": "norm"}[c.kind]
    return r.add(op, value, axis=axes, keep=keep)


@onnx_operator("Gather")
def gather(r: Reader, c: Call) -> int:
    name, indices = c.inputs
    place = c.get("axis", 0) % r.rank(name)
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
    raise ConvertError(f"{c.place}: positions that are not next to each other")


def sliced(r: Reader, value: int, axis: int, start: int, stop: int, step: int) -> int:
    """Return a part of a value along an axis; itself if the part is the whole."""
    size = r.shape(value)[axis]
    if (start, stop, step) == (0, size, 1):
        return value
    return r.add("slice", value, start=start, stop=stop, axis=axis, step=step)


@onnx_operator("Slice")
def slice_(r: Reader, c: Call) -> int:
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
            raise ConvertError(f"{c.place}: a slice backwards")
        else:
            value = sliced(r, value, axis, first, last, jump)
    return value


@onnx_operator("Split")
def split(r: Reader, c: Call) -> Sequence[int]:
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
    name = c.inputs[0]
    given, x = r.layout(name), r.actual(name)
    wanted = tuple(int(n) for n in r.constant(c.inputs[1]).reshape(-1))
    whole = np.broadcast_shapes(x, wanted)
    if len(whole) != len(x):
        raise ConvertError(f"{c.place}: {x} gets more axes")
    value = r.value(name)
    shape = (*r.shape(value)[: given.folded], *whole[: given.at], *whole[given.at + 1 :])
    same = tuple(r.shape(value)) == tuple(shape)
    return value if same else r.add("expand", value, shape=tuple(int(n) for n in shape))


@onnx_operator("Pad")
def pad(r: Reader, c: Call) -> int:
    name = c.inputs[0]
    value, rank = r.value(name), r.rank(name)
    pads = [int(n) for n in r.given(c, 1, "pads" if r.model.opset >= 2 else "paddings") or []]
    fill = (r.given(c, 2, "value") or [0])[0]
    axes = r.given(c, 3, "axes")
    if axes is not None:
        whole = [0] * 2 * rank
        for k, place in enumerate(axes):
            whole[int(place) % rank], whole[int(place) % rank + rank] = pads[k], pads[k + len(axes)]
        pads = whole
    starts, ends = pads[:rank], pads[rank:]
    if not any(pads):
        return value
    if r.layout(name) != Layout() or any((*starts[:2], *ends[:2])):
        raise ConvertError(f"{c.place}: padding of the batch or the channels")
    mode = {"edge": "replicate", "wrap": "circular"}.get(c.get("mode", "constant"), c.get("mode", "constant"))
    sides = [side for pair in reversed(list(zip(starts[2:], ends[2:], strict=True))) for side in pair]
    if mode == "constant" and fill == 0 and starts == ends and min(pads) >= 0:
        sizes = starts[2:]
        return r.add("zeropad", value, padding=sizes[0] if len(set(sizes)) == 1 else tuple(sizes))
    return r.add("pad", value, padding=sides, mode=mode, value=float(fill))


@onnx_operator("Resize", "Upsample")
def resize(r: Reader, c: Call) -> int:
    name = c.inputs[0]
    value, x = r.value(name), r.actual(name)
    place = {"Upsample": 1, "Resize": 1 if r.model.opset < 11 else 2}[c.kind]
    factors = r.given(c, place, "scales")
    sizes = r.given(c, 3, "") if len(c.inputs) > 3 else None
    mode = c.get("mode", "nearest")
    kind = {"nearest": "nearest", "cubic": "bicubic"}.get(
        mode, {3: "linear", 4: "bilinear", 5: "trilinear"}.get(len(x), mode)
    )
    corners = c.get("coordinate_transformation_mode", "half_pixel" if r.model.opset > 10 else "asymmetric")
    right = {"nearest": ("asymmetric",)}.get(kind, ("half_pixel", "pytorch_half_pixel", "align_corners"))
    whole = factors is not None and all(f == int(f) for f in factors)
    plain = kind == "nearest" and whole  # all ways of counting pixels agree for whole factors
    rounding = c.get("nearest_mode", "round_prefer_floor") if r.model.opset > 10 else "floor"
    if not plain and (corners not in right or (kind == "nearest" and rounding != "floor")):
        raise ConvertError(f"{c.place}: resizing by {mode} with {corners} pixels")
    if plain and corners == "half_pixel" and rounding == "ceil":
        raise ConvertError(f"{c.place}: resizing by {mode} with {corners} pixels")
    given: dict[str, object] = {"mode": kind, "align_corners": corners == "align_corners"}
    if whole and factors is not None:
        steps = [int(f) for f in factors[2:]]
        return r.add("upsample", value, scale=steps[0] if len(set(steps)) == 1 else tuple(steps), **given)
    wanted = (
        [int(n) for n in sizes[2:]]
        if sizes
        else [int(n * f) for n, f in zip(x[2:], (factors or [])[2:], strict=True)]
    )
    return r.add("upsample", value, size=wanted[0] if len(set(wanted)) == 1 else tuple(wanted), **given)


@onnx_operator("DepthToSpace")
def depth_to_space(r: Reader, c: Call) -> int:
    value, n = r.value(c.inputs[0]), int(c.attributes["blocksize"])
    if c.get("mode", "DCR") == "CRD":
        return r.add("pixel_shuffle", value, factor=n)
    channels, height, width = r.shape(value)
    value = r.add("reshape", value, shape=(n, n, channels // n**2, height, width))
    value = r.add("permute", value, order=[2, 3, 0, 4, 1])
    return r.add("reshape", value, shape=(channels // n**2, height * n, width * n))


@onnx_operator("SpaceToDepth")
def space_to_depth(r: Reader, c: Call) -> int:
    value, n = r.value(c.inputs[0]), int(c.attributes["blocksize"])
    channels, height, width = r.shape(value)
    value = r.add("reshape", value, shape=(channels, height // n, n, width // n, n))
    value = r.add("permute", value, order=[2, 4, 0, 1, 3])
    return r.add("reshape", value, shape=(channels * n**2, height // n, width // n))
