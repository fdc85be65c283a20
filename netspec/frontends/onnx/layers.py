"""Convolutions, pools, norms, products and activations of ONNX."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from netspec.errors import ConvertError
from netspec.frontends.onnx.model import Array, Call
from netspec.frontends.onnx.reader import Reader, onnx_operator
from netspec.shape import Axis, Shape

PLAIN = {
    "Relu": "relu",
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
    "Selu": "selu",
    "Softplus": "softplus",
    "HardSwish": "hardswish",
    "Exp": "exp",
    "Sqrt": "sqrt",
    "Abs": "abs",
    "Sin": "sin",
    "Cos": "cos",
}
"""Functions without arguments."""
SMALLEST = -3.0e38
"""A number that no maximum chooses, for the padding of max pooling."""


@onnx_operator(*PLAIN)
def activation(r: Reader, c: Call) -> int:
    return r.add(PLAIN[c.kind], r.value(c.inputs[0]))


@onnx_operator("Identity", "Dropout", "Cast")
def unchanged(r: Reader, c: Call) -> Sequence[int]:
    return [r.value(c.inputs[0])]


@onnx_operator("Neg", "Reciprocal")
def scaled(r: Reader, c: Call) -> int:
    value = r.value(c.inputs[0])
    return r.add("scale", value, factor=-1.0) if c.kind == "Neg" else r.add("pow", value, exponent=-1.0)


@onnx_operator("LeakyRelu", "Elu")
def sloped(r: Reader, c: Call) -> int:
    if c.kind == "LeakyRelu":
        return r.add("leaky_relu", r.value(c.inputs[0]), slope=tidy(c.get("alpha", 0.01)))
    return r.add("elu", r.value(c.inputs[0]), alpha=tidy(c.get("alpha", 1.0)))


def tidy(value: float) -> float:
    """Return a number that was stored in single precision as its shortest decimal."""
    return float(str(np.float32(value)))


@onnx_operator("HardSigmoid")
def hardsigmoid(r: Reader, c: Call) -> int:
    alpha, beta = c.get("alpha", 0.2), c.get("beta", 0.5)
    value = r.value(c.inputs[0])
    if abs(alpha - 1 / 6) < 1e-6 and beta == 0.5:
        return r.add("hardsigmoid", value)
    return r.add("clamp", r.add("scale", value, factor=tidy(alpha), offset=tidy(beta)), min=0.0, max=1.0)


@onnx_operator("Gelu")
def gelu(r: Reader, c: Call) -> int:
    return r.add("gelu", r.value(c.inputs[0]), approximate=c.get("approximate", "none"))


@onnx_operator("Clip")
def clip(r: Reader, c: Call) -> int:
    low, high = ((r.given(c, k, name) or [None])[0] for k, name in ((1, "min"), (2, "max")))
    value = r.value(c.inputs[0])
    if (low, high) == (0, 6):
        return r.add("relu6", value)
    if low is None and high is None:
        return value
    bounds = {"min": low, "max": high}
    return r.add("clamp", value, **{k: tidy(v) for k, v in bounds.items() if v is not None})


@onnx_operator("PRelu")
def prelu(r: Reader, c: Call) -> int:
    slope = r.constant(c.inputs[1])
    value = r.value(c.inputs[0])
    channels = r.shape(value).channels
    if slope.size not in (1, channels) or (
        slope.size > 1 and slope.shape[slope.ndim - len(r.shape(value))] == 1
    ):
        raise ConvertError(f"{c.place}: slopes of {slope.shape} are not those of {channels} channels")
    return r.add("prelu", value, {"weight": slope.reshape(-1)}, per_channel=slope.size > 1)


@onnx_operator("Softmax", "LogSoftmax")
def softmax(r: Reader, c: Call) -> int:
    op = {"Softmax": "softmax", "LogSoftmax": "log_softmax"}[c.kind]
    rank = r.rank(c.inputs[0])
    place = c.get("axis", -1 if r.model.opset >= 13 else 1) % rank
    if r.model.opset < 13 and any(n > 1 for n in r.actual(c.inputs[0])[place + 1 :]):
        raise ConvertError(f"{c.place}: a softmax over several axes together")
    return r.add(op, r.value(c.inputs[0]), axis=r.axis(c.inputs[0], place))


def even(sizes: Sequence[int]) -> Any:
    """Return sizes as one number if all are equal, else as a tuple."""
    return int(sizes[0]) if len(set(sizes)) == 1 else tuple(int(n) for n in sizes)


def window(r: Reader, c: Call, value: int, kernel: Sequence[int], fill: float) -> tuple[int, dict[str, Any]]:
    """Return the value, padded first if its sides differ, and kernel, stride, padding and dilation."""
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
    value = r.value(c.inputs[0])
    if c.inputs[1] not in r.constants:
        raise ConvertError(f"{c.place}: the weight is computed from the input")
    weight = r.constant(c.inputs[1])
    bias = r.constant(c.inputs[2]) if len(c.inputs) > 2 and c.inputs[2] else None
    if len(r.shape(value)) != weight.ndim - 1:
        raise ConvertError(f"{c.place}: a weight of {weight.shape} for an input of {r.shape(value)}")
    value, given = window(r, c, value, weight.shape[2:], 0.0)
    weights = {"weight": weight, **({} if bias is None else {"bias": bias})}
    groups = c.get("group", 1)
    return r.add(
        "conv", value, weights, channels=weight.shape[0], **given, groups=groups, bias=bias is not None
    )


@onnx_operator("ConvTranspose")
def deconv(r: Reader, c: Call) -> int:
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
        raise ConvertError(f"{c.place}: negative padding")
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


@onnx_operator("MaxPool")
def maxpool(r: Reader, c: Call) -> Sequence[int]:
    value, given = window(r, c, r.value(c.inputs[0]), c.attributes["kernel_shape"], SMALLEST)
    if given.pop("dilation") != 1 or (len(c.outputs) > 1 and c.outputs[1]):
        raise ConvertError(f"{c.place}: max pooling with dilation or indices")
    given["stride"] = None if given["stride"] == given["kernel"] else given["stride"]
    return [r.add("maxpool", value, **given, ceil=bool(c.get("ceil_mode", 0)))]


@onnx_operator("AveragePool")
def avgpool(r: Reader, c: Call) -> int:
    count = bool(c.get("count_include_pad", 0))
    value, given = window(r, c, r.value(c.inputs[0]), c.attributes["kernel_shape"], 0.0)
    if given.pop("dilation") != 1:
        raise ConvertError(f"{c.place}: average pooling with dilation")
    if value != r.values[c.inputs[0]] and not count:
        raise ConvertError(f"{c.place}: an average that leaves out padding on one side")
    given["stride"] = None if given["stride"] == given["kernel"] else given["stride"]
    options = {"ceil": bool(c.get("ceil_mode", 0)), "count_padding": count or given["padding"] == 0}
    return r.add("avgpool", value, **given, **options)


@onnx_operator("GlobalAveragePool", "GlobalMaxPool")
def global_pool(r: Reader, c: Call) -> int:
    op = "adaptive_avgpool" if c.kind == "GlobalAveragePool" else "adaptive_maxpool"
    return r.add(op, r.value(c.inputs[0]), size=1)


@onnx_operator("BatchNormalization")
def batchnorm(r: Reader, c: Call) -> Sequence[int]:
    if c.get("training_mode", 0):
        raise ConvertError(f"{c.place} in training mode")
    value = r.value(c.inputs[0])
    x = r.shape(value)
    names = ("weight", "bias", "running_mean", "running_var")
    weights = {name: r.constant(i) for name, i in zip(names, c.inputs[1:], strict=True)}
    weights["num_batches_tracked"] = np.array(0, np.int64)
    given: dict[str, object] = {"eps": tidy(c.get("epsilon", 1e-5)), "momentum": 0.1, "affine": True}
    if len(x) == 2 and type(x) is Shape:
        given["axis"] = 0
    return [r.add("batchnorm", value, weights, **given)]


@onnx_operator("InstanceNormalization")
def instancenorm(r: Reader, c: Call) -> int:
    value = r.value(c.inputs[0])
    weights = {"weight": r.constant(c.inputs[1]), "bias": r.constant(c.inputs[2])}
    eps = tidy(c.get("epsilon", 1e-5))
    return r.add("groupnorm", value, weights, groups=r.shape(value).channels, eps=eps, affine=True)


@onnx_operator("GroupNormalization")
def groupnorm(r: Reader, c: Call) -> int:
    value = r.value(c.inputs[0])
    groups, channels = c.attributes["num_groups"], r.shape(value).channels
    weights = {"weight": r.constant(c.inputs[1]), "bias": r.constant(c.inputs[2])}
    if r.model.opset < 21:  # each group has one scale
        weights = {name: np.repeat(array, channels // groups) for name, array in weights.items()}
    return r.add("groupnorm", value, weights, groups=groups, eps=tidy(c.get("epsilon", 1e-5)), affine=True)


@onnx_operator("LayerNormalization")
def layernorm(r: Reader, c: Call) -> Sequence[int]:
    value = r.value(c.inputs[0])
    x = r.shape(value)
    place = c.get("axis", -1) % r.rank(c.inputs[0])
    if place != r.rank(c.inputs[0]) - 1:
        raise ConvertError(f"{c.place}: layer normalization over several axes")
    weights = {"weight": r.constant(c.inputs[1])}
    if len(c.inputs) > 2 and c.inputs[2]:
        weights["bias"] = r.constant(c.inputs[2])
    if len(x) == 3 and type(x) is Shape:
        value = r.add("reshape", value, shape=tuple(x))
    eps = tidy(c.get("epsilon", 1e-5))
    return [r.add("layernorm", value, weights, eps=eps, affine=True, bias="bias" in weights)]


@onnx_operator("LRN")
def lrn(r: Reader, c: Call) -> int:
    names = {"alpha": ("alpha", 1e-4), "beta": ("beta", 0.75), "k": ("bias", 1.0)}
    given = {ours: tidy(c.get(theirs, default)) for ours, (theirs, default) in names.items()}
    return r.add("lrn", r.value(c.inputs[0]), size=c.attributes["size"], **given)


@onnx_operator("Gemm")
def gemm(r: Reader, c: Call) -> int:
    if c.get("transA", 0) or r.layout(c.inputs[0]).at == r.rank(c.inputs[0]) - 1:
        raise ConvertError(f"{c.place}: a product that is no linear layer")
    weight = r.constant(c.inputs[1])
    weight = weight if c.get("transB", 0) else weight.T
    weight = weight * np.float32(c.get("alpha", 1.0)) if c.get("alpha", 1.0) != 1 else weight
    bias = r.constant(c.inputs[2]) if len(c.inputs) > 2 and c.inputs[2] else None
    if bias is not None:
        bias = np.broadcast_to(bias.reshape(-1) * np.float32(c.get("beta", 1.0)), weight.shape[:1])
    return linear(r, r.value(c.inputs[0]), weight, bias)


def linear(r: Reader, value: int, weight: Array, bias: Array | None) -> int:
    """Add a linear layer; `weight` is features x inputs."""
    x = r.shape(value)
    if len(x) == 3 and type(x) is Shape:
        value = r.add("reshape", value, shape=tuple(x))
    weights = {"weight": weight, **({} if bias is None else {"bias": bias})}
    return r.add("linear", value, weights, features=weight.shape[0], bias=bias is not None)


@onnx_operator("MatMul")
def matmul(r: Reader, c: Call) -> int:
    left, right = c.inputs
    layout = r.layout(left)
    if right in r.constants and r.constants[right].ndim == 2 and layout.at != r.rank(left) - 1:
        return linear(r, r.value(left), r.constants[right].T, None)
    rank = max(r.rank(left), r.rank(right))
    if layout.at > rank - 3 and layout.at >= 0:
        raise ConvertError(f"{c.place}: a product along the batch")
    return r.add("matmul", [r.value(left, rank), r.value(right, rank)])


def with_bias(r: Reader, value: int, bias: Array) -> int | None:
    """Give the last step a bias if it is a linear layer without one, and return it; otherwise None."""
    step = r.steps[value]
    fits = value == len(r.steps) - 1 and step.op == "linear" and not step.arguments["bias"]
    if not fits or bias.shape != (step.arguments["features"],):
        return None
    r.steps[value] = replace(step, arguments={**step.arguments, "bias": True})
    r.weights[".".join(filter(None, (step.module, step.name, "bias")))] = bias
    return value


__all__ = ["Axis", "linear", "tidy", "with_bias"]
