"""Pooling."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from pydantic import Field

from netspec.ops.arguments import Pads, Sizes, fit, like, require_spatial
from netspec.ops.base import Code, Op, Reach, code, last_two
from netspec.ops.variants import Variant, change, other_paddings, other_sizes
from netspec.ops.window import dimensions, windows
from netspec.shape import Axis, Cost, Shape, require, slide


class Pool(Op):
    """Reduce the values in each window to a single value."""

    kernel: Sizes
    """Size of the window; one number, or one for each axis as in `3x5` (height x width)."""
    stride: Sizes | None = None
    """Step of the window; by default, the size of the kernel."""
    padding: Pads = (0, 0)
    """Pixels added on each side of the image; at most half of the kernel."""
    ceil: bool = False
    """Whether to keep an incomplete window at the end; the output size is then rounded up."""

    kind = "pool"

    def axes(self, x: Shape) -> tuple[Axis, ...]:
        return windows(x, self.kernel, self.stride or self.kernel, self.padding, ceil=self.ceil)

    def variants(self, x: Shape) -> Iterator[Variant]:
        yield from other_paddings(self, self.axes(x)[0], self.padding)
        yield change(self, 1, "ceil", not self.ceil)
        yield from other_sizes(self, self.kernel, self.stride or self.kernel, (2, 3, 5, 7))

    def infer(self, x: Shape) -> Shape:
        require_spatial(x, self.keyword)
        for axis in self.axes(x):
            limit = f"`padding` must be at most {axis.kernel // 2}, half of the kernel, not {axis.padding}"
            fact = f"{limit}; otherwise a window could contain only padding"
            require(axis.padding <= axis.kernel // 2, fact, "argument-range")
        return like(x, x.channels, slide(self.axes(x), "window"))

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
        return Cost(comparisons=y.numbers * prod(a.kernel for a in self.axes(x)))

    def torch_module(self, x: Shape) -> Code:
        return code(f"nn.MaxPool{dimensions(x)}", self.kernel, **self.options())


class AvgPool(Pool, keyword="avgpool"):
    """The average of each window."""

    example = "64x56x56; avgpool(2) -> 64x28x28"

    count_padding: bool = True
    """Whether the average includes the padding, counted as zeros."""

    def cost(self, x: Shape, *, y: Shape) -> Cost:
        window = prod(a.kernel for a in self.axes(x))
        return Cost(additions=y.numbers * window, divisions=y.numbers)

    def torch_module(self, x: Shape) -> Code:
        return code(
            f"nn.AvgPool{dimensions(x)}",
            self.kernel,
            **self.options(),
            count_include_pad=(self.count_padding, True),
        )


class Adaptive(Op):
    """Pooling to a given size, whatever the size of the input."""

    size: Sizes = Field(...)
    """Size of the output; one number, or one for each axis as in `7x1` (height x width)."""

    kind = "pool"

    def infer(self, x: Shape) -> Shape:
        require_spatial(x, self.keyword)
        return like(x, x.channels, fit(self.size, len(x.spatial), "size"))

    def reach(self, x: Shape) -> tuple[Reach, Reach] | None:
        """Return the window for the receptive field, or None if it is the whole image or windows overlap."""
        pairs = list(zip(x.spatial, fit(self.size, len(x.spatial), "size"), strict=True))
        if any(size % out for size, out in pairs) or set(self.size) == {1}:
            return None
        return last_two((size // out, size // out, 0) for size, out in pairs)


class AdaptiveAvgPool(Adaptive, keyword="adaptive_avgpool"):
    """Average pooling to a given size."""

    example = "512x7x7; adaptive_avgpool(1) -> 512x1x1"

    def cost(self, x: Shape, *, y: Shape) -> Cost:
        return Cost(additions=x.numbers, divisions=y.numbers)

    def torch_module(self, x: Shape) -> Code:
        return code(f"nn.AdaptiveAvgPool{dimensions(x)}", self.size)


class AdaptiveMaxPool(Adaptive, keyword="adaptive_maxpool"):
    """Maximum pooling to a given size."""

    example = "512x14x14; adaptive_maxpool(7) -> 512x7x7"

    def cost(self, x: Shape, *, y: Shape) -> Cost:
        return Cost(comparisons=x.numbers)

    def torch_module(self, x: Shape) -> Code:
        return code(f"nn.AdaptiveMaxPool{dimensions(x)}", self.size)
