"""Operators on images: pooling, padding and resizing."""

from __future__ import annotations

from torch import fx

from netspec.convert.aten.layers import pair
from netspec.convert.reader import Reader
from netspec.convert.rows import Arguments, Value, aten
from netspec.errors import ConvertError


@aten("max_pool2d")
def maxpool(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Max pooling."""
    if pair(a["dilation"], 1) != 1:
        raise ConvertError(f"{reader.place}: max_pool2d with dilation")
    return reader.add("maxpool", reader.one(a["self"]), node, **window(a), ceil=bool(a["ceil_mode"]))


@aten("avg_pool2d")
def avgpool(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Average pooling."""
    options = {"ceil": bool(a["ceil_mode"]), "count_padding": bool(a["count_include_pad"])}
    return reader.add("avgpool", reader.one(a["self"]), node, **window(a), **options)


def window(a: Arguments) -> dict[str, object]:
    """Return the kernel, stride and padding of a pool."""
    kernel = pair(a["kernel_size"])
    stride = pair(a["stride"], kernel)
    return {
        "kernel": kernel,
        "stride": None if stride == kernel else stride,
        "padding": pair(a["padding"], 0),
    }


@aten("adaptive_avg_pool2d")
def adaptive_avgpool(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Average pooling to a given size."""
    return reader.add("adaptive_avgpool", reader.one(a["self"]), node, size=pair(a["output_size"]))


@aten("adaptive_max_pool2d")
def adaptive_maxpool(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Max pooling to a given size."""
    value = reader.add(
        "adaptive_maxpool", reader.one(a["self"]), node.meta["val"][0].shape[1:], size=pair(a["output_size"])
    )
    return value, value


@aten("pad", "constant_pad_nd", "reflection_pad2d", "replication_pad2d")
def pad(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Padding of height and width."""
    value = reader.one(a["self"])
    sides = [int(n) for n in a.get("pad", a.get("padding"))]
    if not any(sides):
        return value
    if len(sides) % 2 or len(reader.shape(value)) != 3 or any(sides[4:]):
        raise ConvertError(f"{reader.place}: pad of {sides} on {reader.shape(value)}")
    sides = [*sides, 0, 0][:4]
    mode = a.get("mode", "constant")
    fill = float(a.get("value") or 0)
    if fill == 0 and mode == "constant" and sides[0] == sides[1] and sides[2] == sides[3] and min(sides) >= 0:
        padding = sides[0] if len(set(sides)) == 1 else (sides[2], sides[0])
        return reader.add("zeropad", value, node, padding=padding)
    return reader.add("pad", value, node, padding=sides, mode=mode, value=fill)


@aten("upsample_nearest2d", "upsample_bilinear2d", "upsample_bicubic2d")
def upsample(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Resizing of an image."""
    mode = str(node.target).split("upsample_")[1].split("2d")[0]
    value = reader.one(a["input"])
    y = tuple(node.meta["val"].shape)[1:]
    factors = a.get("scale_factors")
    x = tuple(a["input"].meta["val"].shape)[2:]
    if factors and all(f == int(f) for f in factors):
        given: dict[str, object] = {"scale": tuple(int(f) for f in factors), "size": None}
    elif factors and any(n * f != int(n * f) for n, f in zip(x, factors, strict=True)):
        raise ConvertError(f"{reader.place}: resizing {x} by {factors} does not give whole pixels")
    else:
        given = {"scale": None, "size": (y[1], y[2])}
    given = {k: v[0] if isinstance(v, tuple) and v[0] == v[1] else v for k, v in given.items()}
    return reader.add(
        "upsample", value, node, **given, mode=mode, align_corners=bool(a.get("align_corners", False))
    )


@aten("pixel_shuffle")
def pixel_shuffle(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Channels to pixels."""
    return reader.add("pixel_shuffle", reader.one(a["self"]), node, factor=int(a["upscale_factor"]))


@aten("pixel_unshuffle")
def pixel_unshuffle(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Pixels to channels."""
    return reader.add("pixel_unshuffle", reader.one(a["self"]), node, factor=int(a["downscale_factor"]))


@aten("channel_shuffle")
def channel_shuffle(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Interleaved channels of groups."""
    return reader.add("channel_shuffle", reader.one(a["self"]), node, groups=int(a["groups"]))
