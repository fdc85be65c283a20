"""Writes attention inside windows as ONNX operators; only the batch is dynamic, all other sizes are fixed."""

from __future__ import annotations

from collections.abc import Sequence
from math import log, prod

import numpy as np

from netspec.emit.onnx.builder import Array, Site
from netspec.emit.onnx.layers import attended
from netspec.emit.onnx.rows import onnx_row


def cut(s: Site, value: str, sizes: Sequence[int], window: Sequence[int], features: int) -> str:
    """Cut a value N x sizes x features into windows: (N * number of windows) x positions x features."""
    n = len(sizes)
    split = [part for size, w in zip(sizes, window, strict=True) for part in (size // w, w)]
    value = s.reshape(value, -1, *split, features)
    value = s.transpose(value, 0, *range(1, 2 * n, 2), *range(2, 2 * n + 1, 2), 2 * n + 1)
    return s.reshape(value, -1, prod(window), features)


def join(s: Site, value: str, sizes: Sequence[int], window: Sequence[int], features: int) -> str:
    """Join the windows that `cut` returns into a value N x sizes x features."""
    n = len(sizes)
    counts = [size // w for size, w in zip(sizes, window, strict=True)]
    value = s.reshape(value, -1, *counts, *window, features)
    order = [place for k in range(n) for place in (1 + k, 1 + n + k)]
    return s.reshape(s.transpose(value, 0, *order, 2 * n + 1), -1, *sizes, features)


def mask(sizes: Sequence[int], window: Sequence[int], shift: Sequence[int]) -> Array:
    """Return a mask, windows x positions x positions, for attention in cyclically shifted windows.

    It is -100 for pairs of positions that the shift has moved together from different parts of the image,
    and 0 for all other pairs.
    """
    region = np.zeros(sizes, np.int64)
    for axis, (size, w, moved) in enumerate(zip(sizes, window, shift, strict=True)):
        own = np.zeros(size, np.int64)
        if moved:
            own[size - w : size - moved], own[size - moved :] = 1, 2
        region = 3 * region + own.reshape([-1 if k == axis else 1 for k in range(len(sizes))])
    n = len(sizes)
    split = [part for size, w in zip(sizes, window, strict=True) for part in (size // w, w)]
    places = region.reshape(split).transpose(*range(0, 2 * n, 2), *range(1, 2 * n, 2))
    places = places.reshape(-1, prod(window))
    apart = places[:, :, None] != places[:, None, :]
    return np.where(apart, np.float32(-100), np.float32(0))


def bias_of(s: Site, table: str, index: Array, places: int) -> str:
    """Return the bias of each pair of positions: 1 x heads x positions x positions."""
    positions = s.graph.constant(index.reshape(-1).astype(np.int64))
    chosen = s.reshape(s.add("Gather", table, positions, axis=0), 1, places, places, -1)
    return s.transpose(chosen, 0, 3, 1, 2)


@onnx_row("window_attention", "cosine_window_attention")
def window_attention(s: Site) -> str:
    """Write `window_attention` or `cosine_window_attention`."""
    sizes, features, window = list(s.x[:2]), s.x[-1], [s.op.window] * 2
    padded = [-(-n // w) * w for n, w in zip(sizes, window, strict=True)]
    shift = [0 if w >= n else s.op.shift for w, n in zip(window, padded, strict=True)]
    places = prod(window)
    index = s.array("relative_position_index")
    qkv_bias = s.weight("qkv.bias")
    factor: str | None = None
    if s.op.keyword == "cosine_window_attention":
        table = s.linear(
            s.weight("relative_coords_table"), s.weight("cpb_mlp.0.weight"), s.weight("cpb_mlp.0.bias")
        )
        table = s.linear(s.add("Relu", table), s.weight("cpb_mlp.2.weight"))
        table = s.reshape(table, -1, s.op.heads)
        bias = s.times(s.add("Sigmoid", bias_of(s, table, index, places)), 16)
        kept = np.ones(3 * features, np.float32)
        kept[features : 2 * features] = 0
        qkv_bias = s.add("Mul", qkv_bias, s.graph.constant(kept))
        largest = s.graph.number(log(100))
        factor = s.add("Exp", s.add("Clip", s.weight("logit_scale"), "", largest))
    else:
        bias = bias_of(s, s.weight("relative_position_bias_table"), index, places)
    return shifted(s, s.value, sizes, padded, window, shift, bias, qkv_bias, factor)


@onnx_row("video_window_attention")
def video_window_attention(s: Site) -> str:
    """Write `video_window_attention`."""
    sizes = list(s.x[:3])
    window = [min(w, n) for w, n in zip(s.op.sizes("window"), sizes, strict=True)]
    moves = zip(s.op.sizes("shift"), s.op.sizes("window"), sizes, strict=True)
    shift = [0 if n <= w else moved for moved, w, n in moves]
    padded = [-(-n // w) * w for n, w in zip(sizes, window, strict=True)]
    places = prod(window)
    index = s.array("relative_position_index")[:places, :places]
    bias = bias_of(s, s.weight("relative_position_bias_table"), index, places)
    return shifted(s, s.value, sizes, padded, window, shift, bias, s.weight("qkv.bias"), None)


def shifted(
    s: Site,
    value: str,
    sizes: Sequence[int],
    padded: Sequence[int],
    window: Sequence[int],
    shift: Sequence[int],
    bias: str,
    qkv_bias: str,
    factor: str | None,
) -> str:
    """Return the attention in windows after a cyclic shift.

    If `factor` is given, the scores are cosine similarities times `factor`, otherwise dot products.
    """
    features, heads, places = s.x[-1], s.op.heads, prod(window)
    if padded != sizes:
        ends = [p - n for p, n in zip(padded, sizes, strict=True)]
        value = s.add("Pad", value, s.graph.ints(0, *[0] * len(sizes), 0, 0, *ends, 0))
    for axis, moved in enumerate(shift):
        value = s.roll(value, -moved, axis + 1, padded[axis])
    value = cut(s, value, padded, window, features)
    qkv = s.linear(value, s.weight("qkv.weight"), qkv_bias)
    qkv = s.transpose(s.reshape(qkv, -1, places, 3, heads, features // heads), 2, 0, 3, 1, 4)
    q, k, v = s.graph.several("Split", 3, qkv, axis=0, num_outputs=3)
    q, k, v = (s.add("Squeeze", part, s.graph.ints(0)) for part in (q, k, v))
    if factor is None:
        q = s.times(q, (features // heads) ** -0.5)
    else:
        q, k = normalized(s, q), normalized(s, k)
    scores = s.add("MatMul", q, s.transpose(k, 0, 1, 3, 2))
    scores = s.add("Mul", scores, factor) if factor else scores
    scores = s.add("Add", scores, bias)
    if any(shift):
        apart = mask(padded, window, shift)
        scores = s.reshape(scores, -1, len(apart), heads, places, places)
        scores = s.add("Add", scores, s.graph.constant(apart[None, :, None]))
        scores = s.reshape(scores, -1, heads, places, places)
    value = s.add("MatMul", s.add("Softmax", scores, axis=-1), v)
    value = s.reshape(s.transpose(value, 0, 2, 1, 3), -1, places, features)
    value = s.linear(value, s.weight("proj.weight"), s.weight("proj.bias"))
    value = join(s, value, padded, window, features)
    for axis, moved in enumerate(shift):
        value = s.roll(value, moved, axis + 1, padded[axis])
    for axis, (size, whole) in enumerate(zip(sizes, padded, strict=True)):
        value = value if size == whole else s.slice(value, 0, size, axis + 1)
    return value


def normalized(s: Site, value: str) -> str:
    """Divide vectors along the last axis by their Euclidean norm."""
    length = s.add("ReduceL2", value, s.graph.ints(-1), keepdims=1)
    return s.add("Div", value, s.add("Max", length, s.graph.number(1e-12)))


@onnx_row("relative_attention")
def relative_attention(s: Site) -> str:
    """Write `relative_attention`."""
    groups, places, features = s.x
    heads = s.op.heads
    qkv = s.linear(s.value, s.weight("to_qkv.weight"), s.weight("to_qkv.bias"))
    q, k, v = (
        s.transpose(s.reshape(part, -1, places, heads, features // heads), 0, 2, 1, 3)
        for part in s.graph.several("Split", 3, qkv, axis=-1, num_outputs=3)
    )
    index = s.array("relative_position_index")
    bias = bias_of(s, s.weight("relative_position_bias_table"), index, places)
    value = attended(s, q, s.times(k, features**-0.5), v, bias)
    value = s.reshape(s.transpose(value, 0, 2, 1, 3), -1, groups, places, features)
    return s.linear(value, s.weight("merge.weight"), s.weight("merge.bias"))
