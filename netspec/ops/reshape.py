"""Layers that move or resize values without learning."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from netspec.ops.base import Code, Op, Pad, Pair, Positive, Reach, code, require_image
from netspec.shape import Cost, Shape, is_image, require


class Flatten(Op, keyword="flatten"):
    """Lay an image out as a feature vector."""

    def infer(self, x: Shape) -> Shape:
        return Shape((x.numbers,))

    def explain(self, x: Shape, *, y: Shape) -> tuple[str, ...]:
        return (f"{'*'.join(map(str, x))} = {x.numbers}",)

    def torch_module(self, x: Shape) -> Code:
        return code("nn.Flatten")

    def torch_expr(self, x: str) -> str:
        return f"torch.flatten({x}, 1)"


class Identity(Op, keyword="identity"):
    """Pass the value on: the plain branch of a residual."""

    def infer(self, x: Shape) -> Shape:
        return x

    def torch_module(self, x: Shape) -> Code:
        return code("nn.Identity")

    def torch_expr(self, x: str) -> str:
        return x


class Upsample(Op, keyword="upsample"):
    """Enlarge an image `scale` times."""

    scale: Pair
    mode: Literal["nearest", "bilinear", "bicubic"] = "nearest"

    def infer(self, x: Shape) -> Shape:
        require_image(x, "upsample")
        return Shape((x.channels, x.height * self.scale[0], x.width * self.scale[1]))

    def explain(self, x: Shape, *, y: Shape) -> tuple[str, ...]:
        return (f"{x.height}*{self.scale[0]} = {y.height}, {x.width}*{self.scale[1]} = {y.width}",)

    def torch_module(self, x: Shape) -> Code:
        return code("nn.Upsample", scale_factor=(self.scale, None), mode=(self.mode, "nearest"))


class ZeroPad(Op, keyword="zeropad"):
    """Put `padding` rows and columns of zeros around an image."""

    padding: Pad

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
    """Keep the channels or features from `start` up to but not with `stop`."""

    start: Annotated[int, Field(ge=0)]
    stop: Positive

    def infer(self, x: Shape) -> Shape:
        require(is_image(x) or len(x) == 1, f"slice takes an image or a feature vector, but {x.noun} arrive")
        fact = f"there is nothing from {self.start} to {self.stop} in {x.channels} channels"
        require(self.start < self.stop <= x.channels, fact, "argument-range")
        return Shape((self.stop - self.start, *x[1:]))

    def torch_expr(self, x: str) -> str:
        return f"{x}[:, {self.start or ''}:{self.stop}]"


class ChannelShuffle(Op, keyword="channel_shuffle"):
    """Deal the channels of `groups` groups in turn, for the next convolution to mix (Zhang et al., 2017)."""

    groups: Positive

    def infer(self, x: Shape) -> Shape:
        require_image(x, "channel_shuffle")
        fact = f"{x.channels} channels do not divide into {self.groups} groups"
        require(x.channels % self.groups == 0, fact, "indivisible-groups")
        return x

    def torch_module(self, x: Shape) -> Code:
        return code("nn.ChannelShuffle", self.groups)


class Rescale(Op, keyword="rescale"):
    """Multiply each channel by its number of `scale` and add its number of `shift`."""

    scale: list[float]
    shift: list[float]

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
