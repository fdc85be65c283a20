"""Writes normalization layers as ONNX operators."""

from __future__ import annotations

import numpy as np

from netspec.emit.onnx.builder import Site
from netspec.emit.onnx.layers import windows
from netspec.emit.onnx.rows import onnx_row


@onnx_row("batchnorm")
def batchnorm(s: Site) -> str:
    """Write `batchnorm`."""
    size = s.op.size(s.x)
    ones, zeros = np.ones(size, np.float32), np.zeros(size, np.float32)
    learned = (
        [s.weight("weight"), s.weight("bias")]
        if s.op.affine
        else [s.graph.constant(ones), s.graph.constant(zeros)]
    )
    value = s.transpose(s.value, 0, 2, 1) if s.op.of_tokens(s.x) else s.value
    running = [s.weight("running_mean"), s.weight("running_var")]
    value = s.add("BatchNormalization", value, *learned, *running, epsilon=s.op.eps)
    return s.transpose(value, 0, 2, 1) if s.op.of_tokens(s.x) else value


@onnx_row("lrn")
def lrn(s: Site) -> str:
    """Write `lrn`."""
    if not s.op.within:
        return s.add("LRN", s.value, size=s.op.size, alpha=s.op.alpha, beta=s.op.beta, bias=s.op.k)
    energy = s.add(
        "AveragePool",
        s.add("Mul", s.value, s.value),
        **windows(s.op.axes(s.x)),
        count_include_pad=1,
    )
    divisor = s.plus(s.times(energy, s.op.alpha), s.op.k)
    return s.add("Div", s.value, s.add("Pow", divisor, s.graph.number(s.op.beta)))


@onnx_row("layernorm")
def layernorm(s: Site) -> str:
    """Write `layernorm`."""
    over_channels = s.op.over_channels(s.x)
    value = s.transpose(s.value, 0, 2, 3, 1) if over_channels else s.value
    size = s.op.size(s.x)
    weight = s.weight("weight") if s.op.affine else s.graph.constant(np.ones(size, np.float32))
    bias = [s.weight("bias")] if s.op.affine and s.op.bias else []
    value = s.add("LayerNormalization", value, weight, *bias, axis=-1, epsilon=s.op.eps)
    return s.transpose(value, 0, 3, 1, 2) if over_channels else value


@onnx_row("standardize")
def standardize(s: Site) -> str:
    """Write `standardize`."""
    ones = s.graph.constant(np.ones(s.x[-1], np.float32))
    return s.add("LayerNormalization", s.value, ones, axis=-1, epsilon=s.op.eps)


@onnx_row("rmsnorm")
def rmsnorm(s: Site) -> str:
    """Write `rmsnorm`."""
    eps = float(np.finfo(np.float32).eps) if s.op.eps is None else s.op.eps
    square = s.add("ReduceMean", s.add("Mul", s.value, s.value), s.graph.ints(-1), keepdims=1)
    value = s.add("Div", s.value, s.add("Sqrt", s.plus(square, eps)))
    return s.add("Mul", value, s.weight("weight")) if s.op.affine else value


@onnx_row("groupnorm")
def groupnorm(s: Site) -> str:
    """Write `groupnorm` as an InstanceNormalization of groups, followed by a scale and a shift.

    GroupNormalization in opset 20 has a scale and a bias per group instead of per channel.
    """
    groups = s.op.groups
    ones, zeros = np.ones(groups, np.float32), np.zeros(groups, np.float32)
    value = s.add(
        "InstanceNormalization",
        s.reshape(s.value, 0, groups, -1),
        s.graph.constant(ones),
        s.graph.constant(zeros),
        epsilon=s.op.eps,
    )
    value = s.reshape(value, -1, *s.x)
    if not s.op.affine:
        return value
    shape = (s.x.channels, *[1] * len(s.x.spatial))
    return s.add("Add", s.add("Mul", value, s.weight("weight", shape)), s.weight("bias", shape))


@onnx_row("rescale")
def rescale(s: Site) -> str:
    """Write `rescale`."""
    shape = (s.x.channels, 1, 1)
    factors, shifts = (np.array(v, np.float32).reshape(shape) for v in (s.op.scale, s.op.shift))
    return s.add("Add", s.add("Mul", s.value, s.graph.constant(factors)), s.graph.constant(shifts))
