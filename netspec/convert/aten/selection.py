"""Converts operators that select positions along axes, or reorder them."""

from __future__ import annotations

from torch import fx

from netspec.convert.aten.axes import axis, permuted, without
from netspec.convert.reader import Reader
from netspec.convert.rows import Arguments, Value, aten, rank_of
from netspec.errors import ConvertError
from netspec.frontends.layout import BARE


@aten("select")
def select(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Convert `aten.select`, which selects one position along an axis."""
    value, given = reader.one(a["self"]), reader.layout(a["self"])
    if given.size == 1 and given.axis(a["dim"], rank_of(a["self"])) is None:
        reader.layouts[node] = BARE
        return value
    at = axis(reader, a["self"], a["dim"])
    without(reader, a["self"], node, [a["dim"]])
    return selected(reader, value, at, a["index"])


def selected(reader: Reader, value: int, at: int, index: int) -> int:
    """Return one position along an axis; a position in a sequence is selected with the op `token`."""
    x = reader.shape(value)
    shape = (*x[:at], *x[at + 1 :])
    if len(x) == 2 and at == 0 and index >= 0:
        return reader.add("token", value, shape, index=index)
    return reader.add("select", value, shape, index=index, axis=at)


@aten("slice")
def slice_(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Convert `aten.slice`."""
    rank = rank_of(a["self"])
    length = int(a["self"].meta["val"].shape[a["dim"] % rank])
    start, stop, step = slice(a["start"], a["end"], a["step"]).indices(length)
    value = reader.one(a["self"])
    if (start, stop, step) == (0, length, 1) or stop <= start:
        return value  # netspec has no empty tensors: `concat` leaves out empty slices
    return sliced(reader, value, axis(reader, a["self"], a["dim"]), start, stop, step)


def sliced(reader: Reader, value: int, at: int, start: int, stop: int, step: int = 1) -> int:
    """Return the slice of a value along an axis from `start` to `stop`."""
    x = reader.shape(value)
    shape = (*x[:at], -(-(stop - start) // step), *x[at + 1 :])
    return reader.add("slice", value, shape, start=start, stop=stop, axis=at, step=step)


@aten("split", "split_with_sizes", "chunk", "unbind", "tensor_split")
def parts(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Convert a call whose outputs are slices, or for `unbind` positions, along an axis."""
    value = reader.one(a["self"])
    at = axis(reader, a["self"], a["dim"])
    used = {u.args[1] for u in node.users}
    unbind = "unbind" in str(node.target)
    if unbind:
        without(reader, a["self"], node, [a["dim"]])
    found, start = [], 0
    for k, part in enumerate(node.meta["val"]):
        if unbind:
            found.append(selected(reader, value, at, k) if k in used else -1)
            continue
        stop = start + int(part.shape[a["dim"]])
        found.append(sliced(reader, value, at, start, stop) if k in used else -1)
        start = stop
    return tuple(found)


@aten("index")
def index(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Convert `aten.index` with one tensor of indices, along any axis but the batch axis."""
    given = a["indices"]
    used = [k for k, i in enumerate(given) if i is not None]
    value = reader.one(a["self"])
    if len(used) != 1:
        raise ConvertError(
            f"{reader.place}: netspec supports indexing with one tensor of indices, not with {len(used)}"
        )
    at = axis(reader, a["self"], used[0])
    positions = reader.one(given[used[0]])
    x, p = reader.shape(value), reader.shape(positions)
    if at:
        value = permuted(reader, value, [at, *(k for k in range(len(x)) if k != at)])
    found = reader.add("index", [value, positions], (*p, *(n for k, n in enumerate(x) if k != at)))
    if at:
        count = len(p)
        order = [*range(count, count + at), *range(count), *range(count + at, len(reader.shape(found)))]
        found = permuted(reader, found, order)
    return found


@aten("roll")
def roll(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Convert `aten.roll`."""
    value = reader.one(a["self"])
    axes = [axis(reader, a["self"], d) for d in a["dims"]]
    return reader.add("roll", value, node, shifts=list(a["shifts"]), axis=axes)


@aten("flip")
def flip(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Convert `aten.flip`."""
    value = reader.one(a["self"])
    return reader.add("flip", value, node, axis=[axis(reader, a["self"], d) for d in a["dims"]])
