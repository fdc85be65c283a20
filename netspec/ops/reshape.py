"""Reshaping and resizing."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from netspec.ops.base import Code, Op, Pad, Pair, Positive, Reach, code, require_image
from netspec.shape import Cost, Shape, is_image, require


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

    scale: Pair
    """Factor for height and width; one number, or two as in `2x3`."""
    mode: Literal["nearest", "bilinear", "bicubic"] = "nearest"
    """Interpolation of new pixels."""

    def infer(self, x: Shape) -> Shape:
        require_image(x, "upsample")
        return Shape((x.channels, x.height * self.scale[0], x.width * self.scale[1]))

    def explain(self, x: Shape, *, y: Shape) -> tuple[str, ...]:
        return (f"{x.height}*{self.scale[0]} = {y.height}, {x.width}*{self.scale[1]} = {y.width}",)

    def torch_module(self, x: Shape) -> Code:
        return code("nn.Upsample", scale_factor=(self.scale, None), mode=(self.mode, "nearest"))


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
    """Select the channels or features from `start` up to, but not including, `stop`."""

    example = "96x55x55; slice(0, 48) -> 48x55x55"

    start: Annotated[int, Field(ge=0)]
    """Index of the first channel or feature, counted from 0."""
    stop: Positive
    """Index after the last channel or feature."""

    def infer(self, x: Shape) -> Shape:
        require(
            is_image(x) or len(x) == 1, f"slice takes an image or a feature vector, but its input is {x.noun}"
        )
        fact = f"channels {self.start} to {self.stop} cannot be selected from {x.channels}"
        require(self.start < self.stop <= x.channels, fact, "argument-range")
        return Shape((self.stop - self.start, *x[1:]))

    def torch_expr(self, x: str) -> str:
        return f"{x}[:, {self.start or ''}:{self.stop}]"


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
