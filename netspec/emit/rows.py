"""The rows of a network's table: a row with the sums of each block or group, followed by its layers."""

from __future__ import annotations

from dataclasses import dataclass

from netspec.graph import Net, Node, Scope
from netspec.language.values import spell
from netspec.shape import Cost, Shape


@dataclass(frozen=True)
class Row:
    """A row for a layer or, if `scope` is True, for a block or group with the sums over its layers."""

    name: str
    op: str
    shape: Shape
    params: int
    cost: Cost
    activation: int
    field: str
    depth: int
    nodes: tuple[Node, ...]
    kind: str
    buffers: int = 0
    scope: bool = False
    label: str = ""
    """The name of the layer or scope inside the scope around it."""


def rows(net: Net, depth: int | None = None) -> list[Row]:
    """Return the rows of a network in order, without rows nested `depth` or more levels deep."""
    return [row for row in below(net, net.root, 0) if depth is None or row.depth < depth]


def below(net: Net, scope: Scope, level: int) -> list[Row]:
    """Return the rows of a scope's contents, at nesting level `level`."""
    made: list[Row] = []
    for child in scope.children:
        if isinstance(child, Scope):
            inside = below(net, child, level + 1)
            made.append(scope_row(child, inside, level))
            made += inside
        else:
            made.append(layer_row(net, net.nodes[child], level))
    return made


def scope_row(scope: Scope, inside: list[Row], level: int) -> Row:
    direct = [row for row in inside if row.depth == level + 1]
    last = inside[-1]
    arguments = ", ".join(f"{k}={spell(v)}" for k, v in scope.arguments.items())
    op = f"{scope.block}({arguments})" if scope.block else f"{{{sum(not r.scope for r in inside)}}}"
    op = f"share {scope.shares}" if scope.shares else op
    params, active = sum(r.params for r in direct), sum(r.activation for r in direct)
    cost = Cost.sum(r.cost for r in direct)
    nodes = tuple(n for row in direct for n in row.nodes)
    kind, buffers = "block" if scope.block else "group", sum(r.buffers for r in direct)
    return Row(
        scope.path,
        op,
        last.shape,
        params,
        cost,
        active,
        last.field,
        level,
        nodes,
        kind,
        buffers,
        True,
        scope.name,
    )


def layer_row(net: Net, node: Node, level: int) -> Row:
    shared = (
        f" (weights of {net.nodes[node.shares].name})" if node.shares is not None and node.tensors else ""
    )
    active = node.shape.numbers if node.batched else 0
    return Row(
        node.name,
        describe(node) + shared,
        node.shape,
        node.params,
        node.cost,
        active,
        field(node),
        level,
        (node,),
        node.op.kind,
        node.buffers,
        label=node.label,
    )


def describe(node: Node) -> str:
    """Return a layer as it is written in a spec, such as `conv(96, kernel=11, stride=4)`."""
    if node.op.kind == "input":
        return "input"
    required = [n for n, f in type(node.op).model_fields.items() if f.is_required()]
    given = {k: v for k, v in node.op.summary().items() if k not in ("init", "bias_init")}
    parts = (
        [spell(v) if k == required[0] else f"{k}={spell(v)}" for k, v in given.items()] if required else []
    )
    parts = parts or [f"{k}={spell(v)}" for k, v in given.items()]
    return f"{node.op.keyword}({', '.join(parts)})" if parts else node.op.keyword


def field(node: Node) -> str:
    """Return the receptive field in pixels, such as `11` if it is square, otherwise `11x7`."""
    if not node.batched:
        return ""
    height, width = (f.size for f in node.receptive_field)
    return str(height) if height == width else f"{height}x{width}"
