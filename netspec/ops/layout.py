"""Layouts for attention: channels last, tokens, windows, patches."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from netspec.ops.arguments import Positive, require_image
from netspec.ops.base import Code, Op, Reach, code
from netspec.shape import Free, Grid, Shape, require


class ChannelsLast(Op, keyword="channels_last"):
    """Permute channels x height x width to height x width x channels."""

    example = "96x56x56; channels_last -> 56x56x96"

    def infer(self, x: Shape) -> Shape:
        require_image(x, "channels_last")
        return Grid((x.height, x.width, x.channels))

    def torch_module(self, x: Shape) -> Code:
        return code("Permute", 0, 2, 3, 1)

    def torch_expr(self, x: str) -> str:
        return f"{x}.permute(0, 2, 3, 1)"


class ChannelsFirst(Op, keyword="channels_first"):
    """Permute height x width x channels to channels x height x width."""

    example = "96x56x56; channels_last; channels_first -> 96x56x56"

    def infer(self, x: Shape) -> Shape:
        require_channels_last(x, "channels_first")
        return Shape((x.channels, x.height, x.width))

    def torch_module(self, x: Shape) -> Code:
        return code("Permute", 0, 3, 1, 2)

    def torch_expr(self, x: str) -> str:
        return f"{x}.permute(0, 3, 1, 2)"


class Tokens(Op, keyword="tokens"):
    """Turn an image into a sequence with one token per pixel, row by row.

    The channels become the features of the tokens.
    """

    example = "768x14x14; tokens -> 196x768"

    def infer(self, x: Shape) -> Shape:
        require_image(x, "tokens")
        return Shape((x.height * x.width, x.channels))

    def explain(self, x: Shape, *, y: Shape) -> tuple[str, ...]:
        return (f"{x.height}*{x.width} = {y.tokens} tokens",)

    def torch_expr(self, x: str) -> str:
        return f"{x}.flatten(2).transpose(1, 2)"


class Token(Op, keyword="token"):
    """Select one token, such as the class token for a classifier."""

    example = "197x768; token -> 768"

    index: Annotated[int, Field(ge=0)] = 0
    """Index of the token, 0-based."""

    def infer(self, x: Shape) -> Shape:
        require(len(x) == 2, f"token takes tokens x features, but its input is {x.noun}")
        require(
            self.index < x.tokens,
            f"there is no token {self.index}: the indices of {x.tokens} tokens are 0 to {x.tokens - 1}",
            "argument-range",
        )
        return Shape((x.features,))

    def torch_expr(self, x: str) -> str:
        return f"{x}[:, {self.index}]"


class MergePatches(Op, keyword="merge_patches"):
    """Concatenate the features of each 2 x 2 block of pixels (Liu et al., 2021).

    Odd sizes are padded.
    """

    example = "96x56x56; channels_last; merge_patches -> 28x28x384"

    def infer(self, x: Shape) -> Shape:
        require_channels_last(x, "merge_patches")
        return Grid((-(-x.height // 2), -(-x.width // 2), 4 * x.channels))

    def reach(self, x: Shape) -> tuple[Reach, Reach]:
        return (2, 2, 0), (2, 2, 0)

    def torch_expr(self, x: str) -> str:
        return f"merge_patches({x})"


class Partition(Op, keyword="partition"):
    """Split an image into square windows (Tu et al., 2022, section 3.1).

    The output is windows x tokens x features.
    """

    example = "64x56x56; partition(7) -> 64x49x64"

    size: Positive
    """Side of a window in pixels; it must divide height and width."""
    grid: bool = False
    """Whether the pixels of a window are spread evenly over the image instead of being adjacent."""

    def infer(self, x: Shape) -> Shape:
        require_image(x, "partition")
        for name, length in (("height", x.height), ("width", x.width)):
            fact = f"a {name} of {length} cannot be divided into {'a grid' if self.grid else 'windows'} of"
            require(length % self.size == 0, f"{fact} {self.size}", "indivisible-windows")
        require(
            not self.grid or x.height == x.width,
            f"a grid partition takes a square image, but its input is {x}",
        )
        return Grid((x.height * x.width // self.size**2, self.size**2, x.channels))

    def explain(self, x: Shape, *, y: Shape) -> tuple[str, ...]:
        return (f"{x.height}*{x.width} / {self.size}**2 = {y[0]} windows of {y[1]} tokens",)

    def torch_module(self, x: Shape) -> Code:
        return code("Partition", self.size, grid=(self.grid, False))


class Unpartition(Op, keyword="unpartition"):
    """Join the windows of `partition` into an image."""

    example = "64x56x56; partition(7); unpartition(7, 56, 56) -> 64x56x56"

    size: Positive
    """Side of a window, as given to `partition`."""
    height: Positive
    """Height of the image."""
    width: Positive
    """Width of the image."""
    grid: bool = False
    """Whether the windows form a grid, as given to `partition`."""

    def infer(self, x: Shape) -> Shape:
        require_channels_last(x, "unpartition")
        whole = self.height * self.width // self.size**2, self.size**2
        fact = f"{x[0]} windows of {x[1]} tokens do not form an image of {self.height}x{self.width}"
        require((x[0], x[1]) == whole and self.height % self.size == self.width % self.size == 0, fact)
        return Shape((x.channels, self.height, self.width))

    def torch_module(self, x: Shape) -> Code:
        return code("Unpartition", self.size, self.height, self.width, grid=(self.grid, False))


def require_channels_last(x: Shape, what: str) -> None:
    """Raise `ShapeError` unless `x` is height x width x channels."""
    fact = f"{what} takes height x width x channels, but its input is {x.noun}"
    require(
        len(x) == 3 and isinstance(x, Grid | Free),
        fact,
        help="put `channels_last` before it" if len(x) == 3 else None,
    )
