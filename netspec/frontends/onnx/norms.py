"""Reads ONNX normalization operators."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from netspec.errors import ConvertError
from netspec.frontends.onnx.layers import tidy
from netspec.frontends.onnx.model import Call
from netspec.frontends.onnx.reader import Reader, onnx_operator
from netspec.shape import Shape


@onnx_operator("BatchNormalization")
def batchnorm(r: Reader, c: Call) -> Sequence[int]:
    """Read `BatchNormalization`."""
    if c.get("training_mode", 0):
        raise ConvertError(
            f"{c.place}: netspec does not support training_mode=1: export the model in evaluation mode"
        )
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
    """Read `InstanceNormalization`."""
    value = r.value(c.inputs[0])
    weights = {"weight": r.constant(c.inputs[1]), "bias": r.constant(c.inputs[2])}
    eps = tidy(c.get("epsilon", 1e-5))
    return r.add("groupnorm", value, weights, groups=r.shape(value).channels, eps=eps, affine=True)


@onnx_operator("GroupNormalization")
def groupnorm(r: Reader, c: Call) -> int:
    """Read `GroupNormalization`."""
    value = r.value(c.inputs[0])
    groups, channels = c.attributes["num_groups"], r.shape(value).channels
    weights = {"weight": r.constant(c.inputs[1]), "bias": r.constant(c.inputs[2])}
    if r.model.opset < 21:  # each group has one scale
        weights = {name: np.repeat(array, channels // groups) for name, array in weights.items()}
    return r.add("groupnorm", value, weights, groups=groups, eps=tidy(c.get("epsilon", 1e-5)), affine=True)


@onnx_operator("LayerNormalization")
def layernorm(r: Reader, c: Call) -> Sequence[int]:
    """Read `LayerNormalization`."""
    value = r.value(c.inputs[0])
    x = r.shape(value)
    place = c.get("axis", -1) % r.rank(c.inputs[0])
    if place != r.rank(c.inputs[0]) - 1:
        raise ConvertError(f"{c.place}: netspec supports layer normalization only over the last axis")
    weights = {"weight": r.constant(c.inputs[1])}
    if len(c.inputs) > 2 and c.inputs[2]:
        weights["bias"] = r.constant(c.inputs[2])
    if len(x) == 3 and type(x) is Shape:
        value = r.add("reshape", value, shape=tuple(x))
    eps = tidy(c.get("epsilon", 1e-5))
    return [r.add("layernorm", value, weights, eps=eps, affine=True, bias="bias" in weights)]


@onnx_operator("LRN")
def lrn(r: Reader, c: Call) -> int:
    """Read `LRN`."""
    names = {"alpha": ("alpha", 1e-4), "beta": ("beta", 0.75), "k": ("bias", 1.0)}
    given = {ours: tidy(c.get(theirs, default)) for ours, (theirs, default) in names.items()}
    return r.add("lrn", r.value(c.inputs[0]), size=c.attributes["size"], **given)
