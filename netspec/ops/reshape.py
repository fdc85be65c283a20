"""Layers that reshape, resize, pad and slice."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from netspec.ops.arguments import Pads, Positive, Sizes, fit, like, require_image, require_spatial
from netspec.ops.base import Code, Op, Reach, code, last_two
from netspec.shape import Cost, Shape, axis_of, require


class Flatten(Op, keyword="flatten"):
    """Turn an input of any shape into a feature vector."""

    example = "256x6x6; flatten -> 9216"

    def infer(self, x: Shape) -> Shape:
        return Shape((x.numbers,))

    def explain(self, x: Shape, *, y: Shape) -> tuple[str, ...]:
        return (f"{'*'.join(map(str, x))} = {x.numbers}",)

    def torch_module(self, x: Shape) -> Code:
        return code("nn.Flatten")

    def torch_expr(self, x: str) -> str:
        return f"torch.flatten({x}, 1)"


class Identity(Op, keyword="identity"):
    """Return the input unchanged, as the shortcut of a residual block does."""

    example = "64x56x56; identity -> 64x56x56"

    takes_indices = True

    def infer(self, x: Shape) -> Shape:
        return x

    def torch_module(self, x: Shape) -> Code:
        return code("nn.Identity")

    def torch_expr(self, x: str) -> str:
        return x


class Upsample(Op, keyword="upsample"):
    """Enlarge an image, a signal or a video by a factor, or to a size."""

    example = "64x28x28; upsample(2, mode=bilinear) -> 64x56x56"

    scale: Sizes | None = None
    """Scale factor; one number, or one for each axis as in `2x3` (height x width)."""
    size: Sizes | None = None
    """Size of the output; replaces a factor."""
    mode: Literal["nearest", "linear", "bilinear", "bicubic", "trilinear"] = "nearest"
    """Interpolation: `linear` for a signal, `bilinear` or `bicubic` for an image, `trilinear` for a video."""
    align_corners: bool = False
    """Whether the corners of both images coincide, instead of their edges."""

    takes_raw = True

    def check_arguments(self) -> None:
        fact = "upsample takes either a factor, as in `upsample(2)`, or a size, as in `upsample(size=56x56)`"
        require((self.scale is None) != (self.size is None), fact, "argument-range")
        corners = "`align_corners` has no meaning for mode=nearest, which computes no new values"
        require(not self.align_corners or self.mode != "nearest", corners, "argument-range")

    def infer(self, x: Shape) -> Shape:
        require_spatial(x, "upsample")
        self.check_arguments()
        modes = ("nearest", *INTERPOLATIONS[len(x.spatial)])
        fact = f"mode={self.mode} does not suit an input of shape {x}: use {' or '.join(modes)}"
        require(self.mode in modes, fact, "argument-range")
        if self.size is not None:
            return like(x, x.channels, fit(self.size, len(x.spatial), "size"))
        return like(x, x.channels, tuple(size * factor for size, factor in self.factors(x)))

    def factors(self, x: Shape) -> list[tuple[int, int]]:
        """Return each size with its factor."""
        return list(zip(x.spatial, fit(self.scale or (1, 1), len(x.spatial), "scale"), strict=True))

    def explain(self, x: Shape, *, y: Shape) -> tuple[str, ...]:
        if self.scale is None:
            return ()
        return (", ".join(f"{size}*{factor} = {size * factor}" for size, factor in self.factors(x)),)

    def torch_module(self, x: Shape) -> Code:
        options = {"mode": (self.mode, "nearest"), "align_corners": (self.align_corners, False)}
        return code("nn.Upsample", size=(self.size, None), scale_factor=(self.scale, None), **options)


INTERPOLATIONS = {1: ("linear",), 2: ("bilinear", "bicubic"), 3: ("trilinear",)}
"""The modes of `upsample` that interpolate, keyed by the number of axes."""


class ZeroPad(Op, keyword="zeropad"):
    """Pad an image, a signal or a video with zeros."""

    example = "3x224x224; zeropad(3) -> 3x230x230"

    padding: Pads
    """Pixels added on each side; one number, or one for each axis as in `1x2` (height x width)."""

    def infer(self, x: Shape) -> Shape:
        require_spatial(x, "zeropad")
        return like(x, x.channels, tuple(size + 2 * pad for size, pad in self.sides(x)))

    def sides(self, x: Shape) -> list[tuple[int, int]]:
        """Return each size with its padding."""
        return list(zip(x.spatial, fit(self.padding, len(x.spatial), "padding"), strict=True))

    def reach(self, x: Shape) -> tuple[Reach, Reach]:
        return last_two((1, 1, pad) for _, pad in self.sides(x))

    def explain(self, x: Shape, *, y: Shape) -> tuple[str, ...]:
        return (", ".join(f"{size} + 2*{pad} = {size + 2 * pad}" for size, pad in self.sides(x)),)

    def torch_module(self, x: Shape) -> Code:
        padding = fit(self.padding, len(x.spatial), "padding")
        backwards = tuple(side for pad in reversed(padding) for side in (pad, pad))
        return code(f"nn.ZeroPad{len(padding)}d", backwards)


class Slice(Op, keyword="slice"):
    """Select the positions from `start` to `stop - 1` along an axis, by default channels or features."""

    example = "96x55x55; slice(0, 48) -> 48x55x55"

    start: Annotated[int, Field(ge=0)]
    """Index of the first position, 0-based."""
    stop: Positive
    """Index after the last position."""
    axis: Annotated[int, Field(ge=0)] = 0
    """Index of the axis, excluding the batch axis."""
    step: Positive = 1
    """Distance between the selected positions."""

    takes_raw = True

    def infer(self, x: Shape) -> Shape:
        at = axis_of(self.axis, x)
        what = "channels" if at == 0 and len(x) != 2 else "positions"
        fact = f"start={self.start} and stop={self.stop} do not select a range of {x[at]} {what}"
        require(self.start < self.stop <= x[at], fact, "argument-range")
        return type(x)((*x[:at], -(-(self.stop - self.start) // self.step), *x[at + 1 :]))

    def torch_expr(self, x: str) -> str:
        step = f":{self.step}" if self.step != 1 else ""
        return f"{x}[:, {':, ' * self.axis}{self.start or ''}:{self.stop}{step}]"


class ChannelShuffle(Op, keyword="channel_shuffle"):
    """Interleave the channels of all groups (Zhang et al., 2017).

    The next grouped convolution can then mix them.
    """

    example = "116x28x28; channel_shuffle(2) -> 116x28x28"

    groups: Positive
    """Number of groups; it must divide the channels."""

    def infer(self, x: Shape) -> Shape:
        require_image(x, "channel_shuffle")
        fact = f"{x.channels} channels cannot be divided into {self.groups} groups"
        require(x.channels % self.groups == 0, fact, "indivisible-groups")
        return x

    def torch_module(self, x: Shape) -> Code:
        return code("nn.ChannelShuffle", self.groups)


class Rescale(Op, keyword="rescale"):
    """Multiply each channel by a constant and add another constant."""

    example = "3x224x224; rescale(scale=[0.5, 0.5, 0.5], shift=[0, 0, 0]) -> 3x224x224"

    scale: list[float]
    """A list with one factor for each channel."""
    shift: list[float]
    """A list with one number for each channel, which is added after the multiplication."""

    def infer(self, x: Shape) -> Shape:
        require_image(x, "rescale")
        for name in ("scale", "shift"):
            count = len(getattr(self, name))
            fact = f"`{name}` has {count} values for {x.channels} channels"
            require(count == x.channels, fact, "argument-range")
        return x

    def cost(self, x: Shape, *, y: Shape) -> Cost:
        return Cost(additions=x.numbers, multiplications=x.numbers)

    def torch_module(self, x: Shape) -> Code:
        return code("Rescale", self.scale, self.shift)


class PadSides(Op, keyword="pad"):
    """Pad each side with its own number of pixels: a constant, or copies of pixels of the image."""

    example = "3x224x224; pad([0, 1, 0, 1]) -> 3x225x225"

    padding: Annotated[list[Annotated[int, Field(ge=-10_000, le=10_000)]], Field(min_length=2, max_length=6)]
    """Pixels at the left, right, top and bottom of an image, or at the start and end of a signal; a video
    takes two more numbers, for its first and last frames. Negative numbers crop."""
    mode: Literal["constant", "reflect", "replicate", "circular"] = "constant"
    """What the new pixels contain."""
    value: float = 0.0
    """The constant for `mode=constant`."""

    def infer(self, x: Shape) -> Shape:
        require_spatial(x, "pad")
        wanted = 2 * len(x.spatial)
        fact = f"pad takes {wanted} numbers for an input of shape {x}, two per axis, not {len(self.padding)}"
        require(len(self.padding) == wanted, fact, "argument-range")
        y = like(x, x.channels, tuple(size + start + end for size, start, end in self.sides(x)))
        require(min(y) > 0, f"pad leaves nothing of {x}", "empty-output")
        least = {"reflect": 1, "circular": 0}.get(self.mode)
        fits = least is None or all(max(sides) <= size - least for size, *sides in self.sides(x))
        require(fits, f"{self.mode} padding of {self.padding} is too wide for {x}")
        return y

    def sides(self, x: Shape) -> list[tuple[int, int, int]]:
        """Return (size, padding before, padding after) per axis; `padding` lists the last axis first."""
        pairs = [(self.padding[k], self.padding[k + 1]) for k in range(0, len(self.padding) - 1, 2)]
        return [(size, *pair) for size, pair in zip(x.spatial, reversed(pairs), strict=True)]

    def reach(self, x: Shape) -> tuple[Reach, Reach]:
        return last_two((1, 1, start) for _, start, _ in self.sides(x))

    def explain(self, x: Shape, *, y: Shape) -> tuple[str, ...]:
        return tuple(f"{size} + {start} + {end} = {size + start + end}" for size, start, end in self.sides(x))

    def torch_expr(self, x: str) -> str:
        options = "" if self.mode == "constant" else f', mode="{self.mode}"'
        options += f", value={self.value}" if self.value else ""
        return f"nn.functional.pad({x}, {tuple(self.padding)}{options})"


class PixelShuffle(Op, keyword="pixel_shuffle"):
    """Rearrange channels into pixels, for an image that is `factor` times larger (Shi et al., 2016)."""

    example = "48x32x32; pixel_shuffle(2) -> 12x64x64"

    factor: Positive
    """Factor for height and width; its square must divide the channels."""

    def infer(self, x: Shape) -> Shape:
        require_image(x, "pixel_shuffle")
        fact = f"{x.channels} channels cannot be divided by {self.factor}**2 = {self.factor**2}"
        require(x.channels % self.factor**2 == 0, fact, "indivisible-groups")
        return Shape((x.channels // self.factor**2, x.height * self.factor, x.width * self.factor))

    def torch_module(self, x: Shape) -> Code:
        return code("nn.PixelShuffle", self.factor)


class PixelUnshuffle(Op, keyword="pixel_unshuffle"):
    """Rearrange pixels into channels, the inverse of `pixel_shuffle`."""

    example = "12x64x64; pixel_unshuffle(2) -> 48x32x32"

    factor: Positive
    """Factor by which height and width are divided; it must divide both."""

    def infer(self, x: Shape) -> Shape:
        require_image(x, "pixel_unshuffle")
        fact = f"{x.height}x{x.width} cannot be divided by {self.factor}"
        require(x.height % self.factor == x.width % self.factor == 0, fact)
        return Shape((x.channels * self.factor**2, x.height // self.factor, x.width // self.factor))

    def reach(self, x: Shape) -> tuple[Reach, Reach]:
        return (self.factor, self.factor, 0), (self.factor, self.factor, 0)

    def torch_module(self, x: Shape) -> Code:
        return code("nn.PixelUnshuffle", self.factor)
