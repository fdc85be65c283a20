"""The structure of a drawing: boxes of layers, frames around groups, and arrows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from netspec.graph import Net, Node, Output, Scope
from netspec.ops.reshape import Identity

FOLLOWERS = ("activation", "dropout", "norm")
"""Kinds of layers that are drawn in the same box as the layer before them."""


@dataclass(frozen=True)
class Box:
    """Layers drawn as one box: a layer with its followers, or the contents of folded `scopes`.

    Several `scopes` are identical and form a chain: the only input of each is the output of the previous one.
    """

    nodes: tuple[Node, ...]
    scopes: tuple[Scope, ...] = ()

    @property
    def head(self) -> Node:
        return self.nodes[0]

    @property
    def name(self) -> str:
        return self.scopes[0].path if self.scopes else self.head.name

    @property
    def shares(self) -> bool:
        """Whether the box reuses the weights of another layer."""
        return any(s.shares for s in self.scopes) or self.head.shares is not None


@dataclass(frozen=True)
class Cluster:
    """A group or block drawn as a frame around its contents."""

    scope: Scope
    children: tuple[Cluster | Box, ...]

    def boxes(self) -> Iterator[Box]:
        for child in self.children:
            if isinstance(child, Box):
                yield child
            else:
                yield from child.boxes()


@dataclass(frozen=True)
class Arrow:
    """An arrow from a layer to a box or an output. `aside` is true if the target is used only in training."""

    value: Node
    source: Box
    target: Box | Output
    aside: bool


@dataclass(frozen=True)
class Figure:
    """A network laid out in boxes and frames."""

    net: Net
    root: Cluster

    @cached_property
    def place(self) -> Mapping[int, Box]:
        """The box in which each layer is drawn, by node id."""
        return {node.id: box for box in self.root.boxes() for node in box.nodes}

    def arrows(self) -> Iterator[Arrow]:
        """Yield all arrows, ordered by target. A folded box gets one arrow per input."""
        extra = self.net.training_only
        for box in self.root.boxes():
            taken = [origin(self.net, i) for node in box.nodes for i in node.inputs]
            for value in {n.id: n for n in taken}.values() if box.scopes else taken:
                if (source := self.place[value.id]) is not box:
                    yield Arrow(value, source, box, all(n.id in extra for n in box.nodes))
        for output in self.net.outputs:
            value = origin(self.net, output.node)
            yield Arrow(value, self.place[value.id], output, output.training)


def lay_out(net: Net, depth: int | None = None) -> Figure:
    """Return a network laid out in boxes. A block or group nested deeper than `depth` becomes one box."""
    boxes = {box.head.id: box for box in gather(net)}
    return Figure(net, Cluster(net.root, tuple(inside(net, net.root, boxes, depth))))


def origin(net: Net, value: int) -> Node:
    """Return the node that computes the output of node `value`: identity layers are skipped."""
    node = net.nodes[value]
    while isinstance(node.op, Identity):
        node = net.nodes[node.inputs[0]]
    return node


def gather(net: Net) -> Iterator[Box]:
    """Yield the boxes of all layers; layers such as activations share the box of the previous layer."""
    groups: dict[int, list[Node]] = {}
    for node in net.nodes:
        if isinstance(node.op, Identity):
            continue
        if follows(net, node):
            groups[node.id] = groups[node.inputs[0]]
            groups[node.id].append(node)
        else:
            groups[node.id] = [node]
    for id, group in groups.items():
        if group[0].id == id:
            yield Box(tuple(group))


def follows(net: Net, node: Node) -> bool:
    """Return True if a layer is drawn in the box of the previous layer.

    Both layers must be in the same scope, and no other layer or output may use the first one.
    """
    if node.op.kind not in FOLLOWERS or len(node.inputs) != 1 or (node.shares is not None and node.tensors):
        return False
    before = net.nodes[node.inputs[0]]
    alone = net.consumers[before.id] == (node.id,) and all(o.node != before.id for o in net.outputs)
    beside = before.name.rpartition(".")[0] == node.name.rpartition(".")[0]
    fits = before.op.kind not in ("input", "tensor") and not isinstance(before.op, Identity)
    return alone and beside and fits and (before.op.kind != "merge" or node.op.kind != "norm")


def inside(
    net: Net, scope: Scope, boxes: Mapping[int, Box], depth: int | None, level: int = 1
) -> list[Cluster | Box]:
    """Return the boxes and frames of a scope's contents; an inner scope with a single box gets no frame."""
    drawn: list[Cluster | Box] = []
    for child in scope.children:
        if not isinstance(child, Scope):
            drawn += [boxes[child]] if child in boxes else []
            continue
        within = inside(net, child, boxes, depth, level + 1)
        if len(within) < 2 and all(isinstance(c, Box) and not c.scopes for c in within):
            drawn += within
        elif depth is None or level < depth:
            drawn.append(Cluster(child, tuple(within)))
        else:
            box = Box(tuple(net.nodes[i] for i in child.ids()), (child,))
            last = drawn[-1] if drawn else None
            if isinstance(last, Box) and continues(net, last, box):
                drawn[-1] = Box(last.nodes + box.nodes, last.scopes + box.scopes)
            else:
                drawn.append(box)
    return drawn


def continues(net: Net, row: Box, box: Box) -> bool:
    """Return True if `box` can be folded into `row`, a chain of equal boxes.

    `box` must have the same layers as the last box of `row`, its only input must be the output of that box,
    and nothing else may use that output.
    """
    size = len(box.nodes)
    before = row.nodes[-size:]
    if not row.scopes or len(row.nodes) != size * len(row.scopes):
        return False
    ids, own = {n.id for n in before}, {n.id for n in box.nodes}
    fed = {i for n in box.nodes for i in n.inputs} - own
    feeds = {c for n in before for c in net.consumers[n.id]} - ids
    alone = len(fed) == 1 and fed <= ids and feeds <= own and not any(o.node in ids for o in net.outputs)
    return alone and pattern(before, row.scopes[-1]) == pattern(box.nodes, box.scopes[0])


def pattern(nodes: tuple[Node, ...], scope: Scope) -> tuple[object, ...]:
    """Return a value that is equal for identical scopes; their paths and inputs may differ."""
    first, path = nodes[0].id, len(scope.path)
    inputs = [tuple(max(i - first, -1) for i in n.inputs) for n in nodes]
    layers = [(n.name[path:], n.op, n.shape, n.shares, n.tensors) for n in nodes]
    return scope.block, scope.arguments, inputs, layers
