"""Reads ONNX convolutions and matrix products."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from netspec.errors import ConvertError
from netspec.frontends.layout import even
from netspec.frontends.onnx.model import Array, Call
from netspec.frontends.onnx.reader import Reader, onnx_operator
from netspec.shape import Shape


def tidy(value: float) -> float:
    """Return a float32 as the float with its shortest decimal form, such as 0.1 for 0.100000001."""
    return float(str(np.float32(value)))


def window(r: Reader, c: Call, value: int, kernel: Sequence[int], fill: float) -> tuple[int, dict[str, Any]]:
    """Return the kernel, stride, padding and dilation of a window, and the value that it is applied to.

    If the padding of the two sides of an axis differs, the returned value is padded, and the padding is 0.
    """
    sizes = r.shape(value).spatial
    n = len(sizes)
    strides, dilations = c.get("strides") or [1] * n, c.get("dilations") or [1] * n
    pads = list(c.get("pads") or [0] * 2 * n)
    auto = c.get("auto_pad", "NOTSET")
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        reaches = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
        totals = [
            max((-(-size // s) - 1) * s + reach - size, 0)
            for size, s, reach in zip(sizes, strides, reaches, strict=True)
        ]
        less, more = [t // 2 for t in totals], [-(-t // 2) for t in totals]
        pads = [*less, *more] if auto == "SAME_UPPER" else [*more, *less]
    starts, ends = pads[:n], pads[n:]
    if starts != ends:
        sides = [side for pair in reversed(list(zip(starts, ends, strict=True))) for side in pair]
        value = r.add("pad", value, padding=sides, mode="constant", value=fill)
        starts = [0] * n
    given = {"kernel": even(kernel), "stride": even(strides), "padding": even(starts)}
    return value, {**given, "dilation": even(dilations)}


@onnx_operator("Conv")
def conv(r: Reader, c: Call) -> int:
    """Read `Conv`."""
    value = r.value(c.inputs[0])
    if c.inputs[1] not in r.constants:
        raise ConvertError(f"{c.place}: the weight is not a constant, which netspec does not support")
    weight = r.constant(c.inputs[1])
    bias = r.constant(c.inputs[2]) if len(c.inputs) > 2 and c.inputs[2] else None
    if len(r.shape(value)) != weight.ndim - 1:
        raise ConvertError(
            f"{c.place}: a weight of shape {weight.shape} does not match an input of shape {r.shape(value)}"
        )
    value, given = window(r, c, value, weight.shape[2:], 0.0)
    weights = {"weight": weight, **({} if bias is None else {"bias": bias})}
    groups = c.get("group", 1)
    return r.add(
        "conv", value, weights, channels=weight.shape[0], **given, groups=groups, bias=bias is not None
    )


@onnx_operator("ConvTranspose")
def deconv(r: Reader, c: Call) -> int:
    """Read `ConvTranspose`."""
    value = r.value(c.inputs[0])
    weight = r.constant(c.inputs[1])
    bias = r.constant(c.inputs[2]) if len(c.inputs) > 2 and c.inputs[2] else None
    n = weight.ndim - 2
    strides, dilations = c.get("strides") or [1] * n, c.get("dilations") or [1] * n
    extra, groups = c.get("output_padding") or [0] * n, c.get("group", 1)
    pads = list(c.get("pads") or [0] * 2 * n)
    if c.get("output_shape") or c.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        wanted = c.get("output_shape") or [
            size * s for size, s in zip(r.shape(value).spatial, strides, strict=True)
        ]
        totals = [
            s * (size - 1) + e + (k - 1) * d + 1 - out
            for size, s, e, k, d, out in zip(
                r.shape(value).spatial, strides, extra, weight.shape[2:], dilations, wanted[-n:], strict=True
            )
        ]
        less, more = [t // 2 for t in totals], [-(-t // 2) for t in totals]
        pads = [*more, *less] if c.get("auto_pad") == "SAME_LOWER" else [*less, *more]
    starts, ends = pads[:n], pads[n:]
    cuts = [end - start for start, end in zip(starts, ends, strict=True)]
    if min(pads) < 0:
        raise ConvertError(f"{c.place}: netspec does not support a transposed convolution with negative pads")
    least = [min(pair) for pair in zip(starts, ends, strict=True)]
    weights = {"weight": weight, **({} if bias is None else {"bias": bias})}
    value = r.add(
        "deconv",
        value,
        weights,
        channels=weight.shape[1] * groups,
        kernel=even(weight.shape[2:]),
        stride=even(strides),
        padding=even(least),
        output_padding=even(extra),
        dilation=even(dilations),
        groups=groups,
        bias=bias is not None,
    )
    if not any(cuts):
        return value
    sides = [side for cut in reversed(cuts) for side in (min(cut, 0), -max(cut, 0))]
    return r.add("pad", value, padding=sides, mode="constant", value=0.0)


@onnx_operator("Gemm")
def gemm(r: Reader, c: Call) -> int:
    """Read `Gemm`."""
    if c.get("transA", 0) or r.layout(c.inputs[0]).at == r.rank(c.inputs[0]) - 1:
        raise ConvertError(
            f"{c.place}: netspec supports Gemm only as a linear layer, so neither with transA=1 nor with a"
            " product over the batch axis"
        )
    weight = r.constant(c.inputs[1])
    weight = weight if c.get("transB", 0) else weight.T
    weight = weight * np.float32(c.get("alpha", 1.0)) if c.get("alpha", 1.0) != 1 else weight
    bias = r.constant(c.inputs[2]) if len(c.inputs) > 2 and c.inputs[2] else None
    if bias is not None:
        bias = np.broadcast_to(bias.reshape(-1) * np.float32(c.get("beta", 1.0)), weight.shape[:1])
    return linear(r, r.value(c.inputs[0]), weight, bias)


def linear(r: Reader, value: int, weight: Array, bias: Array | None) -> int:
    """Append a linear layer and return its value; `weight` is out_features x in_features, as in PyTorch."""
    x = r.shape(value)
    if len(x) == 3 and type(x) is Shape:
        value = r.add("reshape", value, shape=tuple(x))
    weights = {"weight": weight, **({} if bias is None else {"bias": bias})}
    return r.add("linear", value, weights, features=weight.shape[0], bias=bias is not None)


@onnx_operator("MatMul")
def matmul(r: Reader, c: Call) -> int:
    """Read `MatMul`."""
    left, right = c.inputs
    layout = r.layout(left)
    if right in r.constants and r.constants[right].ndim == 2 and layout.at != r.rank(left) - 1:
        return linear(r, r.value(left), r.constants[right].T, None)
    rank = max(r.rank(left), r.rank(right))
    if layout.at > rank - 3 and layout.at >= 0:
        raise ConvertError(f"{c.place}: netspec does not support a matrix product over the batch axis")
    return r.add("matmul", [r.value(left, rank), r.value(right, rank)])


def with_bias(r: Reader, value: int, bias: Array) -> int | None:
    """Add a bias to a value and return it if the value is a linear layer without bias and the last step.

    Otherwise, return None.
    """
    step = r.steps[value]
    fits = value == len(r.steps) - 1 and step.op == "linear" and not step.arguments["bias"]
    if not fits or bias.shape != (step.arguments["features"],):
        return None
    r.steps[value] = replace(step, arguments={**step.arguments, "bias": True})
    r.weights[".".join(filter(None, (step.module, step.name, "bias")))] = bias
    return value
