"""Reads ONNX operators for padding, resizing, and moving pixels between space and channels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import ceil, floor

from netspec.errors import ConvertError
from netspec.frontends.layout import Layout, even
from netspec.frontends.onnx.model import Call
from netspec.frontends.onnx.reader import Reader, onnx_operator


@onnx_operator("Pad")
def pad(r: Reader, c: Call) -> int:
    """Read `Pad`."""
    name = c.inputs[0]
    value, rank = r.value(name), r.rank(name)
    pads = [int(n) for n in r.given(c, 1, "pads" if r.model.opset >= 2 else "paddings") or []]
    fill = (r.given(c, 2, "value") or [0])[0]
    axes = r.given(c, 3, "axes")
    if axes is not None:
        whole = [0] * 2 * rank
        for k, place in enumerate(axes):
            whole[int(place) % rank], whole[int(place) % rank + rank] = pads[k], pads[k + len(axes)]
        pads = whole
    starts, ends = pads[:rank], pads[rank:]
    if not any(pads):
        return value
    if r.layout(name) != Layout() or any((*starts[:2], *ends[:2])):
        raise ConvertError(f"{c.place}: netspec does not support padding of the batch or channel axis")
    mode = {"edge": "replicate", "wrap": "circular"}.get(c.get("mode", "constant"), c.get("mode", "constant"))
    sides = [side for pair in reversed(list(zip(starts[2:], ends[2:], strict=True))) for side in pair]
    if mode == "constant" and fill == 0 and starts == ends and min(pads) >= 0:
        sizes = starts[2:]
        return r.add("zeropad", value, padding=even(sizes))
    return r.add("pad", value, padding=sides, mode=mode, value=float(fill))


@onnx_operator("Resize", "Upsample")
def resize(r: Reader, c: Call) -> int:
    """Read `Resize` or `Upsample`."""
    name = c.inputs[0]
    value, x = r.value(name), r.actual(name)
    place = {"Upsample": 1, "Resize": 1 if r.model.opset < 11 else 2}[c.kind]
    factors = r.given(c, place, "scales")
    sizes = r.given(c, 3, "") if len(c.inputs) > 3 else None
    mode = c.get("mode", "nearest")
    kind = {"nearest": "nearest", "cubic": "bicubic"}.get(
        mode, {3: "linear", 4: "bilinear", 5: "trilinear"}.get(len(x), mode)
    )
    corners = c.get("coordinate_transformation_mode", "half_pixel" if r.model.opset > 10 else "asymmetric")
    whole = factors is not None and all(f == int(f) for f in factors)
    rounding = c.get("nearest_mode", "round_prefer_floor") if r.model.opset > 10 else "floor"
    wanted = (
        [int(n) for n in sizes[2:]]
        if sizes
        else [int(n * f) for n, f in zip(x[2:], (factors or [])[2:], strict=True)]
    )
    if kind == "nearest":
        same = all(nearest(n, m, corners, rounding) for n, m in zip(x[2:], wanted, strict=True))
    else:
        same = corners in ("half_pixel", "pytorch_half_pixel", "align_corners")
    if not same:
        what = f"mode={mode} with coordinate_transformation_mode={corners}"
        what += f" and nearest_mode={rounding}" if kind == "nearest" else ""
        raise ConvertError(f"{c.place}: netspec does not support {what}")
    given: dict[str, object] = {"mode": kind}
    given |= {} if kind == "nearest" else {"align_corners": corners == "align_corners"}
    if whole and factors is not None:
        steps = [int(f) for f in factors[2:]]
        return r.add("upsample", value, scale=even(steps), **given)
    return r.add("upsample", value, size=even(wanted), **given)


ROUNDINGS: Mapping[str, Callable[[float], float]] = {
    "floor": floor,
    "ceil": ceil,
    "round_prefer_floor": lambda x: ceil(x - 0.5),
    "round_prefer_ceil": lambda x: floor(x + 0.5),
}
"""The functions that round the position of the nearest pixel, by `nearest_mode`."""


def nearest(size: int, wanted: int, transformation: str, rounding: str) -> bool:
    """Return True if nearest-neighbour resizing of an axis is the same in ONNX and in PyTorch.

    >>> nearest(4, 8, "half_pixel", "round_prefer_floor"), nearest(4, 8, "half_pixel", "floor")
    (True, False)
    """
    if transformation not in POSITIONS or rounding not in ROUNDINGS:
        return False
    position, to_whole = POSITIONS[transformation], ROUNDINGS[rounding]
    found = [min(max(to_whole(position(k, size, wanted)), 0), size - 1) for k in range(wanted)]
    return found == [k * size // wanted for k in range(wanted)]


POSITIONS: Mapping[str, Callable[[int, int, int], float]] = {
    "asymmetric": lambda k, size, wanted: k * size / wanted,
    "half_pixel": lambda k, size, wanted: (k + 0.5) * size / wanted - 0.5,
    "pytorch_half_pixel": lambda k, size, wanted: (k + 0.5) * size / wanted - 0.5 if wanted > 1 else 0.0,
    "align_corners": lambda k, size, wanted: k * (size - 1) / (wanted - 1) if wanted > 1 else 0.0,
}
"""The position in the input of output pixel k, by `coordinate_transformation_mode`."""


@onnx_operator("DepthToSpace")
def depth_to_space(r: Reader, c: Call) -> int:
    """Read `DepthToSpace`."""
    value, n = r.value(c.inputs[0]), int(c.attributes["blocksize"])
    if c.get("mode", "DCR") == "CRD":
        return r.add("pixel_shuffle", value, factor=n)
    channels, height, width = r.shape(value)
    value = r.add("reshape", value, shape=(n, n, channels // n**2, height, width))
    value = r.add("permute", value, order=[2, 3, 0, 4, 1])
    return r.add("reshape", value, shape=(channels // n**2, height * n, width * n))


@onnx_operator("SpaceToDepth")
def space_to_depth(r: Reader, c: Call) -> int:
    """Read `SpaceToDepth`."""
    value, n = r.value(c.inputs[0]), int(c.attributes["blocksize"])
    channels, height, width = r.shape(value)
    value = r.add("reshape", value, shape=(channels, height // n, n, width // n, n))
    value = r.add("permute", value, order=[2, 4, 0, 1, 3])
    return r.add("reshape", value, shape=(channels * n**2, height // n, width // n))
