"""Reads ONNX files: nodes with their attributes, inputs, outputs and constants."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from netspec.errors import ConvertError
from netspec.files import open_regular, reason

NAME = re.compile(r"[A-Za-z_]\w*(\.\w+)*")
"""A name that a weight can have in a state_dict."""
Array = np.ndarray[Any, np.dtype[Any]]
LARGEST_FILE = 2**31
LARGEST_CONSTANT = 2**28
"""The maximum number of elements of a constant that is computed when a model is read."""


@dataclass(frozen=True)
class Call:
    """A node in the graph: its operator, the names of its inputs and outputs, and its attributes."""

    kind: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    proto: Any

    def get(self, name: str, default: Any = None) -> Any:
        """Return the value of an attribute; strings are decoded."""
        value = self.attributes.get(name, default)
        return value.decode() if isinstance(value, bytes) else value

    @property
    def place(self) -> str:
        """The operator and name of the node, for messages."""
        return f"{self.kind} {self.name or self.outputs[0]}"


@dataclass(frozen=True)
class Model:
    """An ONNX graph: its calls in order, its inputs with their shapes, its outputs, and its constants."""

    name: str
    calls: tuple[Call, ...]
    inputs: Mapping[str, tuple[int | None, ...]]
    types: Mapping[str, str]
    """The dtype of each input: float32 or int64."""
    outputs: tuple[str, ...]
    constants: dict[str, Array]
    opset: int
    learned: frozenset[str] = frozenset()
    """The initializers with names like those of weights: they become parameters, other constants buffers."""

    @property
    def batch(self) -> int | None:
        """The fixed batch size that the model was exported for; None if its batch is dynamic."""
        declared = {sizes[0] for sizes in self.inputs.values() if sizes}
        return declared.pop() if len(declared) == 1 else None


def load_model(path: Path) -> Model:
    """Read an ONNX file, including weights in other files in its folder.

    Raises:
        ConvertError: the file cannot be read, is not an ONNX model, or has operators that are not ONNX's own.
    """
    try:
        with open_regular(path) as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise ConvertError(f"{path} cannot be read: {reason(error)}") from error
    if len(content) > LARGEST_FILE:
        raise ConvertError(f"{path} is larger than 2 GiB")
    try:
        proto = onnx.load_model_from_string(content)
        onnx.load_external_data_for_model(proto, str(path.parent))
        return as_model(proto, re.sub(r"\W", "_", path.stem))
    except ConvertError as error:
        raise ConvertError(f"{path}: {error}") from error
    except Exception as error:  # protobuf and onnx have exceptions of their own for damaged files
        text = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ConvertError(f"{path} is not an ONNX model, or is damaged: {text}") from error


def as_model(proto: Any, name: str) -> Model:
    """Return the model in a protobuf message; `Constant` nodes and copies of constants become constants.

    Raises:
        ConvertError: the model has no nodes or no opset, or has operators that ONNX does not define.
    """
    graph = proto.graph
    values = [*graph.initializer, *graph.input, *graph.output]
    names = [v.name for v in values] + [
        t for n in graph.node for t in (n.name, n.op_type, n.domain, *n.input, *n.output)
    ]
    if not all(isinstance(text, str) for text in names):  # protobuf returns bytes that are not UTF-8
        raise ConvertError("this is not an ONNX model: a name is not UTF-8 text")
    opset = next((o.version for o in proto.opset_import if o.domain in ("", "ai.onnx")), 0)
    if not graph.node or opset < 1:
        raise ConvertError("this is not an ONNX model: it has no nodes or does not state its opset")
    constants = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
    inputs = {v.name: sizes(v) for v in graph.input if v.name not in constants}
    learned = {i.name for i in graph.initializer if NAME.fullmatch(i.name)}
    calls = []
    for made in map(as_call, graph.node):
        if made.kind == "Constant" and "value" in made.attributes:
            constants[made.outputs[0]] = numpy_helper.to_array(made.attributes["value"])
        elif made.kind == "Identity" and made.inputs[0] in constants:
            constants[made.outputs[0]] = constants[made.inputs[0]]
            learned |= set(made.outputs) if made.inputs[0] in learned else set()
        else:
            calls.append(made)
    if not calls or not inputs:
        raise ConvertError("the model has no layers or no inputs")
    types = {v.name: input_type(v) for v in graph.input if v.name in inputs}
    outputs = tuple(o.name for o in graph.output)
    return Model(name, tuple(calls), inputs, types, outputs, constants, opset, frozenset(learned))


def input_type(value: Any) -> str:
    """Return the dtype of an input in the spec; raises ConvertError if netspec does not support it."""
    kind = value.type.tensor_type.elem_type
    known = {
        onnx.TensorProto.FLOAT: "float32",
        onnx.TensorProto.INT64: "int64",
        onnx.TensorProto.INT32: "int64",
    }
    if kind not in known:
        text = f"dtype {onnx.TensorProto.DataType.Name(kind).lower()}" if kind else "no dtype"
        raise ConvertError(f"the input {value.name} has {text}: only float, int64 and int32 are supported")
    return known[kind]


def as_call(node: Any) -> Call:
    """Return a node as a `Call`; raises ConvertError for operators that ONNX does not define."""
    if node.domain not in ("", "ai.onnx"):
        raise ConvertError(f"{node.op_type} is an operator of {node.domain}: only ONNX's own are supported")
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    return Call(node.op_type, node.name, tuple(node.input), tuple(node.output), attributes, node)


def sizes(value: Any) -> tuple[int | None, ...]:
    """Return the declared sizes of an input; an unknown size is None."""
    return tuple(d.dim_value or None for d in value.type.tensor_type.shape.dim)


def opened(array: Array, sizes: Array, batch: int) -> Array:
    """Return one row of a constant if its rows along a fixed batch axis are equal; it fits any batch size.

    `sizes` is the shape to which the constant is to be expanded; `batch` is the fixed batch size.
    """
    axes = [k for k, n in enumerate(array.shape) if array.ndim == len(sizes) and n == batch != int(sizes[k])]
    for axis in axes:
        first = array.take([0], axis)
        array = first if (array == first).all() else array
    return array


def fold(node: Call, inputs: Sequence[Array], opset: int) -> list[Array]:
    """Compute a node whose inputs are constants.

    Raises:
        ConvertError: the node cannot be computed, or its output would be too large.
    """
    if node.kind in ("Expand", "Tile", "ConstantOfShape", "Range", "Resize", "Pad"):
        numbers = [abs(float(n)) for array in inputs[-1:] for n in array.reshape(-1)[:16]]
        if np.prod([max(n, 1) for n in numbers]) > LARGEST_CONSTANT:
            raise ConvertError(
                f"{node.place} computes a constant with more than {LARGEST_CONSTANT:,} elements, the limit"
            )
    names = [name for name in node.inputs if name]
    described = [
        helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
        for n, a in zip(names, inputs, strict=True)
    ]
    outputs = [helper.make_tensor_value_info(o, onnx.TensorProto.UNDEFINED, None) for o in node.outputs if o]
    graph = helper.make_graph([node.proto], "constant", described, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    try:
        found = ReferenceEvaluator(model).run(None, dict(zip(names, inputs, strict=True)))
    except Exception as error:
        text = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ConvertError(f"{node.place} cannot be computed: {text}") from error
    return [np.asarray(value) for value in found]
