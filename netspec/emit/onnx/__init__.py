"""Writes a network as an ONNX model, from its checked graph and a state_dict."""

from __future__ import annotations

from collections.abc import Mapping

from onnx import ModelProto, TensorProto, ValueInfoProto, checker, helper
from onnx.shape_inference import infer_shapes

from netspec.emit.onnx import activations, axes, layers, norms, recurrent, windows
from netspec.emit.onnx.builder import Array, Builder, Site
from netspec.emit.onnx.rows import ROWS
from netspec.errors import ExportError
from netspec.graph import Net
from netspec.shape import Indices

OPSET = 20
"""The version of ONNX's operator set: the first with `Gelu`."""
IR_VERSION = 9
BATCH = "batch"
"""The name of the dynamic first axis of inputs and outputs."""
LARGEST = 2**31 - 2**20
"""The maximum number of bytes of weights: a model file holds at most 2 GiB in total."""


def onnx_model(net: Net, weights: Mapping[str, Array], producer_version: str = "") -> ModelProto:
    """Return a network as an ONNX model for inference, in opset `OPSET`, for batches of any size.

    `weights` are the arrays of a state_dict. Outputs of auxiliary heads are left out. Inputs, outputs and
    weights have the names of the spec.

    Raises:
        ExportError: a layer cannot be exported to ONNX, or the weights exceed 2 GiB.
    """
    size = sum(array.nbytes for array in weights.values())
    if size > LARGEST:
        raise ExportError(
            f"the weights of {net.name} take {size / 2**30:.1f} GiB, but an ONNX file holds at most 2 GiB"
        )
    graph = Builder(net, weights)
    outputs = [o for o in net.outputs if not o.training]
    needed = net.needed({o.node for o in outputs})
    values: dict[int, str] = {}
    names = [graph.name(o.name) for o in outputs]
    for node in net.nodes:
        if node.id not in needed:
            continue
        if node.op.kind == "input":
            values[node.id] = graph.name(node.name)
            continue
        row = ROWS.find(node.op.keyword)
        if row is None:
            raise ExportError(f"the layer type `{node.op.keyword}` cannot be exported to ONNX")
        graph.place = node.name
        inputs = tuple(values[i] for i in node.inputs)
        shapes = tuple(net.nodes[i].shape for i in node.inputs)
        values[node.id] = row(Site(graph, node, node.op, inputs, shapes, node.shape))
    for output, name in zip(outputs, names, strict=True):
        graph.nodes.append(helper.make_node("Identity", [values[output.node]], [name], name))
    made = helper.make_graph(
        graph.nodes,
        net.name,
        [described(values[n.id], n.shape) for n in net.inputs if n.id in values],
        [described(name, net.nodes[o.node].shape) for o, name in zip(outputs, names, strict=True)],
        list(graph.initializers.values()),
        doc_string=net.citation or "",
    )
    opsets = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(made, opset_imports=opsets, ir_version=IR_VERSION, producer_name="netspec")
    model.producer_version = producer_version
    checker.check_model(model, full_check=True)
    return infer_shapes(model, strict_mode=True, data_prop=True)


def described(name: str, shape: tuple[int, ...]) -> ValueInfoProto:
    """Return the description of an input or output with a dynamic batch dimension."""
    kind = TensorProto.INT64 if isinstance(shape, Indices) else TensorProto.FLOAT
    return helper.make_tensor_value_info(name, kind, [BATCH, *shape])


__all__ = ["BATCH", "OPSET", "activations", "axes", "layers", "norms", "onnx_model", "recurrent", "windows"]
