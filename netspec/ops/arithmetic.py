"""Elementwise arithmetic and functions."""

from __future__ import annotations

from functools import reduce
from math import inf, isfinite
from typing import ClassVar

from netspec.ops.activation import Activation
from netspec.ops.axes import Rearranging
from netspec.ops.base import Code, Op, code
from netspec.ops.merge import Elementwise
from netspec.shape import Cost, Shape, axis_of, require, torch_axis


class Sub(Elementwise, keyword="sub"):
    """Subtract the second value from the first; sizes of 1 are broadcast."""

    example = "64x56x56; sub { identity; conv(64, 1) } -> 64x56x56"

    def infer(self, *xs: Shape) -> Shape:
        require(len(xs) == 2, f"{self.keyword} takes two inputs, not {len(xs)}", "wrong-arity")
        return self.joined(*xs)

    def cost(self, *xs: Shape, y: Shape) -> Cost:
        return Cost(additions=y.numbers)

    def torch_expr(self, *xs: str) -> str:
        return " - ".join(xs)


class Div(Elementwise, keyword="div"):
    """Divide the first value by the second; sizes of 1 are broadcast."""

    example = "64x56x56; div { identity; conv(64, 1) } -> 64x56x56"

    def infer(self, *xs: Shape) -> Shape:
        require(len(xs) == 2, f"{self.keyword} takes two inputs, not {len(xs)}", "wrong-arity")
        return self.joined(*xs)

    def cost(self, *xs: Shape, y: Shape) -> Cost:
        return Cost(divisions=y.numbers)

    def torch_expr(self, *xs: str) -> str:
        return " / ".join(xs)


class Maximum(Elementwise, keyword="maximum"):
    """The elementwise maximum of the inputs; sizes of 1 are broadcast."""

    example = "64x56x56; maximum { identity; conv(64, 1) } -> 64x56x56"

    function: ClassVar = "torch.maximum"

    def cost(self, *xs: Shape, y: Shape) -> Cost:
        return Cost(comparisons=(len(xs) - 1) * y.numbers)

    def torch_expr(self, *xs: str) -> str:
        return reduce(lambda a, b: f"{self.function}({a}, {b})", xs)


class Minimum(Maximum, keyword="minimum"):
    """The elementwise minimum of the inputs; sizes of 1 are broadcast."""

    example = "64x56x56; minimum { identity; conv(64, 1) } -> 64x56x56"

    function = "torch.minimum"


class MaskedFill(Elementwise, keyword="masked_fill"):
    """The first input, with a constant wherever the second input, a mask, is true."""

    example = (
        "4x16x16; future: buffer(1x16x16, dtype=bool); masked_fill(in, future); softmax(axis=-1) -> 4x16x16"
    )

    value: float | None = None
    """The constant; minus infinity if omitted, for which a softmax returns 0."""

    positional = 0

    def infer(self, *xs: Shape) -> Shape:
        require(len(xs) == 2, f"masked_fill takes values and a mask, not {len(xs)} inputs", "wrong-arity")
        x, mask = xs
        require(
            tuple(self.joined(x, mask)) == tuple(x),
            f"a mask of shape {mask} does not match an input of shape {x}",
            "branches-disagree",
        )
        return x

    def torch_expr(self, *xs: str) -> str:
        x, mask = xs
        return f"{x}.masked_fill({mask}, {literal(-inf) if self.value is None else whole(self.value)})"


class Function(Activation):
    """An elementwise function that calls a PyTorch function."""

    takes_raw = True

    def torch_module(self, x: Shape) -> None:
        return None

    def torch_expr(self, x: str) -> str:
        return f"{self.function}({x})"


class Equal(Function, keyword="equal"):
    """A mask that is true where an element equals a number."""

    example = "4x16x16; seen: buffer(1x16x16, init=ones); equal(0) <- seen; masked_fill(in, equal) -> 4x16x16"

    value: float
    """The number."""

    value_cost = Cost(comparisons=1)

    def torch_expr(self, x: str) -> str:
        return f"({x} == {whole(self.value)})"


class Exp(Function, keyword="exp"):
    """The exponential function."""

    example = "64x8x8; exp -> 64x8x8"

    function, value_cost = "torch.exp", Cost(exponentials=1)


class Sqrt(Function, keyword="sqrt"):
    """The square root."""

    example = "64x8x8; exp; sqrt -> 64x8x8"

    function, value_cost = "torch.sqrt", Cost(exponentials=1)


class Abs(Function, keyword="abs"):
    """The absolute value."""

    example = "64x8x8; abs -> 64x8x8"

    function, value_cost = "torch.abs", Cost(comparisons=1)


class Sin(Function, keyword="sin"):
    """The sine."""

    example = "196x64; sin -> 196x64"

    function, value_cost = "torch.sin", Cost(exponentials=1)


class Cos(Function, keyword="cos"):
    """The cosine."""

    example = "196x64; cos -> 196x64"

    function, value_cost = "torch.cos", Cost(exponentials=1)


class Log(Function, keyword="log"):
    """The natural logarithm."""

    example = "64x8x8; exp; log -> 64x8x8"

    function, value_cost = "torch.log", Cost(exponentials=1)


class Erf(Function, keyword="erf"):
    """The error function, which the GELU uses."""

    example = "197x768; erf -> 197x768"

    function, value_cost = "torch.erf", Cost(exponentials=1)


class Mish(Activation, keyword="mish"):
    """x * tanh(softplus(x)) (Misra, 2020)."""

    example = "64x8x8; mish -> 64x8x8"

    function, value_cost, in_place = "nn.Mish", Cost(multiplications=1, exponentials=3), True


class Softsign(Activation, keyword="softsign"):
    """x / (1 + |x|)."""

    example = "100; softsign -> 100"

    function, value_cost = "nn.Softsign", Cost(additions=1, divisions=1)


class Glu(Op, keyword="glu"):
    """The first half of an axis times the sigmoid of the second (Dauphin et al., 2017)."""

    example = "128x100; glu(0) -> 64x100"

    axis: int = -1
    """The axis that is halved."""

    kind = "activation"

    def infer(self, x: Shape) -> Shape:
        at = axis_of(self.axis, x)
        require(x[at] % 2 == 0, f"glu halves an axis, but axis {self.axis} of {x} has an odd size")
        return type(x)(n // 2 if k == at else n for k, n in enumerate(x))

    def cost(self, x: Shape, *, y: Shape) -> Cost:
        count = y.numbers
        return Cost(multiplications=count, additions=count, divisions=count, exponentials=count)

    def torch_module(self, x: Shape) -> Code:
        return code("nn.GLU", dim=(torch_axis(self.axis), -1))


class Pow(Function, keyword="pow"):
    """Raise each element to a constant power."""

    example = "64x8x8; pow(2) -> 64x8x8"

    exponent: float
    """The exponent."""

    value_cost = Cost(exponentials=1)

    def torch_expr(self, x: str) -> str:
        return f"torch.pow({x}, {whole(self.exponent)})"


class Clamp(Function, keyword="clamp"):
    """Limit each element to the range from `min` to `max`."""

    example = "64x8x8; clamp(min=0, max=1) -> 64x8x8"

    min: float | None = None
    """The lower bound; none if omitted."""
    max: float | None = None
    """The upper bound; none if omitted."""

    positional = 0
    value_cost = Cost(comparisons=2)

    def check_arguments(self) -> None:
        require(self.min is not None or self.max is not None, "clamp needs `min`, `max` or both")

    def infer(self, x: Shape) -> Shape:
        self.check_arguments()
        return x

    def torch_expr(self, x: str) -> str:
        bounds = {"min": self.min, "max": self.max}
        given = [f"{name}={whole(value)}" for name, value in bounds.items() if value is not None]
        return f"torch.clamp({x}, {', '.join(given)})"


class Scale(Rearranging, keyword="scale"):
    """Multiply all values by a constant and add another: `factor * x + offset`."""

    example = "64x8x8; scale(0.5, offset=1) -> 64x8x8"

    factor: float = 1.0
    """The factor."""
    offset: float = 0.0
    """The number added after the multiplication."""

    kind = "activation"

    def infer(self, x: Shape) -> Shape:
        return x

    def cost(self, x: Shape, *, y: Shape) -> Cost:
        return Cost(multiplications=x.numbers * (self.factor != 1), additions=x.numbers * (self.offset != 0))

    def torch_expr(self, x: str) -> str:
        text = x if self.factor == 1 and self.offset else f"{x} * {whole(self.factor)}"
        if not self.offset:
            return text
        return f"{text} {'+' if self.offset > 0 else '-'} {whole(abs(self.offset))}"


def whole(value: float) -> str:
    """Return a number as a Python literal; integers have no decimal point."""
    return (
        str(int(value))
        if isfinite(value) and value == int(value) and abs(value) < 1e15
        else literal(float(value))
    )


def literal(value: float) -> str:
    """Return a number as a Python literal, or a call of `float` for infinity."""
    return repr(value) if isfinite(value) else f'float("{value}")'
