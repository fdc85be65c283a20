"""Values that no layer makes: the network's inputs, raw parameters and buffers."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator

from netspec.language.values import Call
from netspec.ops.base import Code, Op, Tensor
from netspec.ops.start import Init, Weighted
from netspec.shape import Shape


def to_shape(value: object) -> object:
    size = (value,) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(size, tuple) or not size or any(not isinstance(n, int) or n < 1 for n in size):
        raise ValueError("takes sizes of at least 1, such as 96x1x1")
    return Shape(size)


Size = Annotated[Shape, BeforeValidator(to_shape)]


class Input(Op):
    """What the network is given, for one image."""

    shape: Size

    kind = "input"

    def infer(self) -> Shape:
        return self.shape


class Param(Weighted, keyword="param"):
    """A learned tensor, such as a layer's scale or a class token, the same for all images of a batch.

    With `batch`, it is kept with a first axis of 1, as in published weights of transformers.
    """

    shape: Size
    init: Init = Call("zeros")
    batch: bool = False

    kind = "tensor"

    def infer(self) -> Shape:
        return self.shape

    def kept(self) -> tuple[int, ...]:
        """The sizes of the tensor as it is saved."""
        return (1, *self.shape) if self.batch else tuple(self.shape)

    def tensors(self) -> tuple[Tensor, ...]:
        return (Tensor("", self.kept()),)

    def torch_module(self) -> Code:
        return Code("nn.Parameter", (self.kept(),))

    def starts(self) -> dict[str, Call]:
        return {"": self.init}


class Buffer(Param, keyword="buffer"):
    """A fixed tensor that is saved with the weights and not trained."""

    def tensors(self) -> tuple[Tensor, ...]:
        return (Tensor("", self.kept(), trainable=False),)

    def torch_module(self) -> Code:
        return Code("buffer", (self.kept(),))
