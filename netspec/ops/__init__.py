"""The layer types: a class for each, and a file for each family."""

from netspec.ops import (
    activation,
    attention,
    dense,
    layout,
    merge,
    norm,
    pool,
    reshape,
    tensor,
    window,
)
from netspec.ops.base import OPS, Code, Op, Tensor
from netspec.ops.tensor import Input

# Few specs use these, and defining their classes would take 5 % of the time of a check.
OPS.later(
    "netspec.ops.axes",
    "permute",
    "reshape",
    "expand",
    "select",
    "roll",
    "mean",
    "sum",
    "max",
    "norm",
    "index",
    "flip",
    "standardize",
)
OPS.later("netspec.ops.arithmetic", "sub", "div", "exp", "sqrt", "abs", "sin", "cos", "pow", "clamp", "scale")
OPS.later("netspec.ops.products", "matmul", "dot_product_attention", "einsum", "convolve")
OPS.later("netspec.ops.recurrent", "lstm", "gru")


def is_builtin(keyword: str) -> bool:
    """Return True if netspec itself defines this layer type."""
    return keyword in OPS and OPS[keyword].__module__.startswith("netspec.ops.")


__all__ = [
    "OPS",
    "Code",
    "Input",
    "Op",
    "Tensor",
    "activation",
    "attention",
    "dense",
    "is_builtin",
    "layout",
    "merge",
    "norm",
    "pool",
    "reshape",
    "tensor",
    "window",
]
