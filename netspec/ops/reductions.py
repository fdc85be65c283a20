"""Reductions over the axes of any tensor. Axis numbers exclude the batch axis."""

from __future__ import annotations

from typing import ClassVar

from netspec.ops.axes import Axes, Rearranging, free
from netspec.ops.base import Reach
from netspec.shape import Cost, Shape, axis_of, require, torch_axis


class Reduction(Rearranging):
    """A reduction over axes."""

    axis: Axes
    """The axis to reduce, or a list of axes."""
    keep: bool = False
    """Whether to keep the reduced axes with size 1."""

    positional = 1

    def infer(self, x: Shape) -> Shape:
        reduced = {axis_of(axis, x) for axis in self.axis}
        if self.keep:
            return type(x)(1 if i in reduced else n for i, n in enumerate(x))
        require(len(reduced) < len(x), f"{self.keyword} over all axes of {x} leaves nothing; use `keep=true`")
        return free(n for i, n in enumerate(x) if i not in reduced)

    def reach(self, x: Shape) -> tuple[Reach, Reach] | None:
        return None

    def reduced(self, x: str, function: str) -> str:
        """Return the source of a call such as `x.mean(dim, keepdim=True)`."""
        axes = [torch_axis(a) for a in self.axis]
        dim = str(axes[0] if len(axes) == 1 else tuple(axes))
        return f"{x}.{function}({dim}{', keepdim=True' if self.keep else ''})"


class Mean(Reduction, keyword="mean"):
    """The mean over axes."""

    example = "196x768; mean(0) -> 768"

    def cost(self, x: Shape, *, y: Shape) -> Cost:
        return Cost(additions=x.numbers, divisions=y.numbers)

    def torch_expr(self, x: str) -> str:
        return self.reduced(x, "mean")


class Sum(Reduction, keyword="sum"):
    """The sum over axes."""

    example = "64x8x8; sum([1, 2]) -> 64"

    def cost(self, x: Shape, *, y: Shape) -> Cost:
        return Cost(additions=x.numbers)

    def torch_expr(self, x: str) -> str:
        return self.reduced(x, "sum")


class Max(Reduction, keyword="max"):
    """The maximum over axes."""

    example = "64x8x8; max([1, 2], keep=true) -> 64x1x1"

    def cost(self, x: Shape, *, y: Shape) -> Cost:
        return Cost(comparisons=x.numbers)

    def torch_expr(self, x: str) -> str:
        return self.reduced(x, "amax")


class Min(Reduction, keyword="min"):
    """The minimum over axes."""

    example = "64x8x8; min([1, 2]) -> 64"

    def cost(self, x: Shape, *, y: Shape) -> Cost:
        return Cost(comparisons=x.numbers)

    def torch_expr(self, x: str) -> str:
        return self.reduced(x, "amin")


class Var(Reduction, keyword="var"):
    """The variance over axes."""

    example = "64x8x8; var([1, 2], keep=true) -> 64x1x1"

    unbiased: bool = True
    """Whether to divide the sum of squares by the count minus 1 instead of the count."""

    function: ClassVar = "var"

    def cost(self, x: Shape, *, y: Shape) -> Cost:
        return Cost(additions=2 * x.numbers, multiplications=x.numbers, divisions=2 * y.numbers)

    def torch_expr(self, x: str) -> str:
        made = self.reduced(x, self.function)
        return made if self.unbiased else f"{made[:-1]}, correction=0)"


class Std(Var, keyword="std"):
    """The standard deviation over axes."""

    example = "64x8x8; std([1, 2], keep=true) -> 64x1x1"

    function = "std"


class Norm(Reduction, keyword="norm"):
    """The Euclidean norm over axes."""

    example = "197x64; norm(-1, keep=true) -> 197x1"

    def cost(self, x: Shape, *, y: Shape) -> Cost:
        return Cost(additions=x.numbers, multiplications=x.numbers, exponentials=y.numbers)

    def torch_expr(self, x: str) -> str:
        return self.reduced(x, "norm").replace(".norm(", ".norm(2, ", 1)
