"""Convolution and pooling."""

from __future__ import annotations

from collections.abc import Iterator
from math import gcd, prod

from pydantic import Field

from netspec.ops.base import Code, Op, Pad, Pair, Positive, Reach, Tensor, code, require_image
from netspec.ops.start import Init, Weighted
from netspec.ops.variants import LIKELY, Variant, change, other_paddings, other_sizes
from netspec.shape import Axis, Cost, Shape, ShapeError, require, slide


def windows(
    x: Shape, kernel: Pair, stride: Pair, padding: Pad, dilation: Pair = (1, 1), ceil: bool = False
) -> tuple[Axis, ...]:
    """Return the sliding windows along height and width."""
    return tuple(Axis(*a, ceil) for a in zip(x.hw, kernel, stride, padding, dilation, strict=True))


class Conv(Weighted, keyword="conv"):
    """A 2-D convolution."""

    example = "3x227x227; conv(96, kernel=11, stride=4) -> 96x55x55"

    channels: Positive
    """Number of output channels."""
    kernel: Pair
    """Height and width of the window; one number, or two as in `3x5`."""
    stride: Pair = (1, 1)
    """Step of the window in pixels; one number, or two as in `2x1`."""
    padding: Pad = (0, 0)
    """Zeros added on each side of the image; at stride 1, `(kernel - 1) / 2` keeps the size."""
    dilation: Pair = (1, 1)
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
        require_image(x, "conv")
        require_groups(x.channels, "input", self.groups, gcd(x.channels, self.channels))
        require_groups(self.channels, "output", self.groups, gcd(x.channels, self.channels))
        return Shape((self.channels, *slide(self.axes(x), "kernel")))

    def tensors(self, x: Shape) -> tuple[Tensor, ...]:
        weight = Tensor("weight", (self.channels, x.channels // self.groups, *self.kernel))
        return (weight, Tensor("bias", (self.channels,))) if self.bias else (weight,)

    def cost(self, x: Shape, *, y: Shape) -> Cost:
        per_output = x.channels // self.groups * prod(self.kernel)
        return Cost(macs=per_output * y.numbers, additions=self.bias * y.numbers)

    def torch_module(self, x: Shape) -> Code:
        options = {"stride": (self.stride, 1), "padding": (self.padding, 0), "dilation": (self.dilation, 1)}
        rest = {"groups": (self.groups, 1), "bias": (self.bias, True)}
        return code("nn.Conv2d", x.channels, self.channels, self.kernel, **options, **rest)


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
    """A transposed 2-D convolution; it enlarges an image."""

    example = "256x14x14; deconv(128, kernel=2, stride=2) -> 128x28x28"

    channels: Positive
    """Number of output channels."""
    kernel: Pair
    """Height and width of the window; one number, or two as in `3x5`."""
    stride: Pair = (1, 1)
    """Factor by which the image is enlarged; one number, or two as in `2x1`."""
    padding: Pad = (0, 0)
    """Pixels removed from each side of the output."""
    output_padding: Pad = (0, 0)
    """Pixels added at the bottom and right of the output; must be less than the stride or the dilation."""
    dilation: Pair = (1, 1)
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
        require_image(x, "deconv")
        require_groups(x.channels, "input", self.groups, gcd(x.channels, self.channels))
        require_groups(self.channels, "output", self.groups, gcd(x.channels, self.channels))
        for extra, stride, dilation in zip(self.output_padding, self.stride, self.dilation, strict=True):
            limit = max(stride, dilation)
            require(
                extra < limit,
                f"`output_padding` must be less than {limit}, the stride or the dilation, not {extra}",
            )
        sizes = tuple(total for total, _ in self.sums(x))
        require(min(sizes) > 0, f"the output would be empty: {self.sums(x)[0][1]}", "empty-output")
        return Shape((self.channels, *sizes))

    def sums(self, x: Shape) -> list[tuple[int, str]]:
        """Return the height and width of the output, each with the arithmetic that computes it."""
        axes = zip(
            x.hw, self.kernel, self.stride, self.padding, self.output_padding, self.dilation, strict=True
        )
        sums = []
        for size, kernel, stride, padding, extra, dilation in axes:
            reach = dilation * (kernel - 1) + 1
            total = (size - 1) * stride - 2 * padding + reach + extra
            sums.append((total, f"({size} - 1)*{stride} - 2*{padding} + {reach} + {extra} = {total}"))
        return sums

    def explain(self, x: Shape, *, y: Shape) -> tuple[str, ...]:
        return tuple(dict.fromkeys(text for _, text in self.sums(x)))

    def tensors(self, x: Shape) -> tuple[Tensor, ...]:
        weight = Tensor("weight", (x.channels, self.channels // self.groups, *self.kernel))
        return (weight, Tensor("bias", (self.channels,))) if self.bias else (weight,)

    def cost(self, x: Shape, *, y: Shape) -> Cost:
        macs = x.numbers * (self.channels // self.groups) * prod(self.kernel)
        return Cost(macs=macs, additions=self.bias * y.numbers)

    def reach(self, x: Shape) -> tuple[Reach, Reach]:
        height, width = (
            -(-((k - 1) * d + 1) // s)
            for k, d, s in zip(self.kernel, self.dilation, self.stride, strict=True)
        )
        return (height, 1, 0), (width, 1, 0)

    def torch_module(self, x: Shape) -> Code:
        options = {
            "stride": (self.stride, 1),
            "padding": (self.padding, 0),
            "output_padding": (self.output_padding, 0),
        }
        rest = {"groups": (self.groups, 1), "bias": (self.bias, True), "dilation": (self.dilation, 1)}
        return code("nn.ConvTranspose2d", x.channels, self.channels, self.kernel, **options, **rest)


class Pool(Op):
    """Reduce the values in each window to a single one."""

    kernel: Pair
    """Height and width of the window; one number, or two as in `3x5`."""
    stride: Pair | None = None
    """Step of the window; by default, the size of the kernel."""
    padding: Pad = (0, 0)
    """Pixels added on each side of the image; at most half of the kernel."""
    ceil: bool = False
    """Whether to keep an incomplete window at the end, so that the output size is rounded up."""

    kind = "pool"

    def axes(self, x: Shape) -> tuple[Axis, ...]:
        return windows(x, self.kernel, self.stride or self.kernel, self.padding, ceil=self.ceil)

    def variants(self, x: Shape) -> Iterator[Variant]:
        yield from other_paddings(self, self.axes(x)[0], self.padding)
        yield change(self, 1, "ceil", not self.ceil)
        yield from other_sizes(self, self.kernel, self.stride or self.kernel, (2, 3, 5, 7))

    def infer(self, x: Shape) -> Shape:
        require_image(x, self.keyword)
        for pad, kernel in zip(self.padding, self.kernel, strict=True):
            limit = f"`padding` must be at most half of the kernel, {kernel // 2}, not {pad}"
            fact = f"{limit}, or a window could hold nothing but padding"
            require(pad <= kernel // 2, fact, "argument-range")
        return Shape((x.channels, *slide(self.axes(x), "window")))

    def options(self) -> dict[str, tuple[object, object]]:
        stride = self.stride or self.kernel
        return {
            "stride": (stride, self.kernel),
            "padding": (self.padding, 0),
            "ceil_mode": (self.ceil, False),
        }


class MaxPool(Pool, keyword="maxpool"):
    """The maximum of each window."""

    example = "96x55x55; maxpool(3, stride=2) -> 96x27x27"

    def cost(self, x: Shape, *, y: Shape) -> Cost:
        return Cost(comparisons=y.numbers * prod(self.kernel))

    def torch_module(self, x: Shape) -> Code:
        return code("nn.MaxPool2d", self.kernel, **self.options())


class AvgPool(Pool, keyword="avgpool"):
    """The average of each window."""

    example = "64x56x56; avgpool(2) -> 64x28x28"

    count_padding: bool = True
    """Whether the average includes the padding, counted as zeros."""

    def cost(self, x: Shape, *, y: Shape) -> Cost:
        return Cost(additions=y.numbers * prod(self.kernel), divisions=y.numbers)

    def torch_module(self, x: Shape) -> Code:
        return code(
            "nn.AvgPool2d", self.kernel, **self.options(), count_include_pad=(self.count_padding, True)
        )


class Adaptive(Op):
    """Pooling to a given height and width, whatever the size of the input."""

    size: Pair = Field(...)
    """Height and width of the output; one number, or two as in `7x1`."""

    kind = "pool"

    def infer(self, x: Shape) -> Shape:
        require_image(x, self.keyword)
        return Shape((x.channels, *self.size))

    def reach(self, x: Shape) -> tuple[Reach, Reach] | None:
        """Return the window for the receptive field; None if windows overlap or one covers the image."""
        if any(size % out for size, out in zip(x.hw, self.size, strict=True)) or self.size == (1, 1):
            return None
        height, width = ((size // out, size // out, 0) for size, out in zip(x.hw, self.size, strict=True))
        return height, width


class AdaptiveAvgPool(Adaptive, keyword="adaptive_avgpool"):
    """Average pooling to a given height and width."""

    example = "512x7x7; adaptive_avgpool(1) -> 512x1x1"

    def cost(self, x: Shape, *, y: Shape) -> Cost:
        return Cost(additions=x.numbers, divisions=y.numbers)

    def torch_module(self, x: Shape) -> Code:
        return code("nn.AdaptiveAvgPool2d", self.size)


class AdaptiveMaxPool(Adaptive, keyword="adaptive_maxpool"):
    """Maximum pooling to a given height and width."""

    example = "512x14x14; adaptive_maxpool(7) -> 512x7x7"

    def cost(self, x: Shape, *, y: Shape) -> Cost:
        return Cost(comparisons=x.numbers)

    def torch_module(self, x: Shape) -> Code:
        return code("nn.AdaptiveMaxPool2d", self.size)
