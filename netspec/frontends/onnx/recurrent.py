"""Reads ONNX recurrent layers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from netspec.errors import ConvertError
from netspec.frontends.layout import Layout
from netspec.frontends.onnx.model import Array, Call
from netspec.frontends.onnx.reader import Reader, onnx_operator

GATES = {"LSTM": (0, 2, 3, 1), "GRU": (1, 0, 2)}
"""The indices in ONNX of PyTorch's gates: input, forget, cell, output; and reset, update, new."""


@onnx_operator("LSTM", "GRU")
def recurrent(r: Reader, c: Call) -> Sequence[int]:
    """Read `LSTM` or `GRU`: the hidden states, and in a layer with one direction also the last state."""
    names = [*c.inputs, *[""] * 8][:8]
    source, (w, u), b = names[0], (r.constant(n) for n in names[1:3]), names[3]
    lengths, *states = names[4:8]
    hidden, directions = int(u.shape[2]), int(w.shape[0])
    refuse(r, c, lengths, states)
    biases = r.constant(b) if b else np.zeros((directions, 2 * w.shape[1]), np.float32)
    weights: dict[str, Array] = {}
    for k, end in enumerate(("l0", "l0_reverse")[:directions]):
        ih, hh = np.split(biases[k], 2)
        parts = {"weight_ih": w[k], "weight_hh": u[k], "bias_ih": ih, "bias_hh": hh}
        weights |= {f"{name}_{end}": gated(array, c.kind, hidden) for name, array in parts.items()}
    value = r.add(c.kind.lower(), r.values[source], weights, hidden=hidden, bidirectional=directions == 2)
    tokens = r.shape(value)[0]
    r.layouts[c.outputs[0]] = Layout(2)
    found = [r.add("reshape", value, shape=(tokens, directions, hidden))]
    used = [name for name in c.outputs[1:] if r.users[name]]
    if used and (used != [c.outputs[1]] or directions == 2):
        raise ConvertError(f"{c.place}: only the hidden states of a recurrent layer can be used")
    if used:
        r.layouts[used[0]] = Layout(1)
        last = r.add("select", value, index=-1, axis=0)
        found.append(r.add("reshape", last, shape=(1, hidden)))
    return found


def refuse(r: Reader, c: Call, lengths: str, states: Sequence[str]) -> None:
    """Raise ConvertError for a recurrent layer that differs from PyTorch's layers."""
    given = any(name and (name not in r.constants or r.constants[name].any()) for name in states)
    plain = not c.get("layout", 0) and c.get("direction", "forward") in ("forward", "bidirectional")
    usual = not {"activations", "activation_alpha", "activation_beta", "clip"} & c.attributes.keys()
    reset = c.kind == "LSTM" or c.get("linear_before_reset", 0) == 1
    if given or lengths or not plain or not usual or c.get("input_forget", 0) or not reset:
        raise ConvertError(
            f"{c.place}: this layer has initial states, sequence lengths or options that netspec does not"
            " support"
        )
    if r.layout(c.inputs[0]) != Layout(1):
        raise ConvertError(f"{c.place}: the second axis of a recurrent layer's input must be the batch")


def gated(array: Array, kind: str, hidden: int) -> Array:
    """Return a tensor with its gates in PyTorch's order."""
    parts = array.reshape(-1, hidden, *array.shape[1:])
    return parts[list(GATES[kind])].reshape(array.shape)
