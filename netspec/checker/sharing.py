"""Repeats layers and groups with shared weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from netspec.checker.layers import Calls, Layers
from netspec.checker.naming import UNKNOWN, Entry, Naming
from netspec.diagnostics import Span
from netspec.language.names import Fault


def again(layers: Layers, value: int, name: str, inputs: Sequence[int], span: Span, calls: Calls) -> int:
    """Append a layer with the op and weights of an earlier layer but other inputs; return its id."""
    node = layers.nodes[value]
    origin = node.id if node.shares is None else node.shares
    added = layers.add(node.op, name, inputs, span, calls, shares=origin)
    if added in layers.unsure:
        return added
    old, new = layers.nodes[origin].tensors, layers.nodes[added].tensors
    for before, after in zip(old, new, strict=True):
        if before.shape != after.shape:
            old_size, new_size = ("x".join(map(str, tensor.shape)) for tensor in (before, after))
            message = f"`{node.name}` cannot be shared here: its {before.name} has shape {old_size}"
            message += f", but this input needs shape {new_size}"
            labels = tuple(layers.origin(inputs[0], 2, calls))
            fault = Fault("shape-mismatch", message, span)
            fault.diagnostic = replace(fault.diagnostic, labels=labels)
            raise fault
    return added


def replay(
    layers: Layers, scope: Naming, result: int, target: Naming, flow: int, span: Span, calls: Calls
) -> int:
    """Append copies of a scope's layers with the input `flow`; return the id that replaces `result`."""
    ids = sorted(inside(scope))
    outer = {i for n in ids for i in layers.nodes[n].inputs if i not in ids}
    if len(outer) > 1 or not ids:
        message = f"`{scope.path}` cannot be shared: it takes {len(outer)} inputs, not one"
        raise Fault("wrong-arity", message, span)
    new = dict.fromkeys(outer, flow)
    for old in ids:
        node = layers.nodes[old]
        name = node.name[len(scope.path) + 1 :]
        inputs = [new[i] for i in node.inputs]
        new[old] = again(layers, old, target.full(name), inputs, span, calls)
        target.children.append(new[old])
    mirror(scope, target, new, span)
    return new.get(result, flow)


def inside(naming: Naming) -> list[int]:
    """Return the ids of the nodes in a scope and in its inner scopes."""
    found: list[int] = []
    for child in naming.children:
        found += inside(child) if isinstance(child, Naming) else [child]
    return found


def mirror(scope: Naming, target: Naming, new: Mapping[int, int], span: Span) -> None:
    """Register the labels of a copied scope as in the original. `new` maps old ids to new ones."""
    for name, entry in scope.entries.items():
        inner = entry.inside and Naming(name, target.full(name), parent=target)
        if entry.inside and inner:
            mirror(entry.inside, inner, new, span)
        target.entries[name] = Entry(new.get(entry.value, UNKNOWN), span, inner)
