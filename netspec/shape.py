"""Shapes, operation counts, and the arithmetic of sliding windows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import NamedTuple

from netspec.errors import NetspecError


class ShapeError(NetspecError):
    """A layer does not accept its input. The message says why, but not where in the spec."""

    def __init__(
        self, message: str, code: str = "shape-mismatch", note: str | None = None, help: str | None = None
    ):
        super().__init__(message)
        self.message, self.code, self.note, self.help = message, code, note, help


def require(condition: bool, message: str, code: str = "shape-mismatch", help: str | None = None) -> None:
    """Raise `ShapeError` unless the condition is true."""
    if not condition:
        raise ShapeError(message, code, help=help)


MOST_AXES = 5
"""The maximum number of axes in a claimed shape."""


class Shape(tuple[int, ...]):
    """The shape of a tensor for one image, without the batch, such as `96x55x55`, `4096` or `197x768`.

    >>> x = Shape((96, 55, 55))
    >>> print(x, x.channels, x.hw, x.numbers)
    96x55x55 96 (55, 55) 290400
    """

    __slots__ = ()

    def __str__(self) -> str:
        return "x".join(map(str, self))

    @property
    def numbers(self) -> int:
        """The number of elements of a tensor of this shape."""
        return prod(self)

    @property
    def channels(self) -> int:
        return self[0]

    @property
    def depth(self) -> int:
        """The number of frames of a video."""
        return self[-3]

    @property
    def height(self) -> int:
        return self[-2]

    @property
    def width(self) -> int:
        return self[-1]

    @property
    def length(self) -> int:
        return self[-1]

    @property
    def hw(self) -> tuple[int, int]:
        return self[1], self[2]

    @property
    def spatial(self) -> tuple[int, ...]:
        """The sizes without the channels: length, height and width, or depth, height and width."""
        return tuple(self[1:])

    @property
    def tokens(self) -> int:
        return self[0]

    @property
    def features(self) -> int:
        return self[-1]

    @property
    def noun(self) -> str:
        """A description for messages: `4096 features`, `197 tokens of 768 features`, or an image's shape."""
        return {1: f"{self} features", 2: f"{self[0]} tokens of {self[-1]} features"}.get(
            len(self), f"{self}"
        )


class Grid(Shape):
    """An image with its channels last, such as `56x56x96`, or windows x tokens x features.

    >>> x = Grid((56, 56, 96))
    >>> print(x, x.channels, x.hw)
    56x56x96 96 (56, 56)
    """

    __slots__ = ()

    @property
    def channels(self) -> int:
        return self[2]

    @property
    def height(self) -> int:
        return self[0]

    @property
    def width(self) -> int:
        return self[1]

    @property
    def hw(self) -> tuple[int, int]:
        return self[0], self[1]

    @property
    def spatial(self) -> tuple[int, ...]:
        return tuple(self[:-1])

    @property
    def noun(self) -> str:
        return f"{self} (channels last)"


class Signal(Shape):
    """The shape of a signal, channels x length. Layers such as `conv` return it; inputs are plain shapes.

    >>> print(Signal((64, 8000)).noun)
    a signal of 64x8000 (channels x length)
    """

    __slots__ = ()

    @property
    def noun(self) -> str:
        return f"a signal of {self} (channels x length)"


class Free(Shape):
    """A tensor whose axes have no fixed meaning, as after `reshape`; each op interprets them itself."""

    __slots__ = ()


class Indices(Shape):
    """The shape of a tensor of integers that select entries of a table, such as the tokens of a text.

    >>> print(Indices((128,)).noun)
    128 indices
    """

    __slots__ = ()

    @property
    def noun(self) -> str:
        return f"{self} indices"


def is_image(x: Shape) -> bool:
    """Whether a shape is, or can be read as, channels x height x width."""
    return len(x) == 3 and not isinstance(x, Grid | Indices)


def has_channels(x: Shape) -> bool:
    """Whether the first axis is the channels of a signal, an image, or a volume such as a video."""
    return isinstance(x, Signal) or is_image(x) or len(x) == 4


ATTRIBUTES = {
    "channels": (1, 3, 4),
    "depth": (4,),
    "height": (3, 4),
    "width": (3, 4),
    "length": (),
    "features": (1, 2),
    "tokens": (2,),
    "numbers": (1, 2, 3, 4, 5),
}
"""The attributes of a shape that a spec can use, and the numbers of axes for which each exists."""
OF_SIGNALS = ("channels", "length", "numbers")
"""The attributes of a signal."""


def has_attribute(x: Shape, name: str) -> bool:
    """Whether a shape has one of the attributes that a spec can use."""
    return name in OF_SIGNALS if isinstance(x, Signal) else len(x) in ATTRIBUTES[name]


def axis_of(axis: int, x: Shape) -> int:
    """Return the non-negative index of an axis; raises `ShapeError` if the axis does not exist."""
    fact = f"there is no axis {axis}: the axes of {x} are 0 to {len(x) - 1}, or -1 to {-len(x)} from the last"
    require(-len(x) <= axis < len(x), fact, "argument-range")
    return axis % len(x)


def torch_axis(axis: int) -> int:
    """Return PyTorch's index of an axis; PyTorch counts the batch as axis 0."""
    return axis if axis < 0 else axis + 1


class Cost(NamedTuple):
    """Counts of operations for one image. `macs` counts only convolutions and matrix products."""

    macs: int = 0
    comparisons: int = 0
    additions: int = 0
    multiplications: int = 0
    divisions: int = 0
    exponentials: int = 0

    @classmethod
    def sum(cls, costs: Iterable[Cost]) -> Cost:
        """Return the sum of costs, separately for each kind of operation."""
        return cls(*map(sum, zip(*costs, strict=True)))


CONVENTION = (
    "multiply-accumulates of convolutions and matrix products, for one image; "
    "biases, norms and activations are not included"
)


@dataclass(frozen=True, slots=True)
class Axis:
    """A window that slides along one axis.

    >>> Axis(227, 11, stride=4).explain()
    '(227 + 2*0 - 11)/4 + 1 = 55'
    >>> Axis(224, 11, stride=4).explain()
    '(224 + 2*0 - 11)/4 + 1 = 54.25, rounded down to 54; 227 would give 55 exactly'
    """

    size: int
    kernel: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    ceil: bool = False

    @property
    def reach(self) -> int:
        """The extent of the window in pixels, including dilation."""
        return self.dilation * (self.kernel - 1) + 1

    @property
    def span(self) -> int:
        return self.size + 2 * self.padding - self.reach

    def positions(self) -> int:
        """Return the number of window positions.

        With `ceil`, the last window must start inside the image or its left padding, as in PyTorch.
        """
        if not self.ceil:
            return self.span // self.stride + 1
        count = -(-self.span // self.stride) + 1
        return count - 1 if (count - 1) * self.stride >= self.size + self.padding else count

    def explain(self) -> str:
        """Return the arithmetic of the number of positions, and note any rounding."""
        reach = f"{self.reach}" if self.dilation == 1 else f"({self.dilation}*{self.kernel - 1} + 1)"
        sum_ = f"({self.size} + 2*{self.padding} - {reach})/{self.stride} + 1 = "
        count, left = self.positions(), self.span % self.stride
        if not left:
            return sum_ + str(count)
        exact = self.span / self.stride + 1
        direction = "up" if count > exact else "down"
        rounded = sum_ + f"{exact:.4g}, rounded {direction} to {count}"
        if direction == "up":
            return rounded
        return rounded + f"; {self.size + self.stride - left} would give {count + 1} exactly"


def slide(axes: tuple[Axis, ...], what: str) -> tuple[int, ...]:
    """Return the number of window positions along each axis; `what` names the window in messages.

    Raises:
        ShapeError: the window is larger than the padded image.
    """
    names = ("length",) if len(axes) == 1 else ("depth", "height", "width")[-len(axes) :]
    for name, axis in zip(names, axes, strict=True):
        if axis.positions() < 1:
            padded = f"{axis.size} + 2*{axis.padding} = {axis.size + 2 * axis.padding}"
            message = f"the {what} spans {axis.reach} pixels, but the padded {name} is only {padded}"
            raise ShapeError(message, "empty-output", note=axis.explain().partition(",")[0])
    return tuple(axis.positions() for axis in axes)
