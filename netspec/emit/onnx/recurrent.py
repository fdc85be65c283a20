"""Writes embeddings and recurrent layers as ONNX operators."""

from __future__ import annotations

import numpy as np

from netspec.emit.onnx.builder import Array, Site
from netspec.emit.onnx.rows import onnx_row

GATES = {"lstm": (0, 3, 1, 2), "gru": (1, 0, 2)}
"""The indices in PyTorch of ONNX's gates: input, output, forget, cell; and update, reset, new."""


@onnx_row("embedding")
def embedding(s: Site) -> str:
    """Write `embedding`."""
    return s.add("Gather", s.weight("weight"), s.value, axis=0)


@onnx_row("lstm", "gru")
def recurrent(s: Site) -> str:
    """Write `lstm` or `gru`, with one operator for each of its layers."""
    value = s.transpose(s.value, 1, 0, 2)
    ends = [end for end, _ in s.op.passes(s.x)]
    count = s.op.directions
    direction = "bidirectional" if s.op.bidirectional else "forward"
    options: dict[str, object] = {"linear_before_reset": 1} if s.op.keyword == "gru" else {}
    for layer in range(s.op.layers):
        own = ends[layer * count : (layer + 1) * count]
        weights = [
            np.stack([gated(s, f"{kind}_{end}") for end in own]) for kind in ("weight_ih", "weight_hh")
        ]
        biases = [
            np.concatenate([gated(s, f"{kind}_{end}") for kind in ("bias_ih", "bias_hh")]) for end in own
        ]
        inputs = [s.graph.constant(a) for a in (*weights, np.stack(biases))]
        kind = s.op.keyword.upper()
        states = s.add(kind, value, *inputs, hidden_size=s.op.hidden, direction=direction, **options)
        value = s.reshape(s.transpose(states, 0, 2, 1, 3), 0, 0, -1)
    return s.transpose(value, 1, 0, 2)


def gated(s: Site, tensor: str) -> Array:
    """Return a tensor with its gates in ONNX's order."""
    array = s.array(tensor)
    parts = array.reshape(-1, s.op.hidden, *array.shape[1:])
    return np.ascontiguousarray(parts[list(GATES[s.op.keyword])].reshape(array.shape))
