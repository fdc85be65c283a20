"""Replaces the nodes that older exporters write for GELU and layer normalization by one node each."""

from __future__ import annotations

from dataclasses import replace
from math import isclose, sqrt

from netspec.frontends.onnx.model import Call, Model


def joined(model: Model) -> Model:
    """Return a model whose GELUs and layer normalizations are one node each."""
    graph = Nodes(model)
    replaced: dict[str, Call] = {}
    for call in model.calls:
        pattern = PATTERNS.get(call.kind)
        if pattern and (found := pattern(call, graph)):
            replaced[found.outputs[0]] = found
    if not replaced:
        return model
    calls = [replaced.get(c.outputs[0], c) for c in model.calls]
    return replace(model, calls=tuple(alive(calls, model.outputs)))


class Nodes:
    """The nodes of a model, by the names of their inputs and outputs, and its constants."""

    def __init__(self, model: Model) -> None:
        self.users: dict[str, list[Call]] = {}
        for call in model.calls:
            for name in call.inputs:
                self.users.setdefault(name, []).append(call)
        self.made = {output: call for call in model.calls for output in call.outputs}
        self.constants = model.constants

    def number(self, name: str) -> float | None:
        """Return the value of a constant with one element; return None for any other value."""
        array = self.constants.get(name)
        return float(array.reshape(-1)[0]) if array is not None and array.size == 1 else None

    def only(self, name: str, kind: str) -> Call | None:
        """Return the only node that uses a value if it has this operator; otherwise None."""
        found = self.users.get(name, [])
        return found[0] if len(found) == 1 and found[0].kind == kind else None

    def source(self, name: str, kind: str) -> Call | None:
        """Return the node that computes a value if it has this operator; otherwise None."""
        found = self.made.get(name)
        return found if found is not None and found.kind == kind else None

    def last_axis(self, call: Call) -> bool:
        """Return True if a reduction is only over the last axis."""
        axes = call.get("axes")
        if axes is None and len(call.inputs) > 1 and call.inputs[1] in self.constants:
            axes = self.constants[call.inputs[1]].reshape(-1).tolist()
        return list(axes or []) == [-1]


def other(call: Call, name: str) -> str:
    """Return the input of a node with two inputs that is not `name`."""
    return call.inputs[1] if call.inputs[0] == name else call.inputs[0]


def gelu(erf: Call, graph: Nodes) -> Call | None:
    """Return a node for the GELU that contains an `Erf`, or None if there is none.

    The pattern is x * 0.5 * (1 + erf(x / sqrt(2))), with the factors in any order.
    """
    before = graph.made.get(erf.inputs[0])
    if before is None or before.kind not in ("Div", "Mul"):
        return None
    x = next((n for n in before.inputs if graph.number(n) is None), "")
    factor = graph.number(other(before, x))
    wanted = sqrt(2) if before.kind == "Div" else 1 / sqrt(2)
    plus = graph.only(erf.outputs[0], "Add")
    if factor is None or not isclose(factor, wanted, rel_tol=1e-5) or plus is None:
        return None
    times = graph.only(plus.outputs[0], "Mul")
    if times is None or graph.number(other(plus, erf.outputs[0])) != 1:
        return None
    partner, last = other(times, plus.outputs[0]), graph.only(times.outputs[0], "Mul")
    half = graph.source(partner, "Mul")
    if half is not None and x in half.inputs and graph.number(other(half, x)) == 0.5:
        return Call("Gelu", times.name, (x,), times.outputs, {}, None)
    if last is None:
        return None
    factors = {partner, other(last, times.outputs[0])} - {x}
    if x in (partner, other(last, times.outputs[0])) and [graph.number(f) for f in factors] == [0.5]:
        return Call("Gelu", last.name, (x,), last.outputs, {}, None)
    return None


def layernorm(root: Call, graph: Nodes) -> Call | None:
    """Return a node for the layer normalization that contains a `Sqrt`, or None if there is none.

    The pattern is (x - mean) / sqrt(variance + eps) * weight + bias.
    """
    plus = graph.source(root.inputs[0], "Add")
    variance = next((v for n in plus.inputs if (v := graph.source(n, "ReduceMean"))), None) if plus else None
    if plus is None or variance is None or not graph.last_axis(variance):
        return None
    eps = graph.number(other(plus, variance.outputs[0]))
    square = graph.made.get(variance.inputs[0])
    if eps is None or square is None or square.kind not in ("Pow", "Mul"):
        return None
    if square.kind == "Pow" and graph.number(square.inputs[1]) != 2:
        return None
    centred = graph.source(square.inputs[0], "Sub")
    mean = graph.source(centred.inputs[1], "ReduceMean") if centred else None
    if centred is None or mean is None or not graph.last_axis(mean) or mean.inputs[0] != centred.inputs[0]:
        return None
    if square.kind == "Mul" and square.inputs[0] != square.inputs[1]:
        return None
    ratio = graph.only(root.outputs[0], "Div")
    scale = graph.only(ratio.outputs[0], "Mul") if ratio and ratio.inputs[0] == centred.outputs[0] else None
    shift = graph.only(scale.outputs[0], "Add") if scale else None
    if ratio is None or scale is None or shift is None:
        return None
    weight, bias = other(scale, ratio.outputs[0]), other(shift, scale.outputs[0])
    if any(graph.constants.get(n) is None or graph.constants[n].ndim != 1 for n in (weight, bias)):
        return None
    inputs = (centred.inputs[0], weight, bias)
    attributes = {"axis": -1, "epsilon": eps}
    return Call("LayerNormalization", shift.name, inputs, shift.outputs, attributes, None)


PATTERNS = {"Erf": gelu, "Sqrt": layernorm}
"""The functions that look for a pattern around a node, by the operator of that node."""


def alive(calls: list[Call], outputs: tuple[str, ...]) -> list[Call]:
    """Return the nodes that the outputs depend on, in order."""
    needed, kept = set(outputs), list[Call]()
    for call in reversed(calls):
        if needed & set(call.outputs):
            needed.update(call.inputs)
            kept.append(call)
    return kept[::-1]
