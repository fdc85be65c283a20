"""The layer types: a class for each, and a file for each family."""

from netspec.ops import (
    activation,
    arithmetic,
    attention,
    axes,
    dense,
    layout,
    merge,
    norm,
    products,
    reshape,
    tensor,
    window,
)
from netspec.ops.base import OPS, Code, Op, Tensor
from netspec.ops.tensor import Input


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
    "arithmetic",
    "attention",
    "axes",
    "dense",
    "is_builtin",
    "layout",
    "merge",
    "norm",
    "products",
    "reshape",
    "tensor",
    "window",
]
