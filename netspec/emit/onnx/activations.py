"""Writes activations and elementwise functions as ONNX operators."""

from __future__ import annotations

from math import inf

from onnx import TensorProto

from netspec.emit.onnx.builder import Site
from netspec.emit.onnx.rows import onnx_row
from netspec.shape import torch_axis

ACTIVATIONS: dict[str, tuple[str, dict[str, object]]] = {
    "relu": ("Relu", {}),
    "selu": ("Selu", {}),
    "sigmoid": ("Sigmoid", {}),
    "softplus": ("Softplus", {}),
    "hardswish": ("HardSwish", {}),
    "hardsigmoid": ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}),
    "exp": ("Exp", {}),
    "sqrt": ("Sqrt", {}),
    "abs": ("Abs", {}),
    "sin": ("Sin", {}),
    "cos": ("Cos", {}),
    "log": ("Log", {}),
    "erf": ("Erf", {}),
    "mish": ("Mish", {}),
    "softsign": ("Softsign", {}),
}
"""The ONNX operators for activations and functions without arguments, with their attributes."""


@onnx_row(*ACTIVATIONS)
def activation(s: Site) -> str:
    """Write a layer type in ACTIVATIONS."""
    kind, attributes = ACTIVATIONS[s.op.keyword]
    return s.add(kind, s.value, **attributes)


@onnx_row("relu6")
def relu6(s: Site) -> str:
    """Write `relu6`."""
    return s.add("Clip", s.value, s.graph.number(0), s.graph.number(6))


@onnx_row("leaky_relu")
def leaky_relu(s: Site) -> str:
    """Write `leaky_relu`."""
    return s.add("LeakyRelu", s.value, alpha=s.op.slope)


@onnx_row("elu")
def elu(s: Site) -> str:
    """Write `elu`."""
    return s.add("Elu", s.value, alpha=s.op.alpha)


@onnx_row("gelu")
def gelu(s: Site) -> str:
    """Write `gelu`."""
    return s.add("Gelu", s.value, approximate=s.op.approximate)


@onnx_row("tanh")
def tanh(s: Site) -> str:
    """Write `tanh`."""
    return s.times(s.add("Tanh", s.times(s.value, s.op.slope)), s.op.scale)


@onnx_row("silu")
def silu(s: Site) -> str:
    """Write `silu`."""
    return s.add("Mul", s.value, s.add("Sigmoid", s.value))


@onnx_row("glu")
def glu(s: Site) -> str:
    """Write `glu`."""
    at = torch_axis(s.op.axis) % (len(s.x) + 1)
    half = s.y[at - 1]
    value, gate = s.slice(s.value, 0, half, at), s.slice(s.value, half, 2 * half, at)
    return s.add("Mul", value, s.add("Sigmoid", gate))


@onnx_row("equal")
def equal(s: Site) -> str:
    """Write `equal`; elements are compared as float32."""
    value = s.add("Cast", s.value, to=TensorProto.FLOAT)
    return s.add("Equal", value, s.graph.number(s.op.value))


@onnx_row("masked_fill")
def masked_fill(s: Site) -> str:
    """Write `masked_fill`."""
    value = -inf if s.op.value is None else s.op.value
    return s.add("Where", s.inputs[1], s.graph.number(value), s.value)


@onnx_row("prelu")
def prelu(s: Site) -> str:
    """Write `prelu`."""
    slopes = s.op.slopes(s.x)
    return s.add("PRelu", s.value, s.weight("weight", (slopes, *[1] * (len(s.x) - 1))))


@onnx_row("softmax", "log_softmax")
def softmax(s: Site) -> str:
    """Write `softmax` or `log_softmax`."""
    kind = {"softmax": "Softmax", "log_softmax": "LogSoftmax"}[s.op.keyword]
    return s.add(kind, s.value, axis=s.op.torch_module(s.x).options["dim"].value)


@onnx_row("clamp")
def clamp(s: Site) -> str:
    """Write `clamp`."""
    low = "" if s.op.min is None else s.graph.number(s.op.min)
    return s.add("Clip", s.value, low, *([] if s.op.max is None else [s.graph.number(s.op.max)]))


@onnx_row("pow")
def pow_(s: Site) -> str:
    """Write `pow`."""
    return s.add("Pow", s.value, s.graph.number(s.op.exponent))


@onnx_row("scale")
def scale(s: Site) -> str:
    """Write `scale`."""
    return s.plus(s.times(s.value, s.op.factor), s.op.offset)
