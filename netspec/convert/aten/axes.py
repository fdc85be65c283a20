"""Converts operators on the axes of tensors: reshaping, reordering, joining and reducing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

from torch import fx

from netspec.convert.reader import Reader
from netspec.convert.rows import ROWS, Arguments, Value, aten, rank_of
from netspec.errors import ConvertError
from netspec.frontends.layout import BARE, BATCH, STORED, Layout, is_row_of_pixels, named_order
from netspec.shape import Shape


def axis(reader: Reader, node: fx.Node, dim: int) -> int:
    """Return the 0-based number of an axis, excluding the batch; raises ConvertError for the batch axis."""
    reader.one(node)
    found = reader.layout(node).axis(dim, rank_of(node))
    if found is None:
        raise ConvertError(f"{reader.place}: netspec does not support an operation along the batch axis")
    return found


def reshaped(reader: Reader, value: int, shape: Sequence[int]) -> int:
    """Return a value in the given shape; a value that already has it is returned unchanged.

    An empty shape, which PyTorch has for a scalar per image, becomes one axis of size 1.
    """
    shape = shape or (1,)
    if tuple(reader.shape(value)) == tuple(shape):
        return value
    if len(shape) == 1 and not reader.is_raw(value):
        return reader.add("flatten", value, shape)
    return reader.add("reshape", value, shape, shape=tuple(shape))


@aten(
    "view",
    "reshape",
    "flatten",
    "unflatten",
    "squeeze",
    "unsqueeze",
    "_unsafe_view",
    "reshape_as",
    "squeeze_",
)
def reshape(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Convert a call that changes the shape but not the order of the elements."""
    value = reader.one(a["self"])
    wanted = tuple(node.meta["val"].shape)
    if reader.is_raw(value):
        stored = len(wanted) > 1 and wanted[0] == 1
        reader.layouts[node] = STORED if stored else BARE
        return reshaped(reader, value, wanted[1:] if stored else wanted or (1,))
    given, x = reader.layout(a["self"]), reader.shape(value)
    before = prod(x[given.folded : given.folded + given.at])
    folded = x[: given.folded]
    for at in range(len(wanted)):
        if prod(wanted[:at]) != before:
            continue
        rest = wanted[:at] + wanted[at + 1 :]
        if wanted[at] == BATCH and (at == 0 or not folded):
            reader.layouts[node] = Layout(at)
            return reshaped(reader, value, rest)
        if wanted[at] == BATCH * prod(folded) and folded:
            reader.layouts[node] = Layout(at, given.folded)
            return reshaped(reader, value, (*folded, *rest))
        if at == 0 and wanted[0] % BATCH == 0:
            reader.layouts[node] = Layout(0, 1)
            return reshaped(reader, value, (wanted[0] // BATCH, *rest))
    raise ConvertError(
        f"{reader.place}: reshaping {tuple(a['self'].meta['val'].shape)} to {wanted} splits the batch axis"
    )


@aten("permute", "transpose", "swapaxes", "t")
def permute(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Convert a call that reorders the axes; if only the batch axis moves, no op is needed."""
    rank = rank_of(a["self"])
    order = list(range(rank))
    if "dims" in a:
        order = [d % rank for d in a["dims"]]
    elif "dim0" in a or "axis0" in a:
        first, second = (a.get(f"dim{k}", a.get(f"axis{k}")) % rank for k in (0, 1))
        order[first], order[second] = second, first
    else:
        order = order[::-1]
    value = reader.one(a["self"])
    given = reader.layout(a["self"])
    if given.at < 0:
        return permuted(reader, value, order)
    if order == [0, 3, 1, 2] and (normalized := over_channels(reader, a["self"])) is not None:
        return normalized
    reader.layouts[node] = replace(given, at=order.index(given.at))
    moved = [given.axis(d, rank) for d in order if d != given.at]
    return permuted(reader, value, [*range(given.folded), *(d for d in moved if d is not None)])


def over_channels(reader: Reader, node: fx.Node) -> int | None:
    """Fuse the last two steps to a layernorm over channels if they are `channels_last; layernorm`.

    Return the new value, or None if the steps are different or something else uses their outputs.
    """
    value = reader.one(node)
    steps = reader.steps
    if value != len(steps) - 1 or steps[-1].op != "layernorm" or steps[-2].op != "channels_last":
        return None
    if steps[-1].inputs != (value - 1,) or len(node.users) > 1 or len(node.all_input_nodes[0].users) > 1:
        return None
    norm, moved = steps.pop(), steps.pop()
    steps.append(replace(norm, inputs=moved.inputs, shape=reader.shape(moved.inputs[0])))
    for owner, step in reader.used.items():
        if step == value:
            reader.used[owner] = value - 1
    return value - 1


def permuted(reader: Reader, value: int, order: list[int]) -> int:
    """Return a value with its axes in another order, using a named op such as `tokens` if there is one."""
    x = reader.shape(value)
    shape = tuple(x[i] for i in order)
    if order == list(range(len(x))):
        return value
    named = named_order(x, order)
    if named and not reader.is_raw(value):
        return reader.add(named, value, shape)
    last = reader.steps[value]
    fresh = last.op == "reshape" and value == len(reader.steps) - 1 and not last.name
    if order == [1, 0] and fresh and is_row_of_pixels(reader.shape(last.inputs[0]), x):
        reader.steps.pop()
        return reader.add("tokens", last.inputs[0], shape)
    return reader.add("permute", value, shape, order=order)


def without(reader: Reader, source: fx.Node, node: fx.Node, dims: Sequence[int]) -> None:
    """Set the layout of a call that removes axes from its input."""
    given, rank = reader.layout(source), rank_of(source)
    reader.layouts[node] = replace(given, at=given.at - sum(d % rank < given.at for d in dims))


@aten("mean", "sum", "amax", "amin", "linalg_vector_norm")
def reduction(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Convert a reduction over axes."""
    name = str(node.target).split(".")[1]
    value = reader.one(a["self"])
    x = reader.shape(value)
    if not a["dim"]:
        raise ConvertError(
            f"{reader.place}: netspec does not support {name} over all axes, including the batch axis"
        )
    axes = sorted(axis(reader, a["self"], d) for d in a["dim"])
    keep = bool(a["keepdim"])
    if not keep:
        without(reader, a["self"], node, a["dim"])
    if name == "linalg_vector_norm" and a["ord"] != 2:
        raise ConvertError(f"{reader.place}: netspec supports norms of order 2, not of order {a['ord']}")
    if name == "mean" and axes == [1, 2] and type(x) is Shape:
        pooled = reader.add("adaptive_avgpool", value, (x[0], 1, 1), size=1)
        return pooled if keep else reader.add("flatten", pooled, node)
    op = {"amax": "max", "amin": "min", "linalg_vector_norm": "norm"}.get(name, name)
    return reader.add(op, value, node, axis=axes, keep=keep)


@aten("var", "std")
def variance(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Convert `aten.var` or `aten.std`."""
    op = str(node.target).split(".")[1]
    correction = a["correction"] if "correction" in a else int(a["unbiased"])
    if not a.get("dim") or correction not in (None, 0, 1):
        raise ConvertError(
            f"{reader.place}: netspec supports {op} only over given axes and with a correction of 0 or 1"
        )
    axes = sorted(axis(reader, a["self"], d) for d in a["dim"])
    if not a["keepdim"]:
        without(reader, a["self"], node, a["dim"])
    options = {"axis": axes, "keep": bool(a["keepdim"]), "unbiased": correction != 0}
    return reader.add(op, reader.one(a["self"]), node, **options)


@aten("max", "min")
def extreme(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Convert `aten.max` or `aten.min`, of two tensors or along one axis; the indices are not supported."""
    name = str(node.target).split(".")[1]
    if "other" in a:
        return ROWS[f"{name}imum"](reader, node, a)
    if "dim" not in a or any(u.args[1] == 1 and u.users for u in node.users):
        raise ConvertError(f"{reader.place}: netspec supports neither {name} over all axes nor its indices")
    if not a["keepdim"]:
        without(reader, a["self"], node, [a["dim"]])
    found = axis(reader, a["self"], a["dim"])
    value = reader.one(a["self"])
    x = reader.shape(value)
    shape = tuple(1 if k == found else n for k, n in enumerate(x) if k != found or a["keepdim"])
    return (reader.add(name, value, shape, axis=[found], keep=bool(a["keepdim"])), -1)


def last(reader: Reader, node: fx.Node, dim: int) -> int:
    """Return the number of an axis, excluding the batch axis; the last axis is -1."""
    at = axis(reader, node, dim)
    return -1 if at == len(reader.shape(reader.one(node))) - 1 else at


@aten("cat")
def concat(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Convert `aten.cat`."""
    tensors = [n for n in a["tensors"] if n.meta["val"].numel()]
    values = [reader.one(n) for n in tensors]
    if len(values) == 1:
        reader.layouts[node] = reader.layout(tensors[0])
        return values[0]
    node_in = next((n for n in tensors if not reader.is_raw(reader.one(n))), tensors[0])
    return reader.add("concat", values, node, axis=axis(reader, node_in, a["dim"]))


@aten("stack")
def stack(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Convert `aten.stack`."""
    place = a["dim"] % rank_of(node)
    values = [reader.one(n) for n in a["tensors"]]
    given = reader.layout(a["tensors"][0])
    reader.layouts[node] = replace(given, at=given.at + (place <= given.at))
    at = reader.layouts[node].axis(place, rank_of(node)) or 0
    one = [reshaped(reader, v, (*reader.shape(v)[:at], 1, *reader.shape(v)[at:])) for v in values]
    return reader.add("concat", one, node, axis=at) if len(one) > 1 else one[0]


def padded(reader: Reader, value: int, rank: int) -> int:
    """Return a value with leading axes of size 1, so that it has at least `rank` axes."""
    shape = tuple(reader.shape(value))
    return reshaped(reader, value, (1,) * (rank - len(shape)) + shape) if len(shape) < rank else value


@aten("expand", "expand_as", "broadcast_to")
def expand(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Convert an expansion of axes of size 1; an expansion along the batch axis needs no op."""
    source = a["self"]
    wanted = tuple(node.meta["val"].shape)
    value = reader.one(source)
    if reader.is_raw(value):
        shape, given = tuple(reader.shape(value)), reader.layout(source)
        if wanted[:1] == (BATCH,):
            wanted = wanted[1:]
            if given.at < 0 and len(shape) > len(wanted):
                value = reshaped(reader, value, shape[1:])
        elif given.at == 0:
            wanted = wanted[1:]
        reader.layouts[node] = given if given.at < 0 and len(wanted) == rank_of(node) else STORED
        value = padded(reader, value, len(wanted))
        return (
            value
            if tuple(reader.shape(value)) == wanted
            else reader.add("expand", value, wanted, shape=wanted)
        )
    given = reader.layout(source)
    shape = (*reader.shape(value)[: given.folded], *wanted[: given.at], *wanted[given.at + 1 :])
    return value if tuple(reader.shape(value)) == shape else reader.add("expand", value, node, shape=shape)


@aten("repeat", "tile")
def repeat(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Convert `aten.repeat` or `aten.tile`; repeating only axes of size 1 is an expansion."""
    sizes = tuple(a["self"].meta["val"].shape)
    given = list(a.get("repeats", a.get("dims")))
    times = [1] * (len(sizes) - len(given)) + given
    if len(times) == len(sizes) and all(1 in pair for pair in zip(times, sizes, strict=True)):
        return expand(reader, node, a)
    value, layout = reader.one(a["self"]), reader.layout(a["self"])
    places = [layout.axis(d, len(sizes)) for d in range(len(sizes))]
    if len(times) != len(sizes) or any(t > 1 for t, p in zip(times, places, strict=True) if p is None):
        raise ConvertError(
            f"{reader.place}: netspec does not support repeating a tensor of shape {sizes} {given} times"
        )
    for place, count in zip(places, times, strict=True):
        if place is not None and count > 1:
            value = tiled(reader, value, place, count)
    return value


def tiled(reader: Reader, value: int, at: int, count: int) -> int:
    """Return a value repeated `count` times along an axis."""
    x = tuple(reader.shape(value))
    value = reshaped(reader, value, (*x[:at], 1, *x[at:]))
    wide = (*x[:at], count, *x[at:])
    value = reader.add("expand", value, wide, shape=wide)
    return reshaped(reader, value, (*x[:at], count * x[at], *x[at + 1 :]))
