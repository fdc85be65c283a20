"""Padding, resizing, and blocks of pixels, of ONNX."""

from __future__ import annotations

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
        raise ConvertError(f"{c.place}: padding of the batch or the channels has no counterpart in netspec")
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
    right = {"nearest": ("asymmetric",)}.get(kind, ("half_pixel", "pytorch_half_pixel", "align_corners"))
    whole = factors is not None and all(f == int(f) for f in factors)
    plain = kind == "nearest" and whole  # all ways of counting pixels agree for whole factors
    rounding = c.get("nearest_mode", "round_prefer_floor") if r.model.opset > 10 else "floor"
    what = f"mode={mode} with coordinate_transformation_mode={corners}"
    if not plain and (corners not in right or (kind == "nearest" and rounding != "floor")):
        raise ConvertError(f"{c.place}: {what} has no counterpart in netspec")
    if plain and corners == "half_pixel" and rounding == "ceil":
        raise ConvertError(f"{c.place}: {what} has no counterpart in netspec")
    given: dict[str, object] = {"mode": kind, "align_corners": corners == "align_corners"}
    if whole and factors is not None:
        steps = [int(f) for f in factors[2:]]
        return r.add("upsample", value, scale=even(steps), **given)
    wanted = (
        [int(n) for n in sizes[2:]]
        if sizes
        else [int(n * f) for n, f in zip(x[2:], (factors or [])[2:], strict=True)]
    )
    return r.add("upsample", value, size=even(wanted), **given)


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
