"""Layers that move or resize values without learning."""

from __future__ import annotations

from typing import Literal

from netspec.ops.base import Code, Op, Pad, Pair, Reach, code
from netspec.shape import Shape, require


class Flatten(Op, keyword="flatten"):
    """Lay an image out as a feature vector."""

    def infer(self, x: Shape) -> Shape:
        return Shape((x.numbers,))

    def explain(self, x: Shape, *, y: Shape) -> tuple[str, ...]:
        return (f"{'*'.join(map(str, x))} = {x.numbers}",)

    def module(self, x: Shape) -> Code:
        return code("nn.Flatten")

    def expression(self, x: str) -> str:
        return f"torch.flatten({x}, 1)"


class Identity(Op, keyword="identity"):
    """Pass the value on: the plain branch of a residual."""

    def infer(self, x: Shape) -> Shape:
        return x

    def module(self, x: Shape) -> Code:
        return code("nn.Identity")

    def expression(self, x: str) -> str:
        return x


class Upsample(Op, keyword="upsample"):
    """Enlarge an image `scale` times."""

    scale: Pair
    mode: Literal["nearest", "bilinear", "bicubic"] = "nearest"

    def infer(self, x: Shape) -> Shape:
        require(len(x) == 3, f"upsample takes an image (channels x height x width), but {x.noun} arrive")
        return Shape((x.channels, x.height * self.scale[0], x.width * self.scale[1]))

    def explain(self, x: Shape, *, y: Shape) -> tuple[str, ...]:
        return (f"{x.height}*{self.scale[0]} = {y.height}, {x.width}*{self.scale[1]} = {y.width}",)

    def module(self, x: Shape) -> Code:
        return code("nn.Upsample", scale_factor=(self.scale, None), mode=(self.mode, "nearest"))


class ZeroPad(Op, keyword="zeropad"):
    """Put `padding` rows and columns of zeros around an image."""

    padding: Pad

    def infer(self, x: Shape) -> Shape:
        require(len(x) == 3, f"zeropad takes an image (channels x height x width), but {x.noun} arrive")
        return Shape((x.channels, x.height + 2 * self.padding[0], x.width + 2 * self.padding[1]))

    def reach(self, x: Shape) -> tuple[Reach, Reach]:
        return (1, 1, self.padding[0]), (1, 1, self.padding[1])

    def explain(self, x: Shape, *, y: Shape) -> tuple[str, ...]:
        high, wide = self.padding
        return (f"{x.height} + 2*{high} = {y.height}, {x.width} + 2*{wide} = {y.width}",)

    def module(self, x: Shape) -> Code:
        high, wide = self.padding
        return code("nn.ZeroPad2d", high if high == wide else (wide, wide, high, high))
