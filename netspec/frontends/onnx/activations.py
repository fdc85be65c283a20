"""Reads ONNX activations and elementwise functions."""

from __future__ import annotations

from collections.abc import Sequence

from netspec.errors import ConvertError
from netspec.frontends.onnx.layers import tidy
from netspec.frontends.onnx.model import Call
from netspec.frontends.onnx.reader import Reader, onnx_operator

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
    "Log": "log",
    "Erf": "erf",
    "Mish": "mish",
    "Softsign": "softsign",
}
"""The ops for functions without arguments, by the ONNX operator."""


@onnx_operator(*PLAIN)
def activation(r: Reader, c: Call) -> int:
    """Read a function without arguments."""
    return r.add(PLAIN[c.kind], r.value(c.inputs[0]))


@onnx_operator("Identity", "Dropout", "Cast")
def unchanged(r: Reader, c: Call) -> Sequence[int]:
    """Read `Identity`, `Dropout` or `Cast`."""
    return [r.value(c.inputs[0])]


@onnx_operator("Neg", "Reciprocal")
def scaled(r: Reader, c: Call) -> int:
    """Read `Neg` or `Reciprocal`."""
    value = r.value(c.inputs[0])
    return r.add("scale", value, factor=-1.0) if c.kind == "Neg" else r.add("pow", value, exponent=-1.0)


@onnx_operator("LeakyRelu", "Elu")
def sloped(r: Reader, c: Call) -> int:
    """Read `LeakyRelu` or `Elu`."""
    if c.kind == "LeakyRelu":
        return r.add("leaky_relu", r.value(c.inputs[0]), slope=tidy(c.get("alpha", 0.01)))
    return r.add("elu", r.value(c.inputs[0]), alpha=tidy(c.get("alpha", 1.0)))


@onnx_operator("HardSigmoid")
def hardsigmoid(r: Reader, c: Call) -> int:
    """Read `HardSigmoid`."""
    alpha, beta = c.get("alpha", 0.2), c.get("beta", 0.5)
    value = r.value(c.inputs[0])
    if abs(alpha - 1 / 6) < 1e-6 and beta == 0.5:
        return r.add("hardsigmoid", value)
    return r.add("clamp", r.add("scale", value, factor=tidy(alpha), offset=tidy(beta)), min=0.0, max=1.0)


@onnx_operator("Gelu")
def gelu(r: Reader, c: Call) -> int:
    """Read `Gelu`."""
    return r.add("gelu", r.value(c.inputs[0]), approximate=c.get("approximate", "none"))


@onnx_operator("Clip")
def clip(r: Reader, c: Call) -> int:
    """Read `Clip`."""
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
    """Read `PRelu`."""
    slope = r.constant(c.inputs[1])
    value = r.value(c.inputs[0])
    channels = r.shape(value).channels
    if slope.size not in (1, channels) or (
        slope.size > 1 and slope.shape[slope.ndim - len(r.shape(value))] == 1
    ):
        raise ConvertError(
            f"{c.place}: a slope tensor of shape {slope.shape} cannot be applied to {channels} channels"
        )
    return r.add("prelu", value, {"weight": slope.reshape(-1)}, per_channel=slope.size > 1)


@onnx_operator("Softmax", "LogSoftmax")
def softmax(r: Reader, c: Call) -> int:
    """Read `Softmax` or `LogSoftmax`."""
    op = {"Softmax": "softmax", "LogSoftmax": "log_softmax"}[c.kind]
    rank = r.rank(c.inputs[0])
    place = c.get("axis", -1 if r.model.opset >= 13 else 1) % rank
    if r.model.opset < 13 and any(n > 1 for n in r.actual(c.inputs[0])[place + 1 :]):
        raise ConvertError(f"{c.place}: netspec does not support a softmax over several axes at once")
    return r.add(op, r.value(c.inputs[0]), axis=r.axis(c.inputs[0], place))
