"""Replaces the initializers of layers with those in the recipe's `init` entry."""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatchcase

from netspec.diagnostics import Diagnostic, Span, did_you_mean
from netspec.graph import Node, Setting
from netspec.language.values import Call
from netspec.ops.start import Weighted, to_init
from netspec.recipe import bind


def apply_init(nodes: tuple[Node, ...], setting: Setting | None) -> tuple[tuple[Node, ...], list[Diagnostic]]:
    """Return the nodes with the initializers from the recipe's `init` entry, and its diagnostics."""
    if setting is None:
        return nodes, []
    faults: list[Diagnostic] = []
    for call in setting.value if isinstance(setting.value, list | tuple) else [setting.value]:
        if isinstance(call, Call) and call.name == "start":
            nodes = apply_start(nodes, bind("init", call), setting.span, faults)
    return nodes, faults


def apply_start(
    nodes: tuple[Node, ...], given: dict[str, object], span: Span, faults: list[Diagnostic]
) -> tuple[Node, ...]:
    """Apply the initializers of one `start` to the nodes whose names match its pattern; return all nodes.

    Diagnostics are appended to `faults`.
    """
    pattern = str(given.get("layers"))
    starts: dict[str, Call] = {}
    for field, value in (("init", given.get("weight")), ("bias_init", given.get("bias"))):
        try:
            if value is not None:
                call = to_init(value)
                assert isinstance(call, Call)
                starts[field] = call
        except ValueError as error:
            faults.append(Diagnostic("recipe", f"the initializer of {pattern} {error}", span))
    can = [n for n in nodes if isinstance(n.op, Weighted) and "init" in type(n.op).model_fields]
    chosen = {n.id for n in can if fnmatchcase(n.name, pattern)}
    if not chosen:
        help = did_you_mean(pattern, [n.name for n in can])
        faults.append(Diagnostic("recipe", f"no layer with weights is named `{pattern}`", span, help=help))
    return tuple(
        replace(n, op=n.op.model_copy(update=applicable(n, starts))) if n.id in chosen else n for n in nodes
    )


def applicable(node: Node, starts: dict[str, Call]) -> dict[str, Call]:
    """Return the initializers whose tensors exist in the layer."""
    return {field: call for field, call in starts.items() if field in type(node.op).model_fields}
