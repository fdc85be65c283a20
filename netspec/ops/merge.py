"""Joins of several inputs."""

from __future__ import annotations

from netspec.ops.base import Op
from netspec.shape import (
    Cost,
    Free,
    Grid,
    Shape,
    ShapeError,
    Signal,
    axis_of,
    has_channels,
    require,
    torch_axis,
)

FIRST = "put `channels_first` before it"


def layout(*xs: Shape) -> type[Shape]:
    """Return the class of a merged shape: `Grid` or `Signal` if any input is one."""
    return max(map(type, xs), key=(Shape, Free, Signal, Grid).index)


class Merge(Op):
    """Merge two or more inputs; in the form `concat { ... }`, each statement in the braces is a branch."""

    kind = "merge"
    new_memory = True
    mixes_raw = True

    def explain(self, *xs: Shape, y: Shape) -> tuple[str, ...]:
        return (f"{' and '.join(map(str, xs))} give {y}",)


class Concat(Merge, keyword="concat"):
    """Concatenate along the channels of images, the features of vectors, or the tokens of sequences."""

    example = "64x56x56; concat { conv(32, 1); identity } -> 96x56x56"

    axis: int = 0
    """Index of the axis, excluding the batch axis; -1 is the last axis."""

    positional = 0

    def infer(self, *xs: Shape) -> Shape:
        first = xs[0]
        if self.axis or len(first) > 4:
            return self.along_axis(*xs)
        kinds = {type(x) for x in xs} - {Free}
        if (kinds - {Shape, Signal} and len(kinds) > 1) or any(
            len(x) != len(first) or x[1:] != first[1:] for x in xs
        ):
            sizes = {4: "depth, height or width", 3: "height or width", 2: "features", 1: "kind"}
            what = "length" if Signal in kinds else sizes[len(first)]
            shapes = " and ".join(dict.fromkeys(map(str, xs)))
            raise ShapeError(f"{shapes} cannot be concatenated: they differ in {what}", "branches-disagree")
        require(Grid not in kinds, "concat joins channels, which must be the first axis", help=FIRST)
        kind = Signal if Signal in kinds else Shape
        return kind((sum(x.channels for x in xs), *first[1:]))

    def along_axis(self, *xs: Shape) -> Shape:
        """Return the shape after concatenation along `axis`; raises `ShapeError` if another axis differs."""
        first, at = xs[0], axis_of(self.axis, xs[0])
        rest = [(*x[:at], *x[at + 1 :]) for x in xs]
        shapes = " and ".join(dict.fromkeys(map(str, xs)))
        fact = f"{shapes} cannot be concatenated along axis {self.axis}: they differ in another axis"
        require(len(set(rest)) == 1, fact, "branches-disagree")
        return layout(*xs)((*first[:at], sum(x[at] for x in xs), *first[at + 1 :]))

    def explain(self, *xs: Shape, y: Shape) -> tuple[str, ...]:
        if self.axis or len(y) > 4:
            return (f"{' + '.join(str(x[self.axis]) for x in xs)} = {y[self.axis]} along axis {self.axis}",)
        what = "channels" if has_channels(y) else {2: "tokens", 1: "features"}[len(y)]
        return (f"{' + '.join(str(x.channels) for x in xs)} = {y.channels} {what}",)

    def torch_expr(self, *xs: str) -> str:
        return f"torch.cat(({', '.join(xs)}), {torch_axis(self.axis)})"


class Elementwise(Merge):
    """Combine inputs of the same shape; sizes of 1 are broadcast, as in PyTorch."""

    def infer(self, *xs: Shape) -> Shape:
        return self.joined(*xs)

    def joined(self, *xs: Shape) -> Shape:
        """Return the shape of the output; raises `ShapeError` if sizes differ that are not 1."""
        sizes = (
            [{x[i] for x in xs} - {1} for i in range(len(xs[0]))] if len({len(x) for x in xs}) == 1 else []
        )
        mixed = {type(x) for x in xs if len(x) == 3 and x[1:] != (1, 1)} == {Grid, Shape}
        if not sizes or mixed or any(len(s) > 1 for s in sizes):
            shapes = " and ".join(map(str, xs) if mixed else dict.fromkeys(map(str, xs)))
            done = {"add": "added", "mul": "multiplied", "sub": "subtracted", "div": "divided"}.get(
                self.keyword, "joined"
            )
            what = "only some have their channels last" if mixed else "they differ in shape"
            help = FIRST if mixed else None
            raise ShapeError(f"{shapes} cannot be {done}: {what}", "branches-disagree", help=help)
        return layout(*xs)(next(iter(s), 1) for s in sizes)


class Add(Elementwise, keyword="add"):
    """Add inputs of the same shape; sizes of 1 are broadcast."""

    example = "64x56x56; add { conv(64, 3, padding=1); identity } -> 64x56x56"

    def cost(self, *xs: Shape, y: Shape) -> Cost:
        return Cost(additions=(len(xs) - 1) * y.numbers)

    def torch_expr(self, *xs: str) -> str:
        return " + ".join(xs)


class Mul(Elementwise, keyword="mul"):
    """Multiply inputs of the same shape; sizes of 1 are broadcast."""

    example = "64x56x56; mul { identity; { adaptive_avgpool(1); sigmoid } } -> 64x56x56"

    def cost(self, *xs: Shape, y: Shape) -> Cost:
        return Cost(multiplications=(len(xs) - 1) * y.numbers)

    def torch_expr(self, *xs: str) -> str:
        return " * ".join(xs)
