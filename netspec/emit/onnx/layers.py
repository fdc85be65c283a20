"""Writes layers with windows or weights, and attention, as ONNX operators."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np

from netspec.emit.onnx.builder import Site
from netspec.emit.onnx.rows import onnx_row
from netspec.ops.arguments import fit
from netspec.shape import Axis


def windows(axes: tuple[Axis, ...]) -> dict[str, Any]:
    """Return the attributes of a window; `pads` has the padding at the start of all axes, then at the end."""
    return {
        "kernel_shape": [a.kernel for a in axes],
        "strides": [a.stride for a in axes],
        "pads": [a.padding for a in axes] * 2,
        "dilations": [a.dilation for a in axes],
    }


@onnx_row("conv")
def conv(s: Site) -> str:
    """Write `conv`."""
    weights = [s.weight("weight"), *([s.weight("bias")] if s.op.bias else [])]
    return s.add("Conv", s.value, *weights, **windows(s.op.axes(s.x)), group=s.op.groups)


@onnx_row("deconv")
def deconv(s: Site) -> str:
    """Write `deconv`."""
    weights = [s.weight("weight"), *([s.weight("bias")] if s.op.bias else [])]
    _, kernel, strides, padding, extra, dilations = (list(v) for v in zip(*s.op.windows(s.x), strict=True))
    return s.add(
        "ConvTranspose",
        s.value,
        *weights,
        kernel_shape=kernel,
        strides=strides,
        pads=padding * 2,
        output_padding=extra,
        dilations=dilations,
        group=s.op.groups,
    )


@onnx_row("convolve")
def convolve(s: Site) -> str:
    """Write `convolve`."""
    n = len(s.x.spatial)
    weights = [s.add("Squeeze", w, s.graph.ints(0)) for w in s.inputs[1:]]
    return s.add(
        "Conv",
        s.value,
        *weights,
        kernel_shape=list(s.xs[1][2:]),
        strides=list(fit(s.op.stride, n, "stride")),
        pads=list(fit(s.op.padding, n, "padding")) * 2,
        dilations=list(fit(s.op.dilation, n, "dilation")),
        group=s.op.groups,
    )


@onnx_row("linear")
def linear(s: Site) -> str:
    """Write `linear`."""
    bias = s.weight("bias") if s.op.bias else None
    if len(s.x) == 1:
        return s.add("Gemm", s.value, s.weight("weight"), *([bias] if bias else []), transB=1)
    return s.linear(s.value, s.weight("weight"), bias)


@onnx_row("maxpool")
def maxpool(s: Site) -> str:
    """Write `maxpool`."""
    return s.add("MaxPool", s.value, **windows(s.op.axes(s.x)), ceil_mode=int(s.op.ceil))


@onnx_row("avgpool")
def avgpool(s: Site) -> str:
    """Write `avgpool`, as matrix products if windows extend beyond the padded image.

    For such windows, the divisors of PyTorch and ONNX differ.
    """
    axes = s.op.axes(s.x)
    given = {**windows(axes), "count_include_pad": int(s.op.count_padding)}
    if not any(a.ceil and a.span % a.stride for a in axes):
        return s.add("AveragePool", s.value, **given)
    value = s.value
    for place, axis in enumerate(axes):
        value = averaged(s, value, place, windows_of(axis, s.op.count_padding), len(axes))
    return value


def windows_of(axis: Axis, count_padding: bool) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return the matrix that averages over the windows along an axis: output positions x input pixels."""
    matrix = np.zeros((axis.positions(), axis.size), np.float32)
    for row in range(axis.positions()):
        start = row * axis.stride - axis.padding
        stop = min(start + axis.kernel, axis.size + axis.padding)
        inside = slice(max(start, 0), min(stop, axis.size))
        matrix[row, inside] = 1 / ((stop - start) if count_padding else (inside.stop - inside.start))
    return matrix


def averaged(s: Site, value: str, place: int, matrix: Any, count: int) -> str:
    """Multiply a value by a matrix along axis `place` of its `count` spatial axes."""
    axis, last = place + 2, count + 1
    order = list(range(count + 2))
    order[axis], order[last] = order[last], order[axis]
    product = s.add("MatMul", s.transpose(value, *order), s.graph.constant(matrix.T.copy()))
    return s.transpose(product, *order)


def cells(size: int, out: int) -> list[tuple[int, int]]:
    """Return the start and stop of each window of PyTorch's adaptive pooling along an axis."""
    return [(k * size // out, -(-(k + 1) * size // out)) for k in range(out)]


@onnx_row("adaptive_avgpool", "adaptive_maxpool")
def adaptive(s: Site) -> str:
    """Write `adaptive_avgpool` or `adaptive_maxpool`."""
    average = s.op.keyword == "adaptive_avgpool"
    sizes, outs = s.x.spatial, s.y.spatial
    if set(outs) == {1}:
        return s.add("GlobalAveragePool" if average else "GlobalMaxPool", s.value)
    if all(n % out == 0 for n, out in zip(sizes, outs, strict=True)):
        kernel = [n // out for n, out in zip(sizes, outs, strict=True)]
        return s.add("AveragePool" if average else "MaxPool", s.value, kernel_shape=kernel, strides=kernel)
    value = s.value
    for place, (size, out) in enumerate(zip(sizes, outs, strict=True)):
        if average:
            matrix = np.zeros((out, size), np.float32)
            for row, (start, stop) in enumerate(cells(size, out)):
                matrix[row, start:stop] = 1 / (stop - start)
            value = averaged(s, value, place, matrix, len(sizes))
        else:
            axis = s.graph.ints(place + 2)
            parts = [s.slice(value, start, stop, place + 2) for start, stop in cells(size, out)]
            value = s.add("Concat", *(s.add("ReduceMax", p, axis) for p in parts), axis=place + 2)
    return value


@onnx_row("dropout", "dropout2d", "stochastic_depth", "identity")
def nothing(s: Site) -> str:
    """Write a layer that returns its input in evaluation: no operator is needed."""
    return s.value


@onnx_row("attention")
def attention(s: Site) -> str:
    """Write `attention`."""
    tokens, features = s.x
    size = features // s.op.heads
    qkv = s.linear(s.value, s.weight("in_proj_weight"), s.weight("in_proj_bias"))
    qkv = s.transpose(s.reshape(qkv, -1, tokens, 3, s.op.heads, size), 2, 0, 3, 1, 4)
    q, k, v = s.graph.several("Split", 3, qkv, axis=0, num_outputs=3)
    q, k, v = (s.add("Squeeze", part, s.graph.ints(0)) for part in (q, k, v))
    value = attended(s, s.times(q, 1 / sqrt(size)), k, v)
    value = s.reshape(s.transpose(value, 0, 2, 1, 3), -1, tokens, features)
    return s.linear(value, s.weight("out_proj.weight"), s.weight("out_proj.bias"))


def attended(s: Site, q: str, k: str, v: str, *terms: str) -> str:
    """Return softmax(q k^T + terms) v; q, k and v are batch x heads x tokens x size."""
    scores = s.add("MatMul", q, s.transpose(k, 0, 1, 3, 2))
    for term in terms:
        scores = s.add("Add", scores, term)
    return s.add("MatMul", s.add("Softmax", scores, axis=-1), v)


@onnx_row("dot_product_attention")
def dot_product_attention(s: Site) -> str:
    """Write `dot_product_attention`."""
    q, k, v = s.inputs[:3]
    factor = s.op.scale if s.op.scale is not None else 1 / sqrt(s.x[-1])
    last = len(s.x)
    scores = s.add("MatMul", s.times(q, factor), s.transpose(k, *range(last - 1), last, last - 1))
    masks = list(s.inputs[3:])
    if s.op.causal:
        future = np.triu(np.full((s.x[-2], s.xs[1][-2]), -np.inf, np.float32), 1)
        masks.append(s.graph.constant(future))
    for mask in masks:
        scores = s.add("Add", scores, mask)
    return s.add("MatMul", s.add("Softmax", scores, axis=-1), v)
