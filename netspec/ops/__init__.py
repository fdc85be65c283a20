"""The layer types: one class per type, and one file per family."""

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

# Few specs use these, and defining their classes would take 5 % of a check's time.
OPS.later(
    "netspec.ops.axes",
    "permute",
    "reshape",
    "expand",
    "select",
    "roll",
    "index",
    "flip",
    "standardize",
)
OPS.later(
    "netspec.ops.arithmetic",
    "sub",
    "div",
    "maximum",
    "minimum",
    "masked_fill",
    "equal",
    "exp",
    "sqrt",
    "abs",
    "sin",
    "cos",
    "log",
    "erf",
    "mish",
    "softsign",
    "glu",
    "pow",
    "clamp",
    "scale",
)
OPS.later("netspec.ops.reductions", "mean", "sum", "max", "min", "norm", "var", "std")
OPS.later("netspec.ops.products", "matmul", "dot_product_attention", "einsum", "convolve")
OPS.later("netspec.ops.sequences", "embedding", "lstm", "gru")


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
