"""Converts activations, dropout, and calls that return their input."""

from __future__ import annotations

from torch import fx

from netspec.convert.aten.axes import last
from netspec.convert.reader import Reader
from netspec.convert.rows import Arguments, Value, aten
from netspec.errors import ConvertError

PLAIN = {
    "relu": "relu",
    "silu": "silu",
    "sigmoid": "sigmoid",
    "hardswish": "hardswish",
    "hardsigmoid": "hardsigmoid",
    "tanh": "tanh",
    "softplus": "softplus",
    "selu": "selu",
    "mish": "mish",
}
"""The ops for elementwise functions without arguments, by the name of the ATen operator."""


def plain(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Convert an operator in PLAIN."""
    name = str(node.target).split(".")[1].rstrip("_")
    if name == "softplus" and (a["beta"], a["threshold"]) != (1, 20):
        what = f"softplus with beta={a['beta']} and threshold={a['threshold']}"
        raise ConvertError(f"{reader.place}: netspec does not support {what}")
    return reader.add(PLAIN[name], reader.one(next(iter(a.values()))), node)


aten(*PLAIN, *(f"{name}_" for name in PLAIN))(plain)


@aten("gelu")
def gelu(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Convert `aten.gelu`."""
    return reader.add("gelu", reader.one(a["self"]), node, approximate=a["approximate"])


@aten("hardtanh", "hardtanh_", "relu6")
def hardtanh(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Convert `aten.hardtanh` or `aten.relu6`; bounds of 0 and 6 become `relu6`, others `clamp`."""
    low, high = float(a.get("min_val", 0)), float(a.get("max_val", 6))
    if (low, high) != (0, 6):
        return reader.add("clamp", reader.one(a["self"]), node, min=low, max=high)
    return reader.add("relu6", reader.one(a["self"]), node)


@aten("glu")
def glu(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Convert `aten.glu`."""
    return reader.add("glu", reader.one(a["self"]), node, axis=last(reader, a["self"], a["dim"]))


@aten("leaky_relu", "leaky_relu_")
def leaky_relu(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Convert `aten.leaky_relu`."""
    return reader.add("leaky_relu", reader.one(a["self"]), node, slope=float(a["negative_slope"]))


@aten("elu", "elu_")
def elu(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Convert `aten.elu`."""
    return reader.add("elu", reader.one(a["self"]), node, alpha=float(a["alpha"]))


@aten("dropout", "dropout_")
def dropout(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Convert `aten.dropout`; the layer drops elements in training, although evaluation was traced."""
    value = reader.one(a["input" if "input" in a else "self"])
    return reader.add("dropout", value, node, p=float(a["p"])) if a["p"] else value


@aten("feature_dropout", "feature_dropout_")
def dropout2d(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Convert `aten.feature_dropout`, which drops whole channels."""
    return reader.add("dropout2d", reader.one(a["input" if "input" in a else "self"]), node, p=float(a["p"]))


@aten("alias", "contiguous", "detach", "clone", "to", "_assert_tensor_metadata", "type_as", "lift_fresh_copy")
def unchanged(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Convert a call that returns its input: it adds no step."""
    first = next(iter(a.values()))
    return reader.values.get(first, -1) if not reader.is_weight(first) else reader.one(first)


@aten("softmax", "_softmax")
def softmax(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Convert `aten.softmax`."""
    value = reader.one(a["self"])
    return reader.add("softmax", value, node, axis=last(reader, a["self"], a["dim"]))


@aten("log_softmax")
def log_softmax(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Convert `aten.log_softmax`."""
    value = reader.one(a["self"])
    return reader.add("log_softmax", value, node, axis=last(reader, a["self"], a["dim"]))
