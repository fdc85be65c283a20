"""Builds an ONNX graph: nodes, constants and weights, with the names of the spec."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

from netspec.graph import Net, Node
from netspec.shape import Shape

Array = np.ndarray[Any, np.dtype[Any]]


class Builder:
    """Collects the nodes and initializers of a graph. Values are strings, as in ONNX."""

    def __init__(self, net: Net, weights: Mapping[str, Array]) -> None:
        self.net, self.weights = net, weights
        self.nodes: list[NodeProto] = []
        self.initializers: dict[str, TensorProto] = {}
        self.used: set[str] = set()
        self.constants: dict[tuple[str, bytes, tuple[int, ...]], str] = {}
        self.stored: dict[tuple[str, tuple[int, ...]], str] = {}
        self.place = ""

    def name(self, text: str) -> str:
        """Return an unused name for a value or node."""
        found, count = text, 1
        while found in self.used:
            count += 1
            found = f"{text}_{count}"
        self.used.add(found)
        return found

    def add(self, kind: str, *inputs: str, **attributes: object) -> str:
        """Append a node with one output and return the output."""
        return self.several(kind, 1, *inputs, **attributes)[0]

    def several(self, kind: str, count: int, *inputs: str, **attributes: object) -> list[str]:
        """Append a node with several outputs and return the outputs."""
        name = self.name(f"{self.place}/{kind}")
        outputs = [name] if count == 1 else [f"{name}:{k}" for k in range(count)]
        node = helper.make_node(kind, list(inputs), outputs, name)
        node.attribute.extend(helper.make_attribute(k, v) for k, v in attributes.items())
        self.nodes.append(node)
        return outputs

    def constant(self, array: Array) -> str:
        """Return an initializer with the elements of an array; equal arrays are stored once."""
        key = (str(array.dtype), array.tobytes(), array.shape)
        if key not in self.constants:
            name = self.name(f"{self.place}/constant")
            self.initializers[name] = numpy_helper.from_array(array, name)
            self.constants[key] = name
        return self.constants[key]

    def ints(self, *values: int) -> str:
        """Return a constant vector of integers, such as sizes or axes."""
        return self.constant(np.array(values, np.int64))

    def number(self, value: float) -> str:
        """Return a constant float32 scalar."""
        return self.constant(np.array(value, np.float32))

    def weight(self, name: str, shape: Sequence[int] | None = None) -> str:
        """Return the initializer for an entry in the state_dict, reshaped if a shape is given."""
        array = self.weights[name]
        key = (name, tuple(array.shape if shape is None else shape))
        if key not in self.stored:
            self.stored[key] = value = self.name(name)
            self.initializers[value] = numpy_helper.from_array(array.reshape(key[1]), value)
        return self.stored[key]


@dataclass(frozen=True)
class Site:
    """One layer to be written: its op, its inputs with their shapes, and its output shape.

    All values in the ONNX graph have a batch axis; for raw tensors, it has size 1.
    """

    graph: Builder
    node: Node
    op: Any
    inputs: tuple[str, ...]
    xs: tuple[Shape, ...]
    y: Shape

    @property
    def value(self) -> str:
        return self.inputs[0]

    @property
    def x(self) -> Shape:
        return self.xs[0]

    def add(self, kind: str, *inputs: str, **attributes: object) -> str:
        return self.graph.add(kind, *inputs, **attributes)

    def key(self, tensor: str) -> str:
        """Return the name of one of the layer's tensors in the state_dict."""
        net = self.graph.net
        owner = self.node.name if self.node.shares is None else net.nodes[self.node.shares].name
        return f"{owner}.{tensor}" if tensor else owner

    def weight(self, tensor: str, shape: Sequence[int] | None = None) -> str:
        return self.graph.weight(self.key(tensor), shape)

    def array(self, tensor: str) -> Array:
        """Return one of the layer's tensors as an array."""
        return self.graph.weights[self.key(tensor)]

    # Operations that many layers use

    def transpose(self, value: str, *order: int) -> str:
        return self.add("Transpose", value, perm=list(order))

    def reshape(self, value: str, *sizes: int) -> str:
        """Reshape a value; a size of -1 is inferred, and 0 keeps the size of the input."""
        return self.add("Reshape", value, self.graph.ints(*sizes))

    def slice(self, value: str, start: int, stop: int, axis: int, step: int = 1) -> str:
        ints = self.graph.ints
        return self.add("Slice", value, ints(start), ints(stop), ints(axis), ints(step))

    def roll(self, value: str, shift: int, axis: int, size: int) -> str:
        """Shift a value cyclically along an axis."""
        cut = -shift % size
        if not cut:
            return value
        parts = self.slice(value, cut, size, axis), self.slice(value, 0, cut, axis)
        return self.add("Concat", *parts, axis=axis)

    def linear(self, value: str, weight: str, bias: str | None = None) -> str:
        """Apply a linear layer to the last axis; `weight` is out_features x in_features, as in PyTorch."""
        product = self.add("MatMul", value, self.transpose(weight, 1, 0))
        return product if bias is None else self.add("Add", product, bias)

    def times(self, value: str, factor: float) -> str:
        return self.add("Mul", value, self.graph.number(factor)) if factor != 1 else value

    def plus(self, value: str, term: float) -> str:
        return self.add("Add", value, self.graph.number(term)) if term else value


def is_raw(net: Net, value: int) -> bool:
    """Return True if a value in the network has no batch."""
    return not net.nodes[value].batched
