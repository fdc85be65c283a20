"""Reads ONNX pooling operators."""

from __future__ import annotations

from collections.abc import Sequence

from netspec.errors import ConvertError
from netspec.frontends.layout import even
from netspec.frontends.onnx.layers import window
from netspec.frontends.onnx.model import Call
from netspec.frontends.onnx.reader import Reader, onnx_operator

SMALLEST = -1e18
"""The value with which the input of max pooling is padded; the maximum never selects it."""


@onnx_operator("MaxPool")
def maxpool(r: Reader, c: Call) -> Sequence[int]:
    """Read `MaxPool`."""
    value, given = window(r, c, r.value(c.inputs[0]), c.attributes["kernel_shape"], SMALLEST)
    if given.pop("dilation") != 1 or (len(c.outputs) > 1 and c.outputs[1]):
        raise ConvertError(f"{c.place}: netspec does not support max pooling with dilation or indices")
    given["stride"] = None if given["stride"] == given["kernel"] else given["stride"]
    return [r.add("maxpool", value, **given, ceil=bool(c.get("ceil_mode", 0)))]


@onnx_operator("AveragePool")
def avgpool(r: Reader, c: Call) -> int:
    """Read `AveragePool`."""
    count = bool(c.get("count_include_pad", 0))
    value, given = window(r, c, r.value(c.inputs[0]), c.attributes["kernel_shape"], 0.0)
    if given.pop("dilation") != 1:
        raise ConvertError(f"{c.place}: netspec does not support average pooling with dilation")
    if value != r.values[c.inputs[0]] and not count:
        return clipped(r, c)
    given["stride"] = None if given["stride"] == given["kernel"] else given["stride"]
    options = {"ceil": bool(c.get("ceil_mode", 0)), "count_padding": count or given["padding"] == 0}
    return r.add("avgpool", value, **given, **options)


def clipped(r: Reader, c: Call) -> int:
    """Read average pooling that excludes its padding at the end, as `avgpool` with `ceil=true` does."""
    value, kernel = r.values[c.inputs[0]], c.attributes["kernel_shape"]
    r.steps.pop()
    sizes = r.shape(value).spatial
    pads, strides = c.get("pads") or [], c.get("strides") or [1] * len(sizes)
    if c.get("auto_pad", "NOTSET") == "SAME_UPPER":
        wanted = tuple(-(-size // s) for size, s in zip(sizes, strides, strict=True))
    elif any(pads[: len(sizes)]):
        raise ConvertError(
            f"{c.place}: netspec does not support average pooling that excludes asymmetric padding"
        )
    else:
        ends = pads[len(sizes) :]
        wanted = tuple(
            (n + end - k) // s + 1 for n, end, k, s in zip(sizes, ends, kernel, strides, strict=True)
        )
    if set(wanted) == {1} and all(k >= n for k, n in zip(kernel, sizes, strict=True)):
        return r.add("adaptive_avgpool", value, size=1)
    pooled = r.add("avgpool", value, kernel=even(kernel), stride=even(strides), padding=0, ceil=True)
    if r.shape(pooled).spatial != wanted:
        raise ConvertError(
            f"{c.place}: netspec does not support average pooling that excludes padding on one side"
        )
    return pooled


@onnx_operator("GlobalAveragePool", "GlobalMaxPool")
def global_pool(r: Reader, c: Call) -> int:
    """Read `GlobalAveragePool` or `GlobalMaxPool`."""
    op = "adaptive_avgpool" if c.kind == "GlobalAveragePool" else "adaptive_maxpool"
    return r.add(op, r.value(c.inputs[0]), size=1)
