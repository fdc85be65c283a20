"""The layer types: one class each, a file per family."""

from netspec.ops import activation, attention, dense, layout, merge, norm, reshape, tensor, window
from netspec.ops.base import OPS, Code, Op, Tensor
from netspec.ops.tensor import Input

__all__ = [
    "OPS",
    "Code",
    "Input",
    "Op",
    "Tensor",
    "activation",
    "attention",
    "dense",
    "layout",
    "merge",
    "norm",
    "reshape",
    "tensor",
    "window",
]
