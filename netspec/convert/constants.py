"""Tensors in a module that do not depend on its input: positions, masks, tables of sines."""

from __future__ import annotations

import operator
from collections.abc import Container, Mapping
from itertools import count
from typing import Any

import torch
from torch import Tensor, fx

from netspec.convert.rows import operator_name, where
from netspec.errors import ConvertError
from netspec.frontends.layout import BATCH
from netspec.shape import Indices, Shape

SIZED = {"new_zeros", "new_ones", "new_full", "new_empty", "zeros_like", "ones_like", "full_like"}
"""Operators that use only the shape or dtype of their input."""
TYPES = {torch.int64: "int64", torch.int32: "int64", torch.bool: "bool"}
"""The dtype of the buffer for each dtype of PyTorch; all others become float32."""


class Constants:
    """The constants of a graph by their nodes, and the buffers that some of them become.

    `buffers` maps the names of the buffers in the state_dict to their values.
    """

    def __init__(self, given: Mapping[fx.Node, Tensor], taken: Container[str]) -> None:
        self.taken = taken
        self.values: dict[fx.Node, Any] = dict(given)
        self.buffers: dict[str, Tensor] = {}

    def __contains__(self, node: object) -> bool:
        return node in self.values

    def number(self, node: object) -> float | None:
        """Return the value of a constant with one element; return None for any other node."""
        value = self.values.get(node) if isinstance(node, fx.Node) else None
        return float(value) if isinstance(value, Tensor) and value.numel() == 1 else None

    def fold(self, node: fx.Node) -> bool:
        """Compute a call that depends only on constants; return False if it depends on weights or inputs.

        Raises:
            ConvertError: the call fails.
        """
        sized = operator_name(node) in SIZED
        known = all(source in self.values for source in node.all_input_nodes)
        if not (known or sized) or not (
            node.target is operator.getitem or operator_name(node) != str(node.target)
        ):
            return False
        stand_in = torch.zeros(())  # a placeholder for inputs whose values are not used
        arguments = fx.map_arg(node.args, lambda n: self.values.get(n, stand_in))
        options: dict[str, Any] = dict(fx.map_arg(node.kwargs, self.values.__getitem__))
        if "device" in options:
            options["device"] = "cpu"
        try:
            self.values[node] = node.target(*arguments, **options)  # type: ignore[operator]
        except (RuntimeError, TypeError, ValueError) as error:
            raise ConvertError(f"{where(node)}: a constant cannot be computed: {error}") from None
        return True

    def buffer(self, node: fx.Node, module: str) -> tuple[str, str, Tensor]:
        """Register a constant as a buffer of a module; return the buffer's name, dtype and value.

        A constant that is equal for all images of the batch is stored with a batch axis of size 1.
        """
        value: Tensor = self.values[node]
        if value.dim() and value.shape[0] == BATCH and bool((value == value[:1]).all()):
            value = value[:1]
        value = value.reshape(1) if not value.dim() else value
        kind = TYPES.get(value.dtype, "float32")
        value = value.to(getattr(torch, kind)).clone()
        prefix = f"{module}." if module else ""
        own = {n: v for n, v in self.buffers.items() if n.rpartition(".")[0] == module}
        for name, known in own.items():
            if known.dtype == value.dtype and torch.equal(known, value):
                return name[len(prefix) :], kind, known
        free = (f"constant_{k}" for k in count(len(own) + 1))
        label = next(name for name in free if prefix + name not in self.taken)
        self.buffers[prefix + label] = value
        return label, kind, value


def raw_arguments(kind: str, sizes: tuple[int, ...], batch: bool, node: fx.Node) -> dict[str, object]:
    """Return the arguments of the layer `param` or `buffer` for a raw tensor with these sizes."""
    given: dict[str, object] = {"shape": sizes or (1,), "batch": batch, "scalar": not sizes and not batch}
    return given | {"dtype": TYPES.get(node.meta["val"].dtype, "float32")} if kind == "buffer" else given


def raw_shape(arguments: Mapping[str, Any]) -> Shape:
    """Return the shape of a raw tensor with these arguments."""
    kind = Indices if arguments.get("dtype") == "int64" else Shape
    return kind(arguments["shape"])
