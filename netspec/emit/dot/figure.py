"""What a drawing shows: boxes of layers, in groups, with arrows between them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from netspec.graph import Net, Node, Output, Scope
from netspec.ops.reshape import Identity

FOLLOWERS = ("activation", "dropout", "norm")
"""Kinds that are drawn in the box of the layer they follow."""


@dataclass(frozen=True)
class Box:
    """Layers drawn as one box: a layer and what follows it in line, or all of the folded `scopes`.

    More than one scope stands for a row of equal ones, each fed by the one before alone.
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
        """Whether its weights are another layer's."""
        return any(s.shares for s in self.scopes) or self.head.shares is not None


@dataclass(frozen=True)
class Cluster:
    """A group or block drawn as a frame around what it holds."""

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
    """A value on its way from a box to a box, or to an output; `aside` if only training needs it."""

    value: Node
    source: Box
    target: Box | Output
    aside: bool


@dataclass(frozen=True)
class Figure:
    """A network as it is drawn."""

    net: Net
    root: Cluster

    @cached_property
    def place(self) -> Mapping[int, Box]:
        """The box of every layer that is drawn."""
        return {node.id: box for box in self.root.boxes() for node in box.nodes}

    def arrows(self) -> Iterator[Arrow]:
        """Every arrow, in the order of what it leads to; a folded box takes each value once."""
        extra = self.net.training_only
        for box in self.root.boxes():
            taken = [origin(self.net, i) for node in box.nodes for i in node.inputs]
            for value in {n.id: n for n in taken}.values() if box.scopes else taken:
                if (source := self.place[value.id]) is not box:
                    yield Arrow(value, source, box, all(n.id in extra for n in box.nodes))
        for output in self.net.outputs:
            value = origin(self.net, output.node)
            yield Arrow(value, self.place[value.id], output, output.training)


def figure(net: Net, depth: int | None = None) -> Figure:
    """Lay a network out in boxes; scopes that lie deeper than `depth` are folded into one box each."""
    boxes = {box.head.id: box for box in gather(net)}
    return Figure(net, Cluster(net.root, tuple(inside(net, net.root, boxes, depth))))


def origin(net: Net, value: int) -> Node:
    """The node that makes a value: an identity only passes it on."""
    node = net.nodes[value]
    while isinstance(node.op, Identity):
        node = net.nodes[node.inputs[0]]
    return node


def gather(net: Net) -> Iterator[Box]:
    """Put every layer into a box, or into that of the layer it follows."""
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
    """Whether a layer is drawn in the box of the one before: of its scope, and for it alone."""
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
    """What a scope draws: boxes, frames around groups, folded boxes; a scope of one box needs no frame."""
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
    """Whether a folded box repeats those before it: the same layers, fed by the last of the row alone."""
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
    """A scope without what tells it from others of its kind: its path, and where its input comes from."""
    first, path = nodes[0].id, len(scope.path)
    inputs = [tuple(max(i - first, -1) for i in n.inputs) for n in nodes]
    layers = [(n.name[path:], n.op, n.shape, n.shares, n.tensors) for n in nodes]
    return scope.block, scope.arguments, inputs, layers
