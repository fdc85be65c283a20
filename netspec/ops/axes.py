"""Operations on the axes of any tensor, such as reordering, reshaping and selecting.


Axis numbers exclude the batch axis: 0 is the first axis, -1 the last.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from netspec.ops.base import Op, Reach
from netspec.ops.tensor import Size
from netspec.shape import Cost, Free, Grid, Shape, axis_of, is_image, require, torch_axis


def free(sizes: Any) -> Shape:
    """Return the shape of a tensor whose axes have changed; with three axes, it has no fixed layout."""
    made = tuple(sizes)
    return Shape(made) if len(made) < 3 else Free(made)


def to_list(value: object) -> object:
    """Convert a single axis to a list of axes."""
    return [value] if isinstance(value, int) and not isinstance(value, bool) else value


Axes = Annotated[list[int], BeforeValidator(to_list), Field(min_length=1, max_length=8)]


class Rearranging(Op):
    """An operation that also accepts raw tensors, and that is taken to preserve the receptive field."""

    takes_raw = True

    def reach(self, x: Shape) -> tuple[Reach, Reach] | None:
        return (1, 1, 0), (1, 1, 0)


class Permute(Rearranging, keyword="permute"):
    """Reorder the axes."""

    example = "96x56x56; permute([1, 2, 0]) -> 56x56x96"

    order: Axes
    """The axes of the input in the order of the output."""

    takes_indices = True

    def infer(self, x: Shape) -> Shape:
        fact = f"`order` must contain each of the axes 0 to {len(x) - 1} of {x} once, not {self.order}"
        require(sorted(self.order) == list(range(len(x))), fact, "argument-range")
        if len(x) == 3 and self.order == [1, 2, 0] and is_image(x):
            return Grid((x[1], x[2], x[0]))
        if self.order == [2, 0, 1] and isinstance(x, Grid):
            return Shape((x[2], x[0], x[1]))
        return free(x[i] for i in self.order)

    def torch_expr(self, x: str) -> str:
        return f"{x}.permute(0, {', '.join(str(i + 1) for i in self.order)})"


class Reshape(Rearranging, keyword="reshape"):
    """Change the shape; the elements keep their row-major order."""

    example = "196x768; reshape(196x12x64) -> 196x12x64"

    shape: Size
    """The sizes of the output, without the batch."""

    takes_indices = True

    def infer(self, x: Shape) -> Shape:
        wanted = Shape(self.shape)
        fact = f"{x} has {x.numbers} elements, but {wanted} has {wanted.numbers}"
        require(x.numbers == wanted.numbers, fact)
        return free(self.shape)

    def explain(self, x: Shape, *, y: Shape) -> tuple[str, ...]:
        return (f"{'*'.join(map(str, x))} = {'*'.join(map(str, y))}",)

    def torch_expr(self, x: str) -> str:
        return f"{x}.reshape(-1, {', '.join(map(str, self.shape))})"


class Expand(Rearranging, keyword="expand"):
    """Broadcast axes of size 1 to the given sizes."""

    example = "1x768; expand(196x768) -> 196x768"

    shape: Size
    """The sizes of the output, without the batch."""

    takes_indices = True

    def infer(self, x: Shape) -> Shape:
        fits = len(x) == len(self.shape) and all(a in (1, b) for a, b in zip(x, self.shape, strict=True))
        require(fits, f"{x} cannot be expanded to {self.shape}: only sizes of 1 can be repeated")
        return free(self.shape)

    def torch_expr(self, x: str) -> str:
        return f"{x}.expand(-1, {', '.join(map(str, self.shape))})"


class Select(Rearranging, keyword="select"):
    """Select one position along an axis and drop the axis."""

    example = "197x768; select(-1) -> 768"

    index: int
    """The position, 0-based; negative numbers count from the end."""
    axis: int = 0
    """The axis."""

    takes_indices = True

    def infer(self, x: Shape) -> Shape:
        require(len(x) > 1, f"select takes a tensor with at least two axes, but its input is {x.noun}")
        at = axis_of(self.axis, x)
        fact = f"there is no position {self.index} along axis {self.axis} of {x}"
        require(-x[at] <= self.index < x[at], fact, "argument-range")
        return free(n for i, n in enumerate(x) if i != at)

    def torch_expr(self, x: str) -> str:
        if self.axis < 0:
            return f"{x}.select({self.axis}, {self.index})"
        return f"{x}[:, {':, ' * self.axis}{self.index}]"


class Roll(Rearranging, keyword="roll"):
    """Shift the elements along axes; those shifted past one end reappear at the other."""

    example = "56x56x96; roll([-3, -3], [0, 1]) -> 56x56x96"

    shifts: Axes
    """The number of positions to shift along each axis."""
    axis: Axes
    """The axis, or a list of axes."""

    takes_indices = True

    def infer(self, x: Shape) -> Shape:
        fact = f"`shifts` has {len(self.shifts)} values for {len(self.axis)} axes"
        require(len(self.shifts) == len(self.axis), fact, "argument-range")
        for axis in self.axis:
            axis_of(axis, x)
        return x

    def torch_expr(self, x: str) -> str:
        axes = [torch_axis(a) for a in self.axis]
        if len(axes) == 1:
            return f"torch.roll({x}, {self.shifts[0]}, {axes[0]})"
        return f"torch.roll({x}, {tuple(self.shifts)}, {tuple(axes)})"


class Index(Rearranging, keyword="index"):
    """Select positions along the first axis, given by a second input of integers.

    Attention with relative positions looks up its table of biases in this way.
    """

    example = (
        "3x16x16; table: param(961x3); at: buffer(16x16, dtype=int64); index <- table, at; "
        "permute([2, 0, 1]); add(x, permute) -> 3x16x16"
    )

    mixes_raw = True
    takes_indices = True

    def infer(self, x: Shape, positions: Shape) -> Shape:
        return free((*positions, *x[1:]))

    def reach(self, *xs: Shape) -> tuple[Reach, Reach] | None:
        return None

    def torch_expr(self, x: str, positions: str) -> str:
        bare, table = positions.removesuffix("[None]"), x.removesuffix("[None]")
        if bare == positions and table != x:
            return f"{table}[{positions}]"
        return f"{x}[:, {bare if bare != positions else f'{positions}[0]'}]"


class Flip(Rearranging, keyword="flip"):
    """Reverse the order along axes."""

    example = "64x8x8; flip(-1) -> 64x8x8"

    axis: Axes
    """The axis, or a list of axes."""

    takes_indices = True

    def infer(self, x: Shape) -> Shape:
        for axis in self.axis:
            axis_of(axis, x)
        return x

    def torch_expr(self, x: str) -> str:
        return f"{x}.flip({', '.join(str(torch_axis(a)) for a in self.axis)})"


class Standardize(Rearranging, keyword="standardize"):
    """Subtract the mean and divide by the standard deviation along the last axis."""

    example = "64x147; standardize(eps=1e-8) -> 64x147"

    eps: Annotated[float, Field(ge=0, le=1)] = 1e-5
    """Added to the variance to avoid division by zero."""

    positional = 0

    def infer(self, x: Shape) -> Shape:
        return x

    def cost(self, x: Shape, *, y: Shape) -> Cost:
        return Cost(additions=2 * x.numbers, divisions=x.numbers)

    def torch_expr(self, x: str) -> str:
        return f"nn.functional.layer_norm({x}, {x}.shape[-1:], eps={self.eps})"
