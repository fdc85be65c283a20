"""Converts operators on images: pooling, padding and resizing."""

from __future__ import annotations

import re

from torch import fx

from netspec.convert.aten.layers import pair
from netspec.convert.reader import Reader
from netspec.convert.rows import Arguments, Value, aten, operator_name
from netspec.errors import ConvertError


@aten("max_pool1d", "max_pool2d", "max_pool3d")
def maxpool(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Convert max pooling."""
    if pair(a["dilation"], 1) != 1:
        raise ConvertError(f"{reader.place}: netspec does not support max pooling with dilation")
    return reader.add("maxpool", reader.one(a["self"]), node, **window(a), ceil=bool(a["ceil_mode"]))


@aten("avg_pool1d", "avg_pool2d", "avg_pool3d")
def avgpool(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Convert average pooling."""
    if a.get("divisor_override") is not None:
        what = f"avg_pool with divisor_override={a['divisor_override']}"
        raise ConvertError(f"{reader.place}: netspec does not support {what}")
    options = {"ceil": bool(a["ceil_mode"]), "count_padding": bool(a["count_include_pad"])}
    return reader.add("avgpool", reader.one(a["self"]), node, **window(a), **options)


def window(a: Arguments) -> dict[str, object]:
    """Return the kernel, stride and padding of a pooling layer."""
    kernel = pair(a["kernel_size"])
    stride = pair(a["stride"], kernel)
    return {
        "kernel": kernel,
        "stride": None if stride == kernel else stride,
        "padding": pair(a["padding"], 0),
    }


@aten("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d")
def adaptive_avgpool(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Convert adaptive average pooling."""
    return reader.add("adaptive_avgpool", reader.one(a["self"]), node, size=pair(a["output_size"]))


@aten("adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d")
def adaptive_maxpool(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Convert adaptive max pooling."""
    value = reader.add(
        "adaptive_maxpool", reader.one(a["self"]), node.meta["val"][0].shape[1:], size=pair(a["output_size"])
    )
    return value, value


@aten(
    "pad",
    "constant_pad_nd",
    "reflection_pad1d",
    "reflection_pad2d",
    "reflection_pad3d",
    "replication_pad1d",
    "replication_pad2d",
    "replication_pad3d",
)
def pad(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Convert padding of the axes after the channels."""
    value = reader.one(a["self"])
    sides = [int(n) for n in a.get("pad", a.get("padding"))]
    if not any(sides):
        return value
    count = 2 * len(reader.shape(value)) - 2
    if not 2 <= count <= 6 or any(sides[count:]):
        raise ConvertError(
            f"{reader.place}: netspec does not support padding {reader.shape(value)} by {sides}"
        )
    sides = [*sides, *[0] * count][:count]
    mode = a.get("mode", "constant")
    fill = float(a.get("value") or 0)
    even = sides[::2] == sides[1::2] and min(sides) >= 0
    if fill == 0 and mode == "constant" and even:
        return reader.add("zeropad", value, node, padding=pair(sides[::-2]))
    return reader.add("pad", value, node, padding=sides, mode=mode, value=fill)


@aten(
    "upsample_nearest1d",
    "upsample_nearest2d",
    "upsample_nearest3d",
    "upsample_linear1d",
    "upsample_bilinear2d",
    "upsample_bicubic2d",
    "upsample_trilinear3d",
)
def upsample(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Convert upsampling."""
    mode = re.sub(r"\dd$", "", operator_name(node).removeprefix("upsample_"))
    value = reader.one(a["input"])
    y = tuple(node.meta["val"].shape)[1:]
    factors = a.get("scale_factors")
    x = tuple(a["input"].meta["val"].shape)[2:]
    if factors and all(f == int(f) for f in factors):
        given: dict[str, object] = {"scale": tuple(int(f) for f in factors), "size": None}
    elif factors and any(n * f != int(n * f) for n, f in zip(x, factors, strict=True)):
        raise ConvertError(f"{reader.place}: resizing {x} by {factors} does not result in integer sizes")
    else:
        given = {"scale": None, "size": y[1:]}
    given = {k: pair(v) if v else None for k, v in given.items()}
    return reader.add(
        "upsample", value, node, **given, mode=mode, align_corners=bool(a.get("align_corners", False))
    )


@aten("pixel_shuffle")
def pixel_shuffle(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Convert `aten.pixel_shuffle`."""
    return reader.add("pixel_shuffle", reader.one(a["self"]), node, factor=int(a["upscale_factor"]))


@aten("pixel_unshuffle")
def pixel_unshuffle(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Convert `aten.pixel_unshuffle`."""
    return reader.add("pixel_unshuffle", reader.one(a["self"]), node, factor=int(a["downscale_factor"]))


@aten("channel_shuffle")
def channel_shuffle(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Convert `aten.channel_shuffle`."""
    return reader.add("channel_shuffle", reader.one(a["self"]), node, groups=int(a["groups"]))
