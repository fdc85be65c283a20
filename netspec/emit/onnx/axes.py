"""Writes joins and operations on axes as ONNX operators."""

from __future__ import annotations

from math import prod

import numpy as np

from netspec.emit.onnx.builder import Site, is_raw
from netspec.emit.onnx.rows import onnx_row
from netspec.shape import axis_of


def axis(s: Site, place: int) -> int:
    """Return the 0-based number of an axis, including the batch axis."""
    return axis_of(place, s.x) + 1


@onnx_row("param", "buffer")
def tensor(s: Site) -> str:
    """Write `param` or `buffer`."""
    return s.weight("", (1, *s.y))


@onnx_row("concat")
def concat(s: Site) -> str:
    """Write `concat`; raw tensors are expanded over the batch."""
    sources = s.node.inputs
    net = s.graph.net
    batched = next((v for v, i in zip(s.inputs, sources, strict=True) if not is_raw(net, i)), None)
    values = list(s.inputs)
    if batched is not None and any(is_raw(net, i) for i in sources):
        batch = s.add("Shape", batched, start=0, end=1)
        for place, source in enumerate(sources):
            if is_raw(net, source):
                ones = s.graph.ints(*[1] * len(s.xs[place]))
                values[place] = s.add("Expand", values[place], s.add("Concat", batch, ones, axis=0))
    return s.add("Concat", *values, axis=axis(s, s.op.axis))


@onnx_row("add", "mul", "sub", "div", "maximum", "minimum")
def elementwise(s: Site) -> str:
    """Write an elementwise operator on two or more values."""
    kind = {"maximum": "Max", "minimum": "Min"}.get(s.op.keyword, s.op.keyword.title())
    value = s.value
    for other in s.inputs[1:]:
        value = s.add(kind, value, other)
    return value


@onnx_row("matmul")
def matmul(s: Site) -> str:
    """Write `matmul`."""
    return s.add("MatMul", *s.inputs)


@onnx_row("einsum")
def einsum(s: Site) -> str:
    """Write `einsum`; a term without a letter for the batch belongs to a raw tensor."""
    terms = s.op.equation.partition("->")[0].split(",")
    values = [
        value if len(term) == len(x) + 1 else s.add("Squeeze", value, s.graph.ints(0))
        for term, value, x in zip(terms, s.inputs, s.xs, strict=True)
    ]
    return s.add("Einsum", *values, equation=s.op.equation)


@onnx_row("index")
def index(s: Site) -> str:
    """Write `index`."""
    table = s.add("Squeeze", s.inputs[0], s.graph.ints(0))
    if s.graph.net.nodes[s.node.inputs[1]].batched:
        return s.add("Gather", table, s.inputs[1], axis=0)
    positions = s.add("Squeeze", s.inputs[1], s.graph.ints(0))
    return s.add("Unsqueeze", s.add("Gather", table, positions, axis=0), s.graph.ints(0))


@onnx_row("flatten")
def flatten(s: Site) -> str:
    """Write `flatten`."""
    return s.add("Flatten", s.value, axis=1)


@onnx_row("reshape")
def reshape(s: Site) -> str:
    """Write `reshape`."""
    return s.reshape(s.value, -1, *s.y)


@onnx_row("permute")
def permute(s: Site) -> str:
    """Write `permute`."""
    return s.transpose(s.value, 0, *(k + 1 for k in s.op.order))


@onnx_row("expand")
def expand(s: Site) -> str:
    """Write `expand`."""
    return s.add("Expand", s.value, s.graph.ints(1, *s.y))


@onnx_row("select")
def select(s: Site) -> str:
    """Write `select`."""
    return s.add("Gather", s.value, s.graph.constant(np.array(s.op.index)), axis=axis(s, s.op.axis))


@onnx_row("token")
def token(s: Site) -> str:
    """Write `token`."""
    return s.add("Gather", s.value, s.graph.constant(np.array(s.op.index)), axis=1)


@onnx_row("slice")
def slice_(s: Site) -> str:
    """Write `slice`."""
    return s.slice(s.value, s.op.start, s.op.stop, axis(s, s.op.axis), s.op.step)


@onnx_row("roll")
def roll(s: Site) -> str:
    """Write `roll`."""
    value = s.value
    for shift, place in zip(s.op.shifts, s.op.axis, strict=True):
        value = s.roll(value, shift, axis(s, place), s.x[axis_of(place, s.x)])
    return value


@onnx_row("flip")
def flip(s: Site) -> str:
    """Write `flip`."""
    value = s.value
    for place in s.op.axis:
        value = s.slice(value, -1, -(2**62), axis(s, place), -1)
    return value


REDUCTIONS = {
    "mean": "ReduceMean",
    "sum": "ReduceSum",
    "max": "ReduceMax",
    "min": "ReduceMin",
    "norm": "ReduceL2",
}


@onnx_row(*REDUCTIONS)
def reduction(s: Site) -> str:
    """Write a reduction over axes."""
    axes = s.graph.ints(*(axis(s, place) for place in s.op.axis))
    return s.add(REDUCTIONS[s.op.keyword], s.value, axes, keepdims=int(s.op.keep))


@onnx_row("var", "std")
def variance(s: Site) -> str:
    """Write `var` or `std`."""
    axes = s.graph.ints(*(axis(s, place) for place in s.op.axis))
    centred = s.add("Sub", s.value, s.add("ReduceMean", s.value, axes, keepdims=1))
    squares = s.add("ReduceSumSquare", centred, axes, keepdims=int(s.op.keep))
    count = prod(s.x[axis_of(place, s.x)] for place in s.op.axis)
    found = s.times(squares, 1 / max(count - s.op.unbiased, 1))
    return s.add("Sqrt", found) if s.op.keyword == "std" else found


@onnx_row("upsample")
def upsample(s: Site) -> str:
    """Write `upsample`."""
    mode = {"nearest": "nearest", "bicubic": "cubic"}.get(s.op.mode, "linear")
    given: dict[str, object] = {"mode": mode}
    if mode == "nearest":
        given |= {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    else:
        corners = "align_corners" if s.op.align_corners else "half_pixel"
        given |= {"coordinate_transformation_mode": corners}
        given |= {"cubic_coeff_a": -0.75} if mode == "cubic" else {}
    if s.op.scale is not None:
        factors = [1.0, 1.0, *(float(factor) for _, factor in s.op.factors(s.x))]
        return s.add("Resize", s.value, "", s.graph.constant(np.array(factors, np.float32)), **given)
    batch = s.add("Shape", s.value, start=0, end=1)
    sizes = s.add("Concat", batch, s.graph.ints(*s.y), axis=0)
    return s.add("Resize", s.value, "", "", sizes, **given)


@onnx_row("zeropad", "pad")
def pad(s: Site) -> str:
    """Write `zeropad` or `pad`."""
    if s.op.keyword == "zeropad":
        sides, mode, fill = [(0, pad, pad) for _, pad in s.op.sides(s.x)], "constant", 0.0
    else:
        sides, fill = s.op.sides(s.x), s.op.value
        mode = {"replicate": "edge", "circular": "wrap"}.get(s.op.mode, s.op.mode)
    starts, ends = [start for _, start, _ in sides], [end for _, _, end in sides]
    pads = s.graph.ints(0, 0, *starts, 0, 0, *ends)
    return s.add("Pad", s.value, pads, s.graph.number(fill), mode=mode)


@onnx_row("pixel_shuffle")
def pixel_shuffle(s: Site) -> str:
    """Write `pixel_shuffle`."""
    return s.add("DepthToSpace", s.value, blocksize=s.op.factor, mode="CRD")


@onnx_row("pixel_unshuffle")
def pixel_unshuffle(s: Site) -> str:
    """Write `pixel_unshuffle`."""
    channels, height, width = s.x
    n = s.op.factor
    value = s.reshape(s.value, -1, channels, height // n, n, width // n, n)
    return s.reshape(s.transpose(value, 0, 1, 3, 5, 2, 4), -1, *s.y)


@onnx_row("channel_shuffle")
def channel_shuffle(s: Site) -> str:
    """Write `channel_shuffle`."""
    channels, height, width = s.x
    value = s.reshape(s.value, -1, s.op.groups, channels // s.op.groups, height, width)
    return s.reshape(s.transpose(value, 0, 2, 1, 3, 4), -1, *s.y)


@onnx_row("channels_last")
def channels_last(s: Site) -> str:
    """Write `channels_last`."""
    return s.transpose(s.value, 0, 2, 3, 1)


@onnx_row("channels_first")
def channels_first(s: Site) -> str:
    """Write `channels_first`."""
    return s.transpose(s.value, 0, 3, 1, 2)


@onnx_row("tokens")
def tokens(s: Site) -> str:
    """Write `tokens`."""
    return s.transpose(s.reshape(s.value, 0, 0, -1), 0, 2, 1)


@onnx_row("merge_patches")
def merge_patches(s: Site) -> str:
    """Write `merge_patches`."""
    height, width, _ = s.x
    value = s.value
    if height % 2 or width % 2:
        value = s.add("Pad", value, s.graph.ints(0, 0, 0, 0, 0, height % 2, width % 2, 0))
    rows = [s.slice(value, k, 2**62, 1, 2) for k in (0, 1)]
    return s.add("Concat", *(s.slice(row, k, 2**62, 2, 2) for k in (0, 1) for row in rows), axis=-1)


@onnx_row("partition")
def partition(s: Site) -> str:
    """Write `partition`."""
    channels, height, width = s.x
    size = height // s.op.size if s.op.grid else s.op.size
    value = s.reshape(s.value, -1, channels, height // size, size, width // size, size)
    value = s.reshape(s.transpose(value, 0, 2, 4, 3, 5, 1), 0, -1, size * size, channels)
    return s.transpose(value, 0, 2, 1, 3) if s.op.grid else value


@onnx_row("unpartition")
def unpartition(s: Site) -> str:
    """Write `unpartition`."""
    channels, height, width = s.y
    size = height // s.op.size if s.op.grid else s.op.size
    value = s.transpose(s.value, 0, 2, 1, 3) if s.op.grid else s.value
    value = s.reshape(value, -1, height // size, width // size, size, size, channels)
    return s.reshape(s.transpose(value, 0, 5, 1, 3, 2, 4), -1, *s.y)
