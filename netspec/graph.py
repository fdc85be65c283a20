"""The graph of a checked spec, with the shapes and counts of every layer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from netspec.diagnostics import Span
from netspec.extras import needed_for
from netspec.ops import Op, Tensor
from netspec.shape import Cost, Shape

if TYPE_CHECKING:
    import networkx

    from netspec.recipe import Recipe


@dataclass(frozen=True)
class Field:
    """The receptive field along one axis in input pixels: its size, and the step between adjacent outputs."""

    size: int = 1
    step: int = 1


@dataclass(frozen=True)
class Node:
    """A layer or input, with its name in the state_dict, its op, its inputs and its output shape.

    `inputs` are ids of earlier nodes. `receptive_field` is vertical, then horizontal. `shares` is the id of
    the node whose weights this node reuses. `batched` is False for raw tensors, which have no batch axis.
    """

    id: int
    name: str
    op: Op
    inputs: tuple[int, ...]
    shape: Shape
    span: Span = field(compare=False, repr=False)
    cost: Cost = field(default_factory=Cost)
    tensors: tuple[Tensor, ...] = ()
    receptive_field: tuple[Field, Field] = (Field(), Field())
    shares: int | None = None
    batched: bool = True
    expressions: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    """The arguments that depend on parameters of the enclosing block, as Python expressions.

    Names of parameters have a leading `_`.
    """

    within: str | None = field(default=None, repr=False)
    """The path of the scope, set only for labels that contain dots, such as `convs.0`."""

    @property
    def label(self) -> str:
        if self.within is not None:
            return self.name[len(self.within) + 1 :] if self.within else self.name
        return self.name.rpartition(".")[2]

    @property
    def scope(self) -> str:
        """The path of the scope that contains the layer."""
        return self.name.rpartition(".")[0] if self.within is None else self.within

    @cached_property
    def params(self) -> int:
        """The number of trainable parameters; 0 if the layer reuses the weights of another layer."""
        return 0 if self.shares is not None else sum(t.count for t in self.tensors if t.trainable)

    @cached_property
    def buffers(self) -> int:
        return 0 if self.shares is not None else sum(t.count for t in self.tensors if not t.trainable)


@dataclass(frozen=True)
class Scope:
    """A scope of names, which becomes a module: the network, a block, or a labelled group.

    `children` are scopes and ids of nodes, in order of execution. `shares` is the path of the scope whose
    modules this scope reuses.
    """

    name: str
    path: str
    children: tuple[Scope | int, ...]
    block: str | None = None
    arguments: Mapping[str, object] = field(default_factory=dict)
    shares: str | None = None
    expressions: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    """A block's arguments that depend on parameters of the enclosing block, as in `Node.expressions`."""
    bindings: Mapping[str, tuple[str, object]] = field(default_factory=dict, compare=False, repr=False)
    """The names that a block defines with such expressions: the expression and the value of each."""
    defaults: Mapping[str, object] = field(default_factory=dict, compare=False, repr=False)
    """The default values of a block's parameters that are plain numbers, strings or booleans."""

    def ids(self) -> Iterator[int]:
        """Yield the ids of all nodes in this scope and the scopes inside it."""
        for child in self.children:
            if isinstance(child, Scope):
                yield from child.ids()
            else:
                yield child


@dataclass(frozen=True)
class Output:
    """An output of the network. The outputs of auxiliary heads are returned only in training.

    `weight` is the factor by which its loss is multiplied.
    """

    name: str
    node: int
    training: bool = False
    weight: float = 1.0


@dataclass(frozen=True)
class Setting:
    """One entry of the `train` section and its location."""

    value: object
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True)
class Totals:
    """Sums over a network, for one image. `activations` is the number of elements of all layers' outputs.

    `macs` and `cost` exclude layers that run only in training, such as auxiliary heads; the other sums
    include them.
    """

    layers: int
    params: int
    buffers: int
    macs: int
    activations: int
    cost: Cost


@dataclass(frozen=True)
class Net:
    """A checked network: its layers in order of execution, its scopes, its outputs, and its recipe."""

    name: str
    citation: str | None
    arguments: Mapping[str, object]
    nodes: tuple[Node, ...]
    root: Scope
    outputs: tuple[Output, ...]
    recipe: Mapping[str, Setting] = field(default_factory=dict)
    recipe_citation: str | None = None
    training: Recipe | None = None
    """The validated recipe, with defaults for entries that are not in `recipe`."""

    @property
    def inputs(self) -> tuple[Node, ...]:
        return tuple(n for n in self.nodes if n.op.kind == "input")

    @property
    def layers(self) -> tuple[Node, ...]:
        """All nodes except the inputs."""
        return tuple(n for n in self.nodes if n.op.kind != "input")

    @cached_property
    def consumers(self) -> Mapping[int, tuple[int, ...]]:
        """The ids of the nodes that use the output of each node, keyed by its id."""
        taken: dict[int, list[int]] = {n.id: [] for n in self.nodes}
        for node in self.nodes:
            for i in node.inputs:
                taken[i].append(node.id)
        return {i: tuple(ids) for i, ids in taken.items()}

    @cached_property
    def training_only(self) -> frozenset[int]:
        """The ids of nodes that are needed only for outputs marked `when training`."""
        always = self.needed({o.node for o in self.outputs if not o.training})
        return frozenset(self.needed({o.node for o in self.outputs if o.training}) - always)

    def needed(self, outputs: set[int]) -> set[int]:
        """Return the ids of the nodes that the given outputs depend on, including the outputs."""
        alive = set(outputs)
        for node in reversed(self.nodes):
            if node.id in alive:
                alive.update(node.inputs)
        return alive

    @cached_property
    def totals(self) -> Totals:
        layers = self.layers
        total = Cost.sum(n.cost for n in layers if n.id not in self.training_only)
        params, buffers = sum(n.params for n in layers), sum(n.buffers for n in layers)
        activations = sum(n.shape.numbers for n in layers if n.batched)
        return Totals(len(layers), params, buffers, total.macs, activations, total)

    @cached_property
    def depth(self) -> int:
        """The number of convolutions, linear and attention layers on the longest path to an output."""
        reached: dict[int, int] = {}
        for node in self.nodes:
            before = max((reached[i] for i in node.inputs), default=0)
            reached[node.id] = before + (node.op.kind in ("conv", "dense", "attention"))
        return max(reached[o.node] for o in self.outputs if not o.training)

    def computing(self, node: int) -> Node:
        """Return the layer that computes a node's values, skipping flatten, identity and dropout."""
        found = self.nodes[node]
        while found.op.keyword in ("flatten", "identity", "dropout") and len(found.inputs) == 1:
            found = self.nodes[found.inputs[0]]
        return found

    def shapes(self, node: Node) -> tuple[Shape, ...]:
        """Return the input shapes of a node."""
        return tuple(self.nodes[i].shape for i in node.inputs)

    def digraph(self) -> networkx.DiGraph[int]:
        """Return the network as a networkx graph, for your own graph algorithms.

        The graph's nodes are the ids of `nodes`. The attribute `node` holds the `Node`. An edge leads from a
        node to each node that takes its output.

        Raises:
            MissingPackageError: networkx is not installed.
        """
        with needed_for("`Net.digraph`"):
            import networkx

        graph: networkx.DiGraph[int] = networkx.DiGraph()
        graph.add_nodes_from((n.id, {"node": n}) for n in self.nodes)
        graph.add_edges_from((i, n.id) for n in self.nodes for i in n.inputs)
        return graph
