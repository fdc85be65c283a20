"""Normalization and dropout."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from netspec.ops.arguments import Positive, Share, require_image, require_spatial
from netspec.ops.base import Code, Op, Tensor, code
from netspec.ops.start import Init, Weighted
from netspec.shape import Axis, Cost, Free, Shape, Signal, has_channels, is_image, require

Small = Annotated[float, Field(gt=0, le=1)]


class BatchNorm(Weighted, keyword="batchnorm"):
    """Normalize each channel over the batch, then scale and shift it (Ioffe and Szegedy, 2015)."""

    example = "64x112x112; batchnorm(momentum=0.01) -> 64x112x112"

    positional = 0

    eps: Small = 1e-5
    momentum: Share = 0.1
    """Weight of the current batch in the running mean and variance."""
    affine: bool = True
    axis: Literal[0] | None = None
    """Axis of the channels: 0 for a signal. By default, the second of two axes is normalized as features."""
    init: Init | None = None
    bias_init: Init | None = None

    kind = "norm"
    new_memory = True

    def infer(self, x: Shape) -> Shape:
        require(
            len(x) <= 2 or has_channels(x),
            f"batchnorm takes an image, a signal, a video, tokens or features, but its input is {x.noun}",
        )
        return x

    def of_tokens(self, x: Shape) -> bool:
        """Return True if the features of tokens are normalized."""
        return len(x) == 2 and not isinstance(x, Signal) and self.axis is None

    def size(self, x: Shape) -> int:
        """Return the number of channels, or of features of a token."""
        return x.features if self.of_tokens(x) else x.channels

    def tensors(self, x: Shape) -> tuple[Tensor, ...]:
        size = (self.size(x),)
        learned = (Tensor("weight", size), Tensor("bias", size)) if self.affine else ()
        running = (Tensor("running_mean", size, False), Tensor("running_var", size, False))
        return (*learned, *running, Tensor("num_batches_tracked", (), False))

    def cost(self, x: Shape, *, y: Shape) -> Cost:
        return Cost(additions=x.numbers, divisions=x.numbers)

    def torch_module(self, x: Shape) -> Code:
        options = {"eps": (self.eps, 1e-5), "momentum": (self.momentum, 0.1), "affine": (self.affine, True)}
        return code(f"nn.BatchNorm{max(len(x) - 1, 1)}d", self.size(x), **options)

    def torch_call(self, module: str, x: Shape) -> str:
        return f"{module}({{}}.transpose(1, 2)).transpose(1, 2)" if self.of_tokens(x) else f"{module}({{}})"


class Lrn(Op, keyword="lrn"):
    """Local response normalization: divide by (k + alpha / size * sum of squares) ** beta.

    Krizhevsky et al. (2012, section 3.3) do not divide alpha by the size: their alpha = 1e-4 with n = 5 is
    `alpha=5e-4` here.
    """

    example = "96x55x55; lrn(5, alpha=5e-4) -> 96x55x55"

    size: Positive = 5
    """Number of channels in the sum; with `within=true`, the side of the square in pixels."""
    alpha: float = 1e-4
    """Factor by which the mean of the squares is multiplied."""
    beta: float = 0.75
    """Exponent of the divisor."""
    k: float = 1.0
    """Constant term of the divisor, added before exponentiation."""
    within: bool = False
    """Whether to sum over a square in the same channel instead of over channels, as Caffe can."""

    kind = "norm"

    def infer(self, x: Shape) -> Shape:
        require_image(x, "lrn")
        fact = f"`size` must be odd with `within=true`, not {self.size}"
        require(not self.within or self.size % 2 == 1, fact, "argument-range")
        return x

    def axes(self, x: Shape) -> tuple[Axis, ...]:
        return tuple(Axis(n, self.size, 1, self.size // 2) for n in x.hw) if self.within else ()

    def cost(self, x: Shape, *, y: Shape) -> Cost:
        window = self.size**2 if self.within else self.size
        return Cost(additions=x.numbers * window, divisions=x.numbers, exponentials=x.numbers)

    def torch_module(self, x: Shape) -> Code:
        options = {"alpha": (self.alpha, 1e-4), "beta": (self.beta, 0.75), "k": (self.k, 1.0)}
        return code("LrnWithin" if self.within else "nn.LocalResponseNorm", self.size, **options)


class LayerNorm(Weighted, keyword="layernorm"):
    """Normalize the features of each token, then scale and shift them (Ba, Kiros and Hinton, 2016).

    On an image, it normalizes the channels of each pixel, as ConvNeXt does (Liu et al., 2022).
    """

    example = "197x768; layernorm(eps=1e-6) -> 197x768"

    positional = 0

    eps: Small = 1e-5
    affine: bool = True
    bias: bool = True
    """Whether to add a learned bias; without it, there is only a scale."""
    init: Init | None = None
    bias_init: Init | None = None

    kind = "norm"
    takes_raw = True

    def infer(self, x: Shape) -> Shape:
        fact = f"layernorm takes an image, tokens or features, but its input is {x.noun}"
        help = "`permute([1, 0])` turns a signal into tokens"
        require(not isinstance(x, Signal), fact, help=help)
        return x

    def size(self, x: Shape) -> int:
        """Return the number of elements that are normalized together."""
        return x.channels if self.over_channels(x) else x.features

    def over_channels(self, x: Shape) -> bool:
        """Return True if the channels of each pixel are normalized, instead of the last axis."""
        return is_image(x) and not isinstance(x, Free)

    def tensors(self, x: Shape) -> tuple[Tensor, ...]:
        names = ("weight", "bias") if self.bias else ("weight",)
        return tuple(Tensor(name, (self.size(x),)) for name in names) if self.affine else ()

    def cost(self, x: Shape, *, y: Shape) -> Cost:
        return Cost(additions=2 * x.numbers, divisions=x.numbers)

    def torch_module(self, x: Shape) -> Code:
        function = "LayerNorm2d" if self.over_channels(x) else "nn.LayerNorm"
        options = {"elementwise_affine": (self.affine, True), "bias": (self.bias, True)}
        return code(function, self.size(x), eps=(self.eps, 1e-5), **options)


class RmsNorm(Weighted, keyword="rmsnorm"):
    """Divide features by their root mean square, then scale them (Zhang and Sennrich, 2019)."""

    example = "197x768; rmsnorm(eps=1e-6) -> 197x768"

    positional = 0

    eps: Small | None = None
    """Added to the mean square to avoid division by zero; the dtype's machine epsilon if omitted."""
    affine: bool = True
    init: Init | None = None

    kind = "norm"

    def infer(self, x: Shape) -> Shape:
        return x

    def tensors(self, x: Shape) -> tuple[Tensor, ...]:
        return (Tensor("weight", (x.features,)),) if self.affine else ()

    def cost(self, x: Shape, *, y: Shape) -> Cost:
        return Cost(multiplications=x.numbers, additions=x.numbers, divisions=x.numbers)

    def torch_module(self, x: Shape) -> Code:
        return code("nn.RMSNorm", x.features, eps=(self.eps, None), elementwise_affine=(self.affine, True))


class GroupNorm(Weighted, keyword="groupnorm"):
    """Normalize each group of channels, then scale and shift them (Wu and He, 2018)."""

    example = "64x56x56; groupnorm(32) -> 64x56x56"

    groups: Positive
    """Number of groups; it must divide the channels."""
    eps: Small = 1e-5
    affine: bool = True
    init: Init | None = None
    bias_init: Init | None = None

    kind = "norm"

    def infer(self, x: Shape) -> Shape:
        fact = f"{x.channels} channels cannot be divided into {self.groups} groups"
        require(x.channels % self.groups == 0, fact, "indivisible-groups")
        require_spatial(x, "groupnorm")
        return x

    def tensors(self, x: Shape) -> tuple[Tensor, ...]:
        return (Tensor("weight", (x.channels,)), Tensor("bias", (x.channels,))) if self.affine else ()

    def cost(self, x: Shape, *, y: Shape) -> Cost:
        return Cost(additions=2 * x.numbers, divisions=x.numbers)

    def torch_module(self, x: Shape) -> Code:
        return code("nn.GroupNorm", self.groups, x.channels, eps=(self.eps, 1e-5), affine=(self.affine, True))


class Dropout(Op, keyword="dropout"):
    """Set random values to zero in training and scale up the rest (Hinton et al., 2012)."""

    example = "4096; dropout(0.5) -> 4096"

    p: Share = 0.5
    """Probability of setting a value to zero in training."""

    kind = "dropout"
    takes_raw = True

    def infer(self, x: Shape) -> Shape:
        return x

    def torch_module(self, x: Shape) -> Code:
        return code("nn.Dropout", self.p)


class Dropout2d(Op, keyword="dropout2d"):
    """Set random channels to zero in training and scale up the rest (Tompson et al., 2015)."""

    example = "64x8x8; dropout2d(0.1) -> 64x8x8"

    p: Share = 0.5
    """Probability of setting a channel to zero in training."""

    kind = "dropout"

    def infer(self, x: Shape) -> Shape:
        require_spatial(x, "dropout2d")
        return x

    def torch_module(self, x: Shape) -> Code:
        return code(f"nn.Dropout{len(x.spatial)}d", self.p)


class StochasticDepth(Op, keyword="stochastic_depth"):
    """Set a residual branch to zero for random images in training (Huang et al., 2016).

    For the other images, the branch is scaled up.
    """

    example = "64x56x56; add { identity; { conv(64, 3, padding=1); stochastic_depth(0.2) } } -> 64x56x56"

    p: Share
    """Probability with which the branch is set to zero for an image."""

    kind = "dropout"

    def infer(self, x: Shape) -> Shape:
        return x

    def torch_module(self, x: Shape) -> Code:
        return code("StochasticDepth", self.p)
