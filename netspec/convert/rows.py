"""Registries of the functions that convert ATen operators, and modules of known classes, to netspec ops."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from torch import fx

from netspec.convert.capture import Graph, own_line, stack
from netspec.registry import Registry

if TYPE_CHECKING:
    from netspec.convert.reader import Reader


Arguments = Mapping[str, Any]
"""The arguments of an ATen call by their names."""
Value: TypeAlias = "int | tuple[int, ...]"
Row: TypeAlias = "Callable[[Reader, fx.Node, Mapping[str, Any]], Value]"
LeafReader: TypeAlias = "Callable[[Reader, Leaf], Value]"

ROWS: Registry[Row] = Registry("ATen operator")
"""The functions that convert ATen operators to netspec ops, by the operator's name."""

LEAVES: Registry[LeafRow] = Registry("module class")
"""The functions that convert whole modules of known classes, by the full name of the class."""


@dataclass(frozen=True)
class LeafRow:
    """The function that converts modules of a class; `passes` is true if they do nothing in evaluation."""

    read: Callable[[Reader, Leaf], Value]
    passes: bool = False


@dataclass(frozen=True)
class Leaf:
    """A call of a module of a known class, as the part of the graph that the call consists of.

    `around` has the path and class of each module around the call. `inputs` are the nodes outside that part,
    except weights and constants, whose outputs it uses; `outputs` are its nodes that are used outside.
    """

    path: str
    module: Any
    around: list[tuple[str, str]]
    inputs: list[fx.Node]
    outputs: list[fx.Node]


aten = ROWS.adds
"""Registers a function that converts ATen operators with these names."""


def leaf(*names: str, passes: bool = False) -> Callable[[LeafReader], LeafReader]:
    """Register a function that converts modules of the classes with these full names."""

    def add(read: LeafReader) -> LeafReader:
        for name in names:
            LEAVES.add(name, LeafRow(read, passes))
        return read

    return add


def class_name(module: object) -> str:
    """Return the full name of a module's class."""
    return f"{type(module).__module__}.{type(module).__qualname__}"


def operator_name(node: fx.Node) -> str:
    """Return the name of an ATen operator without its namespace and overload."""
    name = str(node.target)
    return name.split(".")[1] if name.startswith("aten.") else name


def bound(node: fx.Node) -> dict[str, Any]:
    """Return all arguments of a call by name, with default values for those that the call omits."""
    schema = node.target._schema  # type: ignore[union-attr]
    given: dict[str, Any] = {}
    for k, argument in enumerate(schema.arguments):
        if k < len(node.args):
            given[argument.name] = node.args[k]
        elif argument.name in node.kwargs:
            given[argument.name] = node.kwargs[argument.name]
        else:
            given[argument.name] = argument.default_value if argument.has_default_value() else None
    return given


def where(node: fx.Node) -> str:
    """Return the module and the source line of a call as text for messages."""
    around = stack(node)
    place = f"in {around[-1][0]}" if around and around[-1][0] else ""
    return ", ".join(filter(None, (place, own_line(node.meta.get("stack_trace") or ""))))


def rank_of(node: Any) -> int:
    """Return the number of axes of a node's tensor."""
    return int(node.meta["val"].dim())


WEIGHTED = {
    "lstm",
    "gru",
    "conv1d",
    "conv2d",
    "conv3d",
    "linear",
    "batch_norm",
    "layer_norm",
    "group_norm",
    "instance_norm",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "prelu",
    "rms_norm",
    "embedding",
}
"""Operators with weights; the module that owns the weights becomes a layer."""


def tied_weights(graph: Graph) -> set[fx.Node]:
    """Return the weights of linear and embedding layers that are also used in a different way.

    In GPT-2, for example, the weight of the token embedding is also the weight of the last linear layer.
    """
    ways: dict[fx.Node, set[tuple[str, object]]] = {}
    for node in graph.nodes:
        for source in node.all_input_nodes:
            if source in graph.weights:
                matrix = operator_name(node) == "linear" and node.args[1] is source
                bias = node.args[2:] if matrix else ()
                ways.setdefault(source, set()).add((operator_name(node), bias))
    shared = {node: {name for name, _ in found} for node, found in ways.items() if len(found) > 1}
    return {node for node, names in shared.items() if names & {"embedding", "linear"}}
