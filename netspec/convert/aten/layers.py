"""Converts operators with weights: convolutions, linear layers and norms."""

from __future__ import annotations

from typing import Any

from torch import fx

from netspec.convert.aten.arithmetic import aligned
from netspec.convert.aten.axes import permuted, reshaped
from netspec.convert.reader import Reader
from netspec.convert.rows import Arguments, Value, aten, rank_of
from netspec.errors import ConvertError
from netspec.frontends.layout import even
from netspec.shape import Signal


def pair(value: Any, default: Any = None) -> Any:
    """Return a size as an integer if it is equal for all axes, otherwise as a tuple with a size per axis."""
    numbers = list(value) if isinstance(value, list | tuple) else [value]
    return even(numbers) if numbers else default


def owner(reader: Reader, weight: Any, what: str) -> str:
    """Return the path of the module that owns a weight.

    Raises:
        ConvertError: the weight is not a parameter or buffer of a named module.
    """
    if not reader.is_weight(weight):
        raise ConvertError(
            f"{reader.place}: the weight of {what} is not a parameter or buffer but the result of a"
            " computation, which netspec does not support here"
        )
    if not (found := reader.owner(weight)):
        raise ConvertError(f"{reader.name} is a single layer without a name: put it into an nn.Sequential")
    return found


@aten("conv1d", "conv2d", "conv3d")
def conv(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Convert a convolution; its weight can be a parameter or the result of a computation."""
    weight = a["weight"].meta["val"].shape
    padding = a["padding"]
    if isinstance(padding, str):
        same = [d * (k - 1) // 2 for d, k in zip(a["dilation"], weight[2:], strict=True)]
        if padding == "same" and any(d * (k - 1) % 2 for d, k in zip(a["dilation"], weight[2:], strict=True)):
            raise ConvertError(
                f"{reader.place}: netspec does not support padding='same' with the kernel"
                f" {tuple(weight[2:])}, which pads the two sides differently"
            )
        padding = same if padding == "same" else [0]
    if not reader.is_weight(a["weight"]):
        inputs = [reader.one(a[n]) for n in ("input", "weight", "bias") if a[n] is not None]
        options = {
            "stride": pair(a["stride"], 1),
            "padding": pair(padding, 0),
            "dilation": pair(a["dilation"], 1),
        }
        return reader.add("convolve", inputs, node, **options, groups=int(a["groups"]))
    return reader.add(
        "conv",
        reader.one(a["input"]),
        node,
        owner(reader, a["weight"], "a convolution"),
        channels=int(weight[0]),
        kernel=pair(weight[2:]),
        stride=pair(a["stride"], 1),
        padding=pair(padding, 0),
        dilation=pair(a["dilation"], 1),
        groups=int(a["groups"]),
        bias=a["bias"] is not None,
    )


@aten("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
def deconv(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Convert a transposed convolution."""
    weight = a["weight"].meta["val"].shape
    return reader.add(
        "deconv",
        reader.one(a["input"]),
        node,
        owner(reader, a["weight"], "a transposed convolution"),
        channels=int(weight[1]) * int(a["groups"]),
        kernel=pair(weight[2:]),
        stride=pair(a["stride"], 1),
        padding=pair(a["padding"], 0),
        output_padding=pair(a["output_padding"], 0),
        dilation=pair(a["dilation"], 1),
        groups=int(a["groups"]),
        bias=a["bias"] is not None,
    )


@aten("linear")
def linear(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Convert `aten.linear`; a shared or computed weight becomes a raw tensor, and the layer a product."""
    features = int(a["weight"].meta["val"].shape[0])
    if not reader.is_weight(a["weight"]) or a["weight"] in reader.tied:
        return product(reader, node, a)
    where = owner(reader, a["weight"], "linear")
    value, bias = reader.one(a["input"]), a["bias"]
    if reader.is_raw(value) and len(reader.shape(value)) == 3:
        value = reader.add("reshape", value, reader.shape(value), shape=tuple(reader.shape(value)))
    if bias is not None and not (reader.is_weight(bias) and reader.owner(bias) == where):
        value = reader.add("linear", value, node, where, features=features, bias=False)
        return reader.add("add", [value, aligned(reader, bias, len(reader.shape(value)))], node)
    return reader.add("linear", value, node, where, features=features, bias=a["bias"] is not None)


def product(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Convert `aten.linear` whose weight is a raw tensor to a matrix product plus the bias."""
    weight = reader.one(a["weight"])
    if not reader.is_raw(weight):
        raise ConvertError(
            f"{reader.place}: the weight of linear depends on the input, which netspec does not support"
        )
    value = reader.one(a["input"])
    x = tuple(reader.shape(value))
    sizes = (*x[:-1], int(a["weight"].meta["val"].shape[0]))
    rank = max(len(x), 2)
    turned = permuted(reader, weight, [1, 0])
    turned = reshaped(reader, turned, (*(1,) * (rank - 2), *reader.shape(turned)))
    rows = reshaped(reader, value, (1, *x)) if len(x) == 1 else value
    found = reader.add("matmul", [rows, turned], (*(1,) * (rank - len(x)), *sizes))
    found = reshaped(reader, found, sizes) if len(x) == 1 else found
    if a["bias"] is not None:
        found = reader.add("add", [found, aligned(reader, a["bias"], len(sizes))], node)
    return found


@aten("embedding")
def embedding(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Convert `aten.embedding`; a shared or computed table becomes a raw tensor, and the layer `index`."""
    if a["scale_grad_by_freq"] or a["sparse"]:
        raise ConvertError(
            f"{reader.place}: netspec does not support an embedding with sparse=True or"
            " scale_grad_by_freq=True"
        )
    count, features = (int(n) for n in a["weight"].meta["val"].shape)
    positions = reader.one(a["indices"])
    if not reader.is_weight(a["weight"]) or a["weight"] in reader.tied:
        shape = (*reader.shape(positions), features)
        return reader.add("index", [reader.one(a["weight"]), positions], shape)
    padding = int(a["padding_idx"]) if a["padding_idx"] >= 0 else None
    where = owner(reader, a["weight"], "an embedding")
    return reader.add("embedding", positions, node, where, count=count, features=features, padding=padding)


@aten("batch_norm")
def batchnorm(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Convert `aten.batch_norm`; in training, the layer uses the statistics of the batch."""
    if a["running_mean"] is None:
        return standardize(reader, node, a)
    where = owner(reader, a["running_mean"], "batch_norm")
    affine = a["weight"] is not None
    value = reader.one(a["input"])
    x = reader.shape(value)
    return reader.add(
        "batchnorm",
        value,
        node,
        where,
        axis=0 if rank_of(node) == 3 and len(x) == 2 and not isinstance(x, Signal) else None,
        eps=a["eps"],
        momentum=float(a["momentum"]),
        affine=affine,
    )


def standardize(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Convert `aten.batch_norm` without running statistics on a weight, which standardizes each filter."""
    value = reader.one(a["input"])
    x = reader.shape(value)
    if not reader.is_raw(value) or len(x) != 2 or reader.layout(a["input"]).at != 0:
        raise ConvertError(f"{reader.place}: netspec does not support batch_norm without running statistics")
    value = reader.add("standardize", value, x, eps=a["eps"])
    for name, op in (("weight", "mul"), ("bias", "add")):
        if a[name] is not None:
            factor = reader.add("reshape", reader.one(a[name]), (x[0], 1), shape=(x[0], 1))
            value = reader.add(op, [value, factor], x)
    return value


@aten("rms_norm")
def rmsnorm(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Convert `aten.rms_norm` over the last axis."""
    if len(a["normalized_shape"]) != 1:
        raise ConvertError(
            f"{reader.place}: netspec supports rms_norm only over one axis, not over"
            f" {len(a['normalized_shape'])}"
        )
    if a["weight"] is not None and not reader.is_weight(a["weight"]):
        value = reader.add("rmsnorm", reader.one(a["input"]), node, eps=a["eps"], affine=False)
        return reader.add("mul", [value, aligned(reader, a["weight"], len(reader.shape(value)))], node)
    where = owner(reader, a["weight"], "rms_norm") if a["weight"] is not None else None
    return reader.add(
        "rmsnorm", reader.one(a["input"]), node, where, eps=a["eps"], affine=a["weight"] is not None
    )


@aten("layer_norm")
def layernorm(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Convert `aten.layer_norm` over the last axis."""
    if len(a["normalized_shape"]) != 1:
        raise ConvertError(
            f"{reader.place}: netspec supports layer_norm only over one axis, not over"
            f" {len(a['normalized_shape'])}"
        )
    where = owner(reader, a["weight"], "layer_norm") if a["weight"] is not None else None
    return reader.add(
        "layernorm",
        reader.one(a["input"]),
        node,
        where,
        eps=a["eps"],
        affine=a["weight"] is not None,
        bias=a["bias"] is not None or a["weight"] is None,
    )


@aten("group_norm")
def groupnorm(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Convert `aten.group_norm`."""
    where = owner(reader, a["weight"], "group_norm") if a["weight"] is not None else None
    affine = a["weight"] is not None
    return reader.add(
        "groupnorm", reader.one(a["input"]), node, where, groups=a["num_groups"], eps=a["eps"], affine=affine
    )


@aten("instance_norm")
def instancenorm(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Convert `aten.instance_norm`, which is group normalization with one group per channel."""
    if a["running_mean"] is not None or not a["use_input_stats"]:
        raise ConvertError(f"{reader.place}: netspec does not support instance_norm with running statistics")
    affine, value = a["weight"] is not None, reader.one(a["input"])
    where = owner(reader, a["weight"], "instance_norm") if affine else None
    groups = reader.shape(value)[0]
    return reader.add("groupnorm", value, node, where, groups=groups, eps=a["eps"], affine=affine)


@aten("prelu")
def prelu(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Convert `aten.prelu`."""
    where = owner(reader, a["weight"], "prelu")
    return reader.add(
        "prelu", reader.one(a["self"]), node, where, per_channel=a["weight"].meta["val"].numel() > 1
    )
