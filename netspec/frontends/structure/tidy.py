"""Rewrites the module tree without changing what it computes, so that more modules become identical."""

from __future__ import annotations

from dataclasses import replace

from netspec.frontends.structure.modules import CONTAINERS, Call, Module
from netspec.ops import OPS


def tidy(root: Module) -> None:
    """Move joins in front of the modules that start with them, and chain concatenations that share inputs.

    A join is a call with several inputs, such as a concatenation or a sum.
    """
    for module in list(root.modules()):
        if module.parent is not None and module.kind not in CONTAINERS:
            hoist(module, module.parent)
    for module in root.modules():
        extend(module)


def hoist(module: Module, parent: Module) -> None:
    """Move a join at the start of a module into the parent if the module then has one input.

    Each layer of a DenseNet, for example, starts with a concatenation of all earlier outputs.
    """
    first = module.children[0]
    if not isinstance(first, Call) or len(module.children) < 2:
        return
    step = first.step
    if step.name or len(step.inputs) < 2 or OPS[step.op].kind != "merge":
        return
    inside = {call.id for call in module.calls()}
    rest = {i for call in module.calls() if call is not first for i in call.step.inputs} - inside
    if rest or inside & set(step.inputs):
        return
    module.children.remove(first)
    first.parent = parent
    parent.children.insert(parent.children.index(module), first)


def extend(module: Module) -> None:
    """Replace `concat(a, b, c)` by `concat(d, c)` if d is `concat(a, b)` in the same module."""
    known: dict[tuple[object, ...], int] = {}
    for call in module.children:
        if not isinstance(call, Call) or call.step.op != "concat":
            continue
        axis, inputs = call.step.arguments["axis"], call.step.inputs
        for length in range(len(inputs) - 1, 1, -1):
            if (axis, *inputs[:length]) in known:
                shorter = (known[axis, *inputs[:length]], *inputs[length:])
                call.step = replace(call.step, inputs=shorter)
                break
        known[axis, *inputs] = call.id
