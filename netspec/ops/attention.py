"""Attention over all tokens or inside windows."""

from __future__ import annotations

from dataclasses import replace
from math import isqrt, prod
from typing import Annotated, ClassVar

from pydantic import Field

from netspec.language.values import Call
from netspec.ops.arguments import Pads, Positive, Share, Sizes, fit
from netspec.ops.base import Code, Reach, Tensor, code
from netspec.ops.layout import require_channels_last
from netspec.ops.start import Init, Weighted
from netspec.shape import Cost, Shape, require


def matmuls(tokens: int, keys: int, features: int) -> Cost:
    """Return the cost of self-attention: four projections per token, and two products with the keys."""
    return Cost(macs=tokens * (4 * features**2 + 2 * keys * features), additions=4 * tokens * features)


class Attends(Weighted):
    """Self-attention with `heads` heads (Vaswani et al., 2017, section 3.2)."""

    heads: Positive
    init: Init | None = None
    bias_init: Init | None = None

    kind = "attention"

    def require_heads(self, x: Shape) -> None:
        fact = f"{x.features} features cannot be divided into {self.heads} heads"
        require(x.features % self.heads == 0, fact, "indivisible-heads")

    def projections(self, qkv: str, out: str, features: int) -> tuple[Tensor, ...]:
        """Return the weights and biases of the projections."""
        return (
            Tensor(f"{qkv}.weight", (3 * features, features)),
            Tensor(f"{qkv}.bias", (3 * features,)),
            Tensor(f"{out}.weight", (features, features)),
            Tensor(f"{out}.bias", (features,)),
        )

    def starts(self) -> dict[str, Call]:
        given = {"weight": self.init, "bias": self.bias_init}
        return {
            f"{layer}.{name}": call
            for layer in self.inner_linears
            for name, call in given.items()
            if call is not None
        }


class Attention(Attends, keyword="attention"):
    """Multi-head self-attention over all tokens, as in nn.MultiheadAttention."""

    example = "197x768; attention(12, dropout=0.1) -> 197x768"

    heads: Positive
    dropout: Share = 0.0
    """Probability with which an attention weight is set to zero in training."""

    inner_linears = ("out_proj",)

    def infer(self, x: Shape) -> Shape:
        require(len(x) == 2, f"attention takes tokens x features, but its input is {x.noun}")
        self.require_heads(x)
        return x

    def tensors(self, x: Shape) -> tuple[Tensor, ...]:
        weight, bias, *out = self.projections("in_proj", "out_proj", x.features)
        return Tensor("in_proj_weight", weight.shape), Tensor("in_proj_bias", bias.shape), *out

    def cost(self, x: Shape, *, y: Shape) -> Cost:
        return matmuls(x.tokens, x.tokens, x.features)

    def reach(self, x: Shape) -> tuple[Reach, Reach] | None:
        return None

    def starts(self) -> dict[str, Call]:
        given = {"weight": self.init, "bias": self.bias_init}
        return {f"{t}{n}": c for t in ("in_proj_", "out_proj.") for n, c in given.items() if c is not None}

    def torch_module(self, x: Shape) -> Code:
        options = {"dropout": (self.dropout, 0.0), "batch_first": (True, False)}
        return code("nn.MultiheadAttention", x.features, self.heads, **options)

    def torch_call(self, module: str, x: Shape) -> str:
        return f"{module}({{}}, {{}}, {{}}, need_weights=False)[0]"


class WindowAttention(Attends, keyword="window_attention"):
    """Self-attention in shifted windows (Liu et al., 2021, section 3.2).

    The input is height x width x features. Each relative position of two tokens has a learned bias.
    """

    example = "3x56x56; channels_last; window_attention(3, window=7, shift=3) -> 56x56x3"

    heads: Positive
    window: Annotated[int, Field(ge=2)] = 7
    """Side of a window in pixels; the image is padded to a multiple of it."""
    shift: Annotated[int, Field(ge=0)] = 0
    """Pixels by which the windows are shifted; must be less than `window`."""

    inner_linears: ClassVar[tuple[str, ...]] = ("qkv", "proj")

    def infer(self, x: Shape) -> Shape:
        require_channels_last(x, self.keyword)
        self.require_heads(x)
        fact = f"`shift` must be less than `window`: {self.shift} is not less than {self.window}"
        require(self.shift < self.window, fact, "argument-range")
        return x

    def tensors(self, x: Shape) -> tuple[Tensor, ...]:
        table = Tensor("relative_position_bias_table", ((2 * self.window - 1) ** 2, self.heads))
        index = Tensor("relative_position_index", (self.window**4,), trainable=False)
        return table, index, *self.projections("qkv", "proj", x.features)

    def cost(self, x: Shape, *, y: Shape) -> Cost:
        padded = [-(-n // self.window) * self.window for n in x.hw]
        return matmuls(padded[0] * padded[1], self.window**2, x.features)

    def reach(self, x: Shape) -> tuple[Reach, Reach]:
        return (self.window, 1, 0), (self.window, 1, 0)

    def torch_module(self, x: Shape) -> Code:
        return code("WindowAttention", x.features, self.heads, self.window, self.shift)


class CosineWindowAttention(WindowAttention, keyword="cosine_window_attention"):
    """Window attention with cosine similarity (Liu et al., 2022).

    A small network computes the biases from the relative positions.
    """

    example = "3x64x64; channels_last; cosine_window_attention(3, window=8) -> 64x64x3"

    inner_linears: ClassVar[tuple[str, ...]] = ("qkv", "proj", "cpb_mlp.0", "cpb_mlp.2")

    def tensors(self, x: Shape) -> tuple[Tensor, ...]:
        side = 2 * self.window - 1
        return (
            Tensor("logit_scale", (self.heads, 1, 1)),
            Tensor("relative_coords_table", (1, side, side, 2), trainable=False),
            Tensor("relative_position_index", (self.window**4,), trainable=False),
            *self.projections("qkv", "proj", x.features),
            Tensor("cpb_mlp.0.weight", (512, 2)),
            Tensor("cpb_mlp.0.bias", (512,)),
            Tensor("cpb_mlp.2.weight", (self.heads, 512)),
        )

    def cost(self, x: Shape, *, y: Shape) -> Cost:
        offsets = (2 * self.window - 1) ** 2
        table = Cost(macs=offsets * 512 * (2 + self.heads))
        return Cost.sum([super().cost(x, y=y), table])

    def starts(self) -> dict[str, Call]:
        return {name: call for name, call in super().starts().items() if name != "cpb_mlp.2.bias"}

    def torch_module(self, x: Shape) -> Code:
        return code("CosineWindowAttention", x.features, self.heads, self.window, self.shift)


class VideoWindowAttention(Attends, keyword="video_window_attention"):
    """Self-attention in shifted windows of a video (Liu et al., 2022, Video Swin Transformer).

    The input is depth x height x width x features. Along an axis that is not longer than its window, there
    is no shift. Each relative position of two tokens has a learned bias.
    """

    example = "48x8x14x14; permute([1, 2, 3, 0]); video_window_attention(3, window=4x7x7) -> 8x14x14x48"

    heads: Positive
    window: Sizes = (8, 7, 7)
    """Size of a window; the video is padded to multiples of it."""
    shift: Pads = (0, 0, 0)
    """Distance along each axis by which the windows are shifted; must be less than `window`."""

    inner_linears: ClassVar[tuple[str, ...]] = ("qkv", "proj")

    def infer(self, x: Shape) -> Shape:
        fact = f"video_window_attention takes depth x height x width x features, but its input is {x.noun}"
        require(len(x) == 4, fact)
        self.require_heads(x)
        for size, shift in zip(self.sizes("window"), self.sizes("shift"), strict=True):
            fact = f"`shift` must be less than `window`: {shift} is not less than {size}"
            require(shift < size, fact, "argument-range")
        return x

    def sizes(self, name: str) -> tuple[int, ...]:
        """Return an argument as three integers."""
        return fit(getattr(self, name), 3, name)

    def tensors(self, x: Shape) -> tuple[Tensor, ...]:
        window = self.sizes("window")
        offsets, places = prod(2 * n - 1 for n in window), prod(window)
        table = Tensor("relative_position_bias_table", (offsets, self.heads))
        index = Tensor("relative_position_index", (places, places), trainable=False)
        return table, index, *self.projections("qkv", "proj", x.features)

    def cost(self, x: Shape, *, y: Shape) -> Cost:
        window = [min(n, w) for n, w in zip(x, self.sizes("window"), strict=False)]
        padded = prod(-(-n // w) * w for n, w in zip(x, window, strict=False))
        return matmuls(padded, prod(window), x.features)

    def reach(self, x: Shape) -> tuple[Reach, Reach]:
        _, height, width = self.sizes("window")
        return (height, 1, 0), (width, 1, 0)

    def torch_module(self, x: Shape) -> Code:
        made = code("VideoWindowAttention", x.features, self.heads)
        return replace(made, args=(*made.args, self.sizes("window"), self.sizes("shift")))


class RelativeAttention(Attends, keyword="relative_attention"):
    """Self-attention in the windows of `partition` (Tu et al., 2022).

    Each relative position of two tokens has a learned bias.
    """

    example = "64x56x56; partition(7); relative_attention(2) -> 64x49x64"

    heads: Positive

    inner_linears = ("to_qkv", "merge")

    def infer(self, x: Shape) -> Shape:
        require_channels_last(x, "relative_attention")
        self.require_heads(x)
        require(
            self.size(x) ** 2 == x[1], f"the {x[1]} tokens of a window do not form a square", "argument-range"
        )
        return x

    def size(self, x: Shape) -> int:
        """Return the side of a window in pixels."""
        return isqrt(x[1])

    def tensors(self, x: Shape) -> tuple[Tensor, ...]:
        table = Tensor("relative_position_bias_table", ((2 * self.size(x) - 1) ** 2, self.heads))
        index = Tensor("relative_position_index", (x[1], x[1]), trainable=False)
        return table, index, *self.projections("to_qkv", "merge", x.features)

    def cost(self, x: Shape, *, y: Shape) -> Cost:
        return matmuls(x[0] * x[1], x[1], x.features)

    def reach(self, x: Shape) -> tuple[Reach, Reach] | None:
        return None

    def torch_module(self, x: Shape) -> Code:
        return code("RelativeAttention", x.features, self.heads, self.size(x))
