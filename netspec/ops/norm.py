"""Normalisation, and dropout beside it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from netspec.ops.base import Code, Op, Positive, Share, Tensor, code, require_image
from netspec.ops.start import Init, Weighted
from netspec.shape import Axis, Cost, Shape, is_image, require

Small = Annotated[float, Field(gt=0)]


class BatchNorm(Weighted, keyword="batchnorm"):
    """Normalise each channel over the batch, then scale and shift it (Ioffe and Szegedy, 2015)."""

    eps: Small = 1e-5
    momentum: Share = 0.1
    affine: bool = True
    init: Init | None = None
    bias_init: Init | None = None

    kind = "norm"
    new_memory = True

    def infer(self, x: Shape) -> Shape:
        require(
            len(x) == 1 or is_image(x), f"batchnorm takes an image or a feature vector, but {x.noun} arrive"
        )
        return x

    def tensors(self, x: Shape) -> tuple[Tensor, ...]:
        learned = (Tensor("weight", (x.channels,)), Tensor("bias", (x.channels,))) if self.affine else ()
        running = (Tensor("running_mean", (x.channels,), False), Tensor("running_var", (x.channels,), False))
        return (*learned, *running, Tensor("num_batches_tracked", (), False))

    def cost(self, x: Shape, *, y: Shape) -> Cost:
        return Cost(additions=x.numbers, divisions=x.numbers)

    def torch_module(self, x: Shape) -> Code:
        options = {"eps": (self.eps, 1e-5), "momentum": (self.momentum, 0.1), "affine": (self.affine, True)}
        return code("nn.BatchNorm2d" if len(x) == 3 else "nn.BatchNorm1d", x.channels, **options)


class Lrn(Op, keyword="lrn"):
    """Divide by the energy of `size` neighbouring channels, alpha divided by size.

    Krizhevsky et al., 2012, section 3.3, does not divide alpha: its alpha = 1e-4, n = 5 is `alpha=5e-4` here.
    With `within`, the neighbours are size x size pixels of the same channel, which divide alpha.
    """

    size: Positive = 5
    alpha: float = 1e-4
    beta: float = 0.75
    k: float = 1.0
    within: bool = False

    kind = "norm"

    def infer(self, x: Shape) -> Shape:
        require_image(x, "lrn")
        fact = f"an even window has no pixel in its middle: `size` must be odd, not {self.size}"
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
    """Normalise the features of each token, then scale and shift them (Ba, Kiros and Hinton, 2016).

    Of an image, the channels of each pixel, as ConvNeXt does (Liu et al., 2022).
    """

    eps: Small = 1e-5
    affine: bool = True
    init: Init | None = None
    bias_init: Init | None = None

    kind = "norm"

    def infer(self, x: Shape) -> Shape:
        return x

    def size(self, x: Shape) -> int:
        """How many numbers are normalised together."""
        return x.channels if is_image(x) else x.features

    def tensors(self, x: Shape) -> tuple[Tensor, ...]:
        return (Tensor("weight", (self.size(x),)), Tensor("bias", (self.size(x),))) if self.affine else ()

    def cost(self, x: Shape, *, y: Shape) -> Cost:
        return Cost(additions=2 * x.numbers, divisions=x.numbers)

    def torch_module(self, x: Shape) -> Code:
        function = "LayerNorm2d" if is_image(x) else "nn.LayerNorm"
        return code(function, self.size(x), eps=(self.eps, 1e-5), elementwise_affine=(self.affine, True))


class GroupNorm(Weighted, keyword="groupnorm"):
    """Normalise the channels of each of `groups` groups, then scale and shift them (Wu and He, 2018)."""

    groups: Positive
    eps: Small = 1e-5
    affine: bool = True
    init: Init | None = None
    bias_init: Init | None = None

    kind = "norm"

    def infer(self, x: Shape) -> Shape:
        fact = f"{x.channels} channels do not divide into {self.groups} groups"
        require(x.channels % self.groups == 0, fact, "indivisible-groups")
        require_image(x, "groupnorm")
        return x

    def tensors(self, x: Shape) -> tuple[Tensor, ...]:
        return (Tensor("weight", (x.channels,)), Tensor("bias", (x.channels,))) if self.affine else ()

    def cost(self, x: Shape, *, y: Shape) -> Cost:
        return Cost(additions=2 * x.numbers, divisions=x.numbers)

    def torch_module(self, x: Shape) -> Code:
        return code("nn.GroupNorm", self.groups, x.channels, eps=(self.eps, 1e-5), affine=(self.affine, True))


class Dropout(Op, keyword="dropout"):
    """Set a share `p` of the values to zero in training and scale up the rest (Hinton et al., 2012)."""

    p: Share = 0.5

    kind = "dropout"

    def infer(self, x: Shape) -> Shape:
        return x

    def torch_module(self, x: Shape) -> Code:
        return code("nn.Dropout", self.p)


class Dropout2d(Op, keyword="dropout2d"):
    """Set a share `p` of whole channels to zero in training and scale up the rest (Tompson et al., 2015)."""

    p: Share = 0.5

    kind = "dropout"

    def infer(self, x: Shape) -> Shape:
        require_image(x, "dropout2d")
        return x

    def torch_module(self, x: Shape) -> Code:
        return code("nn.Dropout2d", self.p)


class StochasticDepth(Op, keyword="stochastic_depth"):
    """Drop a branch for a share `p` of the images in training, and scale up the rest (Huang et al., 2016)."""

    p: Share

    kind = "dropout"

    def infer(self, x: Shape) -> Shape:
        return x

    def torch_module(self, x: Shape) -> Code:
        return code("StochasticDepth", self.p)
