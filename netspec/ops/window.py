"""Convolutions and transposed convolutions."""

from __future__ import annotations

from collections.abc import Iterator
from math import gcd, prod

from netspec.ops.arguments import Pads, Positive, Sizes, fit, like, require_spatial
from netspec.ops.base import Code, Reach, Tensor, code, last_two
from netspec.ops.start import Init, Weighted
from netspec.ops.variants import LIKELY, Variant, change, other_paddings, other_sizes
from netspec.shape import Axis, Cost, Shape, ShapeError, require, slide


def windows(
    x: Shape, kernel: Sizes, stride: Sizes, padding: Pads, dilation: Sizes = (1, 1), ceil: bool = False
) -> tuple[Axis, ...]:
    """Return the sliding window of each axis of a signal, an image or a video."""
    named = {"kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation}
    sizes = [fit(given, len(x.spatial), name) for name, given in named.items()]
    return tuple(Axis(n, k, s, p, d, ceil) for n, k, s, p, d in zip(x.spatial, *sizes, strict=True))


def dimensions(x: Shape) -> str:
    """Return the suffix of PyTorch's class name, such as `2d`."""
    return f"{len(x.spatial)}d"


class Conv(Weighted, keyword="conv"):
    """A convolution of an image, a signal or a video.

    The input is channels x length, channels x height x width, or channels x depth x height x width.
    """

    example = "3x227x227; conv(96, kernel=11, stride=4) -> 96x55x55"

    channels: Positive
    """Number of output channels."""
    kernel: Sizes
    """Size of the window; one number, or one for each axis as in `3x5` (height x width)."""
    stride: Sizes = (1, 1)
    """Step of the window in pixels; one number, or one for each axis as in `2x1`."""
    padding: Pads = (0, 0)
    """Zeros added on each side of the image; at stride 1, `(kernel - 1) / 2` keeps the size."""
    dilation: Sizes = (1, 1)
    groups: Positive = 1
    bias: bool = True
    init: Init | None = None
    bias_init: Init | None = None

    kind = "conv"
    new_memory = True

    def axes(self, x: Shape) -> tuple[Axis, ...]:
        return windows(x, self.kernel, self.stride, self.padding, self.dilation)

    def variants(self, x: Shape) -> Iterator[Variant]:
        yield from other_paddings(self, self.axes(x)[0], self.padding)
        yield from other_sizes(self, self.kernel, self.stride, (3, 5, 7, 11))

    def check_arguments(self) -> None:
        require_groups(self.channels, "output", self.groups, self.channels)

    def infer(self, x: Shape) -> Shape:
        require_spatial(x, "conv")
        require_groups(x.channels, "input", self.groups, gcd(x.channels, self.channels))
        require_groups(self.channels, "output", self.groups, gcd(x.channels, self.channels))
        return like(x, self.channels, slide(self.axes(x), "kernel"))

    def tensors(self, x: Shape) -> tuple[Tensor, ...]:
        kernel = (a.kernel for a in self.axes(x))
        weight = Tensor("weight", (self.channels, x.channels // self.groups, *kernel))
        return (weight, Tensor("bias", (self.channels,))) if self.bias else (weight,)

    def cost(self, x: Shape, *, y: Shape) -> Cost:
        per_output = x.channels // self.groups * prod(a.kernel for a in self.axes(x))
        return Cost(macs=per_output * y.numbers, additions=self.bias * y.numbers)

    def torch_module(self, x: Shape) -> Code:
        options = {"stride": (self.stride, 1), "padding": (self.padding, 0), "dilation": (self.dilation, 1)}
        rest = {"groups": (self.groups, 1), "bias": (self.bias, True)}
        return code(f"nn.Conv{dimensions(x)}", x.channels, self.channels, self.kernel, **options, **rest)


def require_groups(channels: int, which: str, groups: int, both: int) -> None:
    """Raise `ShapeError` unless `groups` divides `channels`; its help suggests divisors of `both`."""
    if channels % groups == 0:
        return
    below = next((g for g in range(min(groups, both), 0, -1) if both % g == 0), 1)
    above = (g for g in range(groups + 1, min(both, groups + 1000) + 1) if both % g == 0)
    fits = " or ".join(f"groups={g}" for g in (below, next(above, None)) if g)
    fact = f"{channels} {which} channels cannot be divided into {groups} groups"
    raise ShapeError(fact, "indivisible-groups", help=f"{fits} would divide the channels of input and output")


class Deconv(Weighted, keyword="deconv"):
    """A transposed convolution; it enlarges an image, a signal or a video."""

    example = "256x14x14; deconv(128, kernel=2, stride=2) -> 128x28x28"

    channels: Positive
    """Number of output channels."""
    kernel: Sizes
    """Size of the window; one number, or one for each axis as in `3x5` (height x width)."""
    stride: Sizes = (1, 1)
    """Factor by which the image is enlarged; one number, or one for each axis as in `2x1`."""
    padding: Pads = (0, 0)
    """Pixels removed from each side of the output."""
    output_padding: Pads = (0, 0)
    """Pixels added at the bottom and right of the output; must be less than the stride or the dilation."""
    dilation: Sizes = (1, 1)
    groups: Positive = 1
    bias: bool = True
    init: Init | None = None
    bias_init: Init | None = None

    kind = "conv"
    new_memory = True

    def variants(self, x: Shape) -> Iterator[Variant]:
        for extra in range(max(*self.stride, *self.dilation)):
            if (extra, extra) != self.output_padding:
                yield change(self, 0, "output_padding", extra)
        for padding in range(min(*self.kernel, LIKELY)):
            if (padding, padding) != self.padding:
                yield change(self, 2, "padding", padding)
        yield from other_sizes(self, self.kernel, self.stride, (2, 3, 4, 5))

    def check_arguments(self) -> None:
        require_groups(self.channels, "output", self.groups, self.channels)

    def infer(self, x: Shape) -> Shape:
        require_spatial(x, "deconv")
        require_groups(x.channels, "input", self.groups, gcd(x.channels, self.channels))
        require_groups(self.channels, "output", self.groups, gcd(x.channels, self.channels))
        for _, _, stride, _, extra, dilation in self.windows(x):
            limit = max(stride, dilation)
            require(
                extra < limit,
                f"`output_padding` must be less than {limit}, the larger of stride and dilation, not {extra}",
            )
        sizes = tuple(total for total, _ in self.sums(x))
        require(min(sizes) > 0, f"the output would be empty: {self.sums(x)[0][1]}", "empty-output")
        return like(x, self.channels, sizes)

    def windows(self, x: Shape) -> list[tuple[int, ...]]:
        """Return size, kernel, stride, padding, output padding and dilation along each axis."""
        names = ("kernel", "stride", "padding", "output_padding", "dilation")
        sizes = (fit(getattr(self, name), len(x.spatial), name) for name in names)
        return list(zip(x.spatial, *sizes, strict=True))

    def sums(self, x: Shape) -> list[tuple[int, str]]:
        """Return the sizes of the output, each with the arithmetic that computes it."""
        sums = []
        for size, kernel, stride, padding, extra, dilation in self.windows(x):
            reach = dilation * (kernel - 1) + 1
            total = (size - 1) * stride - 2 * padding + reach + extra
            sums.append((total, f"({size} - 1)*{stride} - 2*{padding} + {reach} + {extra} = {total}"))
        return sums

    def explain(self, x: Shape, *, y: Shape) -> tuple[str, ...]:
        return tuple(dict.fromkeys(text for _, text in self.sums(x)))

    def tensors(self, x: Shape) -> tuple[Tensor, ...]:
        kernel = (size for _, size, *_ in self.windows(x))
        weight = Tensor("weight", (x.channels, self.channels // self.groups, *kernel))
        return (weight, Tensor("bias", (self.channels,))) if self.bias else (weight,)

    def cost(self, x: Shape, *, y: Shape) -> Cost:
        macs = x.numbers * (self.channels // self.groups) * prod(k for _, k, *_ in self.windows(x))
        return Cost(macs=macs, additions=self.bias * y.numbers)

    def reach(self, x: Shape) -> tuple[Reach, Reach]:
        return last_two((-(-((k - 1) * d + 1) // s), 1, 0) for _, k, s, _, _, d in self.windows(x))

    def torch_module(self, x: Shape) -> Code:
        options = {
            "stride": (self.stride, 1),
            "padding": (self.padding, 0),
            "output_padding": (self.output_padding, 0),
        }
        rest = {"groups": (self.groups, 1), "bias": (self.bias, True), "dilation": (self.dilation, 1)}
        return code(
            f"nn.ConvTranspose{dimensions(x)}", x.channels, self.channels, self.kernel, **options, **rest
        )
