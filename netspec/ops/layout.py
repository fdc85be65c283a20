"""Layers that lay an image out for attention: channels last, tokens, windows, patches."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from netspec.ops.base import Code, Op, Positive, Reach, code, require_image
from netspec.shape import Grid, Shape, require


class ChannelsLast(Op, keyword="channels_last"):
    """Turn channels x height x width into height x width x channels."""

    def infer(self, x: Shape) -> Shape:
        require_image(x, "channels_last")
        return Grid((x.height, x.width, x.channels))

    def torch_module(self, x: Shape) -> Code:
        return code("Permute", 0, 2, 3, 1)

    def torch_expr(self, x: str) -> str:
        return f"{x}.permute(0, 2, 3, 1)"


class ChannelsFirst(Op, keyword="channels_first"):
    """Turn height x width x channels into channels x height x width."""

    def infer(self, x: Shape) -> Shape:
        require_channels_last(x, "channels_first")
        return Shape((x.channels, x.height, x.width))

    def torch_module(self, x: Shape) -> Code:
        return code("Permute", 0, 3, 1, 2)

    def torch_expr(self, x: str) -> str:
        return f"{x}.permute(0, 3, 1, 2)"


class Tokens(Op, keyword="tokens"):
    """Lay the pixels of an image out as tokens, row by row, each with its channels as features."""

    def infer(self, x: Shape) -> Shape:
        require_image(x, "tokens")
        return Shape((x.height * x.width, x.channels))

    def explain(self, x: Shape, *, y: Shape) -> tuple[str, ...]:
        return (f"{x.height}*{x.width} = {y.tokens} tokens",)

    def torch_expr(self, x: str) -> str:
        return f"{x}.flatten(2).transpose(1, 2)"


class Token(Op, keyword="token"):
    """Keep one token, the first being 0: its features are what a classifier reads."""

    index: Annotated[int, Field(ge=0)] = 0

    def infer(self, x: Shape) -> Shape:
        require(len(x) == 2, f"token takes tokens x features, but {x.noun} arrive")
        require(self.index < x.tokens, f"there is no token {self.index} in {x.tokens}", "argument-range")
        return Shape((x.features,))

    def torch_expr(self, x: str) -> str:
        return f"{x}[:, {self.index}]"


class MergePatches(Op, keyword="merge_patches"):
    """Stack the features of 2 x 2 neighbours, channels last, odd sizes padded (Liu et al., 2021)."""

    def infer(self, x: Shape) -> Shape:
        require_channels_last(x, "merge_patches")
        return Grid((-(-x.height // 2), -(-x.width // 2), 4 * x.channels))

    def reach(self, x: Shape) -> tuple[Reach, Reach]:
        return (2, 2, 0), (2, 2, 0)

    def torch_expr(self, x: str) -> str:
        return f"merge_patches({x})"


class Partition(Op, keyword="partition"):
    """Cut an image into windows of size x size: windows x tokens x features.

    With `grid`, a window is size x size pixels spread over the image (Tu et al., 2022, section 3.1).
    """

    size: Positive
    grid: bool = False

    def infer(self, x: Shape) -> Shape:
        require_image(x, "partition")
        for name, length in (("height", x.height), ("width", x.width)):
            fact = f"a {name} of {length} does not divide into {'a grid' if self.grid else 'windows'} of"
            require(length % self.size == 0, f"{fact} {self.size}", "indivisible-windows")
        require(
            not self.grid or x.height == x.width, f"a grid partition takes a square image, but {x} arrives"
        )
        return Grid((x.height * x.width // self.size**2, self.size**2, x.channels))

    def explain(self, x: Shape, *, y: Shape) -> tuple[str, ...]:
        return (f"{x.height}*{x.width} / {self.size}**2 = {y[0]} windows of {y[1]} tokens",)

    def torch_module(self, x: Shape) -> Code:
        return code("Partition", self.size, grid=(self.grid, False))


class Unpartition(Op, keyword="unpartition"):
    """Put the windows of `partition`, of the same size and kind, together to an image of height x width."""

    size: Positive
    height: Positive
    width: Positive
    grid: bool = False

    def infer(self, x: Shape) -> Shape:
        require_channels_last(x, "unpartition")
        whole = self.height * self.width // self.size**2, self.size**2
        fact = f"{x[0]} windows of {x[1]} tokens do not make {self.height}x{self.width} in {self.size}s"
        require((x[0], x[1]) == whole and self.height % self.size == self.width % self.size == 0, fact)
        return Shape((x.channels, self.height, self.width))

    def torch_module(self, x: Shape) -> Code:
        return code("Unpartition", self.size, self.height, self.width, grid=(self.grid, False))


def require_channels_last(x: Shape, what: str) -> None:
    """Refuse what has not its channels last."""
    fact = f"{what} takes height x width x channels, but {x.noun} arrive"
    require(isinstance(x, Grid), fact, help="`channels_last` puts the channels last" if len(x) == 3 else None)
