"""Fully connected layers."""

from __future__ import annotations

from netspec.ops.arguments import Positive
from netspec.ops.base import Code, Reach, Tensor, code
from netspec.ops.start import Init, Weighted
from netspec.shape import Cost, Free, Shape, is_image, require


class Linear(Weighted, keyword="linear"):
    """A fully connected layer: a learned linear map of the last axis, plus a bias."""

    example = "4096; linear(1000) -> 1000"

    features: Positive
    """Number of output features."""
    bias: bool = True
    init: Init | None = None
    bias_init: Init | None = None

    kind = "dense"
    takes_raw = True
    new_memory = True

    def infer(self, x: Shape) -> Shape:
        fact = f"linear takes a feature vector, but its input is an image of shape {x}"
        classifier = (
            f"for a classifier, put `flatten` before it: {'*'.join(map(str, x))} = {x.numbers} features"
        )
        help = f"{classifier}; for each pixel, use `conv({self.features}, 1)`"
        require(not is_image(x) or isinstance(x, Free), fact, "unflattened-image", help)
        return type(x)((*x[:-1], self.features))

    def tensors(self, x: Shape) -> tuple[Tensor, ...]:
        weight = Tensor("weight", (self.features, x.features))
        return (weight, Tensor("bias", (self.features,))) if self.bias else (weight,)

    def cost(self, x: Shape, *, y: Shape) -> Cost:
        return Cost(macs=x.features * y.numbers, additions=self.bias * y.numbers)

    def reach(self, x: Shape) -> tuple[Reach, Reach] | None:
        return None if len(x) == 1 else ((1, 1, 0), (1, 1, 0))

    def torch_module(self, x: Shape) -> Code:
        return code("nn.Linear", x.features, self.features, bias=(self.bias, True))
