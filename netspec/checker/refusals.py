"""Rejects layers whose arguments are valid, but not for their input."""

from __future__ import annotations

from collections.abc import Sequence

from netspec.diagnostics import Span
from netspec.language.names import Fault
from netspec.ops import Op, Tensor
from netspec.ops.start import NEEDS_FANS, Weighted
from netspec.shape import Shape

MOST_NUMBERS = 2**63 - 1
"""The maximum number of elements of a PyTorch tensor."""


def refuse_starts(op: Op, tensors: Sequence[Tensor], span: Span) -> None:
    """Raise a fault if an initializer needs fan-in or fan-out, but its tensor has only one axis."""
    starts = op.starts() if isinstance(op, Weighted) else {}
    for tensor in tensors:
        start = starts.get(tensor.name)
        if start and start.name in NEEDS_FANS and len(tensor.shape) < 2:
            name = (
                f"the {tensor.name or op.keyword} of `{op.keyword}`" if tensor.name else f"a `{op.keyword}`"
            )
            message = f"{name} has one axis, but `{start.name}` needs two, for fan-in and fan-out"
            raise Fault("argument-range", message, span, "initialize it with normal(0.01), zeros or a number")


def refuse_sizes(op: Op, shape: Shape, tensors: Sequence[Tensor], span: Span) -> None:
    """Raise a fault if the output or a weight has more elements than a tensor can have."""
    for what, count in (("output", shape.numbers), *(("weight", t.count) for t in tensors)):
        if count > MOST_NUMBERS:
            message = (
                f"the {what} of `{op.keyword}` would have {count:.1e} elements, more than a tensor can have"
            )
            raise Fault("too-large", message, span)
