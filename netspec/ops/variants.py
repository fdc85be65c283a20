"""Corrections of windows: another padding, stride or kernel that gives a claimed shape."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from netspec.language.values import spell
from netspec.ops.arguments import Pads, Sizes
from netspec.ops.base import Op
from netspec.shape import Axis

LIKELY = 16
"""The largest padding that is tried as a correction."""

Variant = tuple[int, str, Op]
"""A correction: its cost (low if it is likely), the changed argument, and the changed op."""


def change(op: Op, cost: int, name: str, value: Any) -> Variant:
    """Return a correction that sets an argument to one value for all axes or sets a flag."""
    changed = value if isinstance(value, bool) else (value, value)
    return cost, f"{name}={spell(value)}", op.model_copy(update={name: changed})


def other_paddings(op: Op, axis: Axis, padding: Pads) -> Iterator[Variant]:
    """Yield corrections of the padding; the padding that keeps the size at stride 1 has the lowest cost."""
    same = (axis.reach - 1) // 2
    for pad in range(min(axis.reach // 2, LIKELY) + 1):
        if (pad, pad) != padding:
            yield change(op, 0 if pad == same and axis.stride == 1 else 2 if pad else 3, "padding", pad)


def other_sizes(op: Op, kernel: Sizes, stride: Sizes, kernels: Sequence[int]) -> Iterator[Variant]:
    """Yield corrections of the stride and of the kernel."""
    for step in range(1, 5):
        if (step, step) != stride:
            yield change(op, 4, "stride", step)
    for size in kernels:
        if (size, size) != kernel:
            yield change(op, 5, "kernel", size)
