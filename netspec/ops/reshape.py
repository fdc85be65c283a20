"""Reshaping and resizing."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from netspec.ops.base import Code, Op, Pad, Pair, Positive, Reach, code, require_image
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

    def infer(self, x: Shape) -> Shape:
        return x

    def torch_module(self, x: Shape) -> Code:
        return code("nn.Identity")

    def torch_expr(self, x: str) -> str:
        return x


class Upsample(Op, keyword="upsample"):
    """Enlarge an image by a factor."""

    example = "64x28x28; upsample(2, mode=bilinear) -> 64x56x56"

    scale: Pair | None = None
    """Factor for height and width; one number, or two as in `2x3`."""
    size: Pair | None = None
    """Height and width of the output, in place of a factor."""
    mode: Literal["nearest", "bilinear", "bicubic"] = "nearest"
    """Interpolation of new pixels."""
    align_corners: bool = False
    """Whether the corners of both images coincide, instead of their edges."""

    takes_raw = True

    def check_arguments(self) -> None:
        fact = "upsample takes either a factor, as in `upsample(2)`, or a size, as in `upsample(size=56x56)`"
        require((self.scale is None) != (self.size is None), fact, "argument-range")
        corners = "`align_corners` has no meaning for mode=nearest, which computes no new values"
        require(not self.align_corners or self.mode != "nearest", corners, "argument-range")

    def infer(self, x: Shape) -> Shape:
        require_image(x, "upsample")
        self.check_arguments()
        if self.size is not None:
            return Shape((x.channels, *self.size))
        assert self.scale is not None
        return Shape((x.channels, x.height * self.scale[0], x.width * self.scale[1]))

    def explain(self, x: Shape, *, y: Shape) -> tuple[str, ...]:
        if self.scale is None:
            return ()
        return (f"{x.height}*{self.scale[0]} = {y.height}, {x.width}*{self.scale[1]} = {y.width}",)

    def torch_module(self, x: Shape) -> Code:
        options = {"mode": (self.mode, "nearest"), "align_corners": (self.align_corners, False)}
        return code("nn.Upsample", size=(self.size, None), scale_factor=(self.scale, None), **options)


class ZeroPad(Op, keyword="zeropad"):
    """Pad an image with zeros."""

    example = "3x224x224; zeropad(3) -> 3x230x230"

    padding: Pad
    """Pixels added on each side; one number, or two for height and width as in `1x2`."""

    def infer(self, x: Shape) -> Shape:
        require_image(x, "zeropad")
        return Shape((x.channels, x.height + 2 * self.padding[0], x.width + 2 * self.padding[1]))

    def reach(self, x: Shape) -> tuple[Reach, Reach]:
        return (1, 1, self.padding[0]), (1, 1, self.padding[1])

    def explain(self, x: Shape, *, y: Shape) -> tuple[str, ...]:
        high, wide = self.padding
        return (f"{x.height} + 2*{high} = {y.height}, {x.width} + 2*{wide} = {y.width}",)

    def torch_module(self, x: Shape) -> Code:
        high, wide = self.padding
        return code("nn.ZeroPad2d", high if high == wide else (wide, wide, high, high))


class Slice(Op, keyword="slice"):
    """Select positions along an axis, by default channels or features, from `start` up to before `stop`."""

    example = "96x55x55; slice(0, 48) -> 48x55x55"

    start: Annotated[int, Field(ge=0)]
    """Index of the first channel or feature, counted from 0."""
    stop: Positive
    """Index after the last channel or feature."""
    axis: Annotated[int, Field(ge=0)] = 0
    """The axis, counted without the batch."""
    step: Positive = 1
    """Distance between the selected positions."""

    takes_raw = True

    def infer(self, x: Shape) -> Shape:
        at = axis_of(self.axis, x)
        what = "channels" if at == 0 and len(x) != 2 else "positions"
        fact = f"{what} {self.start} to {self.stop} cannot be selected from {x[at]}"
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
    """Multiply each channel by a constant, and add another constant."""

    example = "3x224x224; rescale(scale=[0.5, 0.5, 0.5], shift=[0, 0, 0]) -> 3x224x224"

    scale: list[float]
    """A list with one factor for each channel."""
    shift: list[float]
    """A list with one number for each channel; it is added after the multiplication."""

    def infer(self, x: Shape) -> Shape:
        require_image(x, "rescale")
        for name in ("scale", "shift"):
            count = len(getattr(self, name))
            fact = f"`{name}` has {count} numbers for {x.channels} channels"
            require(count == x.channels, fact, "argument-range")
        return x

    def cost(self, x: Shape, *, y: Shape) -> Cost:
        return Cost(additions=x.numbers, multiplications=x.numbers)

    def torch_module(self, x: Shape) -> Code:
        return code("Rescale", self.scale, self.shift)


class PadSides(Op, keyword="pad"):
    """Pad an image with a different number of pixels on each side, with a constant or by reflection."""

    example = "3x224x224; pad([0, 1, 0, 1]) -> 3x225x225"

    padding: Annotated[list[Annotated[int, Field(ge=-10_000, le=10_000)]], Field(min_length=4, max_length=4)]
    """Pixels at the left, right, top and bottom; negative numbers crop."""
    mode: Literal["constant", "reflect", "replicate", "circular"] = "constant"
    """What the new pixels contain."""
    value: float = 0.0
    """The constant."""

    def infer(self, x: Shape) -> Shape:
        require_image(x, "pad")
        left, right, top, bottom = self.padding
        y = Shape((x.channels, x.height + top + bottom, x.width + left + right))
        require(min(y) > 0, f"pad leaves nothing of {x}", "empty-output")
        least = {"reflect": 1, "circular": 0}.get(self.mode, -10_000)
        fits = max(left, right) <= x.width - least and max(top, bottom) <= x.height - least
        require(least < 0 or fits, f"{self.mode} padding of {self.padding} is too wide for {x}")
        return y

    def reach(self, x: Shape) -> tuple[Reach, Reach]:
        return (1, 1, self.padding[2]), (1, 1, self.padding[0])

    def explain(self, x: Shape, *, y: Shape) -> tuple[str, ...]:
        left, right, top, bottom = self.padding
        return f"{x.height} + {top} + {bottom} = {y.height}", f"{x.width} + {left} + {right} = {y.width}"

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
    """Divisor of height and width, which it must divide."""

    def infer(self, x: Shape) -> Shape:
        require_image(x, "pixel_unshuffle")
        fact = f"{x.height}x{x.width} cannot be divided by {self.factor}"
        require(x.height % self.factor == x.width % self.factor == 0, fact)
        return Shape((x.channels * self.factor**2, x.height // self.factor, x.width // self.factor))

    def reach(self, x: Shape) -> tuple[Reach, Reach]:
        return (self.factor, self.factor, 0), (self.factor, self.factor, 0)

    def torch_module(self, x: Shape) -> Code:
        return code("nn.PixelUnshuffle", self.factor)
