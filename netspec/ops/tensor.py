"""Inputs and raw tensors."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator

from netspec.language.values import Call
from netspec.ops.arguments import WrongType
from netspec.ops.base import Code, Op, Tensor
from netspec.ops.start import Init, Weighted
from netspec.shape import Indices, Shape, require


def to_shape(value: object) -> object:
    """Convert a size such as `96x1x1` to a shape.

    Raises:
        ValueError: the value is not a size; pydantic reports the message.
    """
    size = (value,) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(size, tuple) or not size or any(not isinstance(n, int) or n < 1 for n in size):
        raise WrongType("must be sizes of at least 1, such as 96x1x1")
    return Shape(size)


Size = Annotated[Shape, BeforeValidator(to_shape)]


class Input(Op):
    """An input of the network."""

    shape: Size
    dtype: Literal["float32", "int64"] = "float32"

    kind = "input"

    def infer(self) -> Shape:
        return Indices(self.shape) if self.dtype == "int64" else self.shape


class Param(Weighted, keyword="param"):
    """A learned tensor, such as a scale or a class token, shared by all images of a batch."""

    example = "64x56x56; scale: param(64x1x1, init=ones); mul(x, scale) -> 64x56x56"

    shape: Size
    """Sizes of the tensor, such as `96x1x1`."""
    init: Init = Call("zeros")
    """Initializer of the tensor."""
    batch: bool = False
    """Whether the tensor is stored with a leading axis of size 1, as in published weights of transformers."""
    scalar: bool = False
    """Whether the tensor is stored as a scalar without axes; its shape is then 1."""

    kind = "tensor"

    def infer(self) -> Shape:
        self.check_arguments()
        return self.shape

    def check_arguments(self) -> None:
        fact = f"with `scalar=true`, the shape must be 1 and `batch` must be false; found shape {self.shape}"
        require(not self.scalar or (tuple(self.shape) == (1,) and not self.batch), fact, "bad-argument")

    def stored_shape(self) -> tuple[int, ...]:
        """Return the sizes of the tensor in a state_dict."""
        if self.scalar:
            return ()
        return (1, *self.shape) if self.batch else tuple(self.shape)

    def tensors(self) -> tuple[Tensor, ...]:
        return (Tensor("", self.stored_shape()),)

    def torch_module(self) -> Code:
        return Code("nn.Parameter", (self.stored_shape(),))

    def starts(self) -> dict[str, Call]:
        return {"": self.init}


class Buffer(Param, keyword="buffer"):
    """A fixed tensor that is saved with the weights but not trained."""

    example = "3x8x8; mean: buffer(3x1x1, init=0.5); add(x, mean) -> 3x8x8"

    dtype: Literal["float32", "int64", "bool"] = "float32"
    """The data type: `int64` for indices, `bool` for masks."""

    def infer(self) -> Shape:
        self.check_arguments()
        return Indices(self.shape) if self.dtype == "int64" else self.shape

    def tensors(self) -> tuple[Tensor, ...]:
        return (Tensor("", self.stored_shape(), trainable=False),)

    def torch_module(self) -> Code:
        return Code("buffer", (self.stored_shape(),))

    def starts(self) -> dict[str, Call]:
        return {} if self.dtype != "float32" else super().starts()
