"""Converts the calls in an exported graph to the steps of a trace."""

from __future__ import annotations

import operator
import re
from collections.abc import Mapping
from itertools import takewhile
from typing import Any

from pydantic import ValidationError
from torch import fx

from netspec.convert.capture import Graph, attributes_of, stack
from netspec.convert.constants import TYPES, Constants, raw_arguments, raw_shape
from netspec.convert.rows import (
    LEAVES,
    ROWS,
    WEIGHTED,
    Leaf,
    Value,
    bound,
    class_name,
    operator_name,
    tied_weights,
    where,
)
from netspec.errors import ConvertError
from netspec.frontends.layout import BARE, STORED, Layout, is_stored
from netspec.frontends.trace import Step, Trace
from netspec.language.parser.grammar import words
from netspec.ops import OPS, Input
from netspec.shape import Shape, ShapeError


class Reader:
    """Reads a graph call by call; `values` maps the nodes of the graph to the indices of their steps."""

    def __init__(self, graph: Graph, name: str) -> None:
        self.graph, self.name = graph, name
        self.steps: list[Step] = []
        self.values: dict[fx.Node, Value] = {}
        self.layouts: dict[fx.Node, Layout] = {}
        self.used: dict[str, int] = {}
        """The step that owns the weights of a module, by the path of the module."""
        self.raw: dict[str, int] = {}
        """The step of each raw tensor, by its name in the state_dict."""
        self.bare: set[int] = set()
        """The values that have no batch, since they depend only on raw tensors."""
        self.tied = tied_weights(graph)
        self.owners = self.weight_owners()
        self.constants = Constants(graph.constants, graph.names)
        self.place, self.group, self.again = name, "", ""

    # The walk over the graph

    def read(self) -> Trace:
        """Read the whole graph.

        Raises:
            ConvertError: netspec does not support an operator or its arguments.
        """
        for node in self.graph.inputs:
            shape = Shape(node.meta["val"].shape[1:])
            kind = TYPES.get(node.meta["val"].dtype, "float32")
            made = Input.model_validate({"shape": shape, "dtype": kind})
            given = {} if kind == "float32" else {"dtype": kind}
            self.values[node] = self.append(Step("input", given, (), made.infer(), "", input_name(node.name)))
        skipped = self.leaf_calls()
        lacking: dict[str, str] = {}
        for node in self.graph.nodes:
            if node in skipped:
                if (found := skipped[node]) is not None and not lacking:
                    self.read_leaf(found)
                continue
            if node.target is operator.getitem and node.all_input_nodes[0] not in self.constants:
                source, place = node.all_input_nodes[0], node.args[1]
                self.layouts[node] = self.layout(source)
                whole = self.values.get(source, 0)
                self.values[node] = whole[int(str(place))] if isinstance(whole, tuple) else whole
                continue
            if all(self.graph.weights.get(n, "").endswith(COUNTER) for n in node.all_input_nodes or [node]):
                continue
            self.enter(stack(node))
            if self.constants.fold(node):
                continue
            name = operator_name(node)
            if (row := ROWS.get(name)) is None:
                lacking.setdefault(name, where(node))
                self.values[node] = 0
                continue
            if lacking:
                continue
            self.layouts[node] = self.arriving(node)
            try:
                self.values[node] = row(self, node, bound(node))
            except (LookupError, TypeError, ValueError, AttributeError) as error:
                what = f"{name} with these arguments is not supported ({where(node)})"
                raise ConvertError(f"{self.place}: {what}") from error
        if lacking:
            words = ", ".join(f"{name} ({place})" if place else name for name, place in lacking.items())
            raise ConvertError(f"{self.name} uses operators without a counterpart in netspec: {words}")
        outputs = tuple(self.one(node) for node in self.graph.outputs)
        return Trace(self.name, tuple(self.steps), outputs, self.graph.classes, attributes_of(self.graph))

    def leaf_calls(self) -> dict[fx.Node, Leaf | None]:
        """Return the nodes in calls of known modules: a call's last one with its `Leaf`, others None."""
        calls: dict[str, list[fx.Node]] = {}
        for node in self.graph.nodes:
            known = (
                p for p, kind in stack(node) if kind in LEAVES and p.partition("@")[0] in self.graph.modules
            )
            if (path := next(known, None)) is not None:
                calls.setdefault(path, []).append(node)
        found: dict[fx.Node, Leaf | None] = {}
        for path, nodes in calls.items():
            inside = set(nodes)
            inputs = dict.fromkeys(i for n in nodes for i in n.all_input_nodes if i not in inside)
            values = [i for i in inputs if i not in self.graph.weights and i not in self.graph.constants]
            outputs = [n for n in nodes if any(u not in inside for u in n.users)]
            found.update(dict.fromkeys(nodes))
            plain = path.partition("@")[0]
            around = stack(nodes[-1])
            around = around[: [p for p, _ in around].index(path) + 1]
            found[nodes[-1]] = Leaf(plain, self.graph.modules[plain], around, values, outputs)
        return found

    def read_leaf(self, found: Leaf) -> None:
        """Read a call of a known module."""
        self.enter(found.around)
        value = LEAVES[class_name(found.module)].read(self, found)
        for node in found.outputs:
            place = int(str(node.args[1])) if isinstance(value, tuple) else 0
            self.values[node] = value[place] if isinstance(value, tuple) else value
            self.layouts[node] = self.layout(found.inputs[0]) if place == 0 else Layout(1)

    # Helpers for the functions that read operators

    def add(
        self, op: str, inputs: Any, shape: Any, weights: str | None = None, /, **arguments: object
    ) -> int:
        """Append a step and return its value; `weights` is the path of the module that owns its weights."""
        ids = tuple(inputs if isinstance(inputs, list | tuple) else (inputs,))
        sizes = self.infer(op, ids, arguments, shape)
        module, name = self.home(self.group), ""
        shares = None
        if weights in self.used:
            shares = self.used[weights]
        elif weights is not None:
            module, _, name = weights.rpartition(".")
        else:
            if self.group and self.is_plain(self.group):
                module, _, name = self.group.rpartition(".")
                module = self.home(module)
        if name and weights is None and self.named(module, name):
            name = ""
        if shares is not None and (self.steps[shares].op, self.steps[shares].arguments) != (op, arguments):
            raise ConvertError(f"{self.place}: the weights of {weights} are used with different arguments")
        step = Step(op, arguments, ids, sizes, module, name, shares, self.again)
        value = self.append(step)
        if weights is not None:
            self.used.setdefault(weights, value)
        return value

    def infer(self, op: str, ids: tuple[int, ...], arguments: Mapping[str, object], shape: Any) -> Shape:
        """Return the shape that the checker will infer; raises ConvertError if PyTorch's shape differs."""
        raw = bool(ids) and all(self.is_raw(i) for i in ids)
        try:
            made = OPS[op].model_validate(dict(arguments))
            found: Shape = made.output(*(self.steps[i].shape for i in ids))
        except (ShapeError, ValidationError) as error:
            raise ConvertError(f"{self.place}: {op} cannot be written: {error}") from None
        if isinstance(shape, fx.Node):
            here, there = self.layout(shape).actual(found), tuple(shape.meta["val"].shape)
        else:
            here, there = tuple(found), tuple(shape)
        scalar = tuple(found) == (1,) and there == here[:1]
        if here != there and not scalar and not (raw and isinstance(shape, fx.Node)):
            raise ConvertError(f"{self.place}: {op} returns {here} in netspec but {there} in PyTorch")
        return found

    def is_plain(self, path: str) -> bool:
        """Return True if a module has no weights and no inner modules, so its one layer can have its name."""
        found = self.graph.modules.get(path)
        if found is None:
            return path in self.graph.functions
        return not [*found.children(), *found.parameters(), *found.buffers()]

    def named(self, module: str, name: str) -> bool:
        """Return True if a step of this module already has a name."""
        return any(s.module == module and s.name == name for s in self.steps)

    def append(self, step: Step) -> int:
        self.steps.append(step)
        if step.op in ("param", "buffer") or (step.inputs and self.bare.issuperset(step.inputs)):
            self.bare.add(len(self.steps) - 1)
        return len(self.steps) - 1

    def one(self, node: Any) -> int:
        """Return the value of a node; a parameter becomes a raw tensor where it is first used."""
        if node in self.values:
            value = self.values[node]
            if isinstance(value, tuple):
                raise ConvertError(f"{self.place}: {node.name} is a list of tensors, not one tensor")
            return value
        if node in self.graph.weights:
            return self.tensor(node)
        if node in self.constants:
            return self.constant(node)
        raise ConvertError(f"{self.place}: {node} is not a tensor that a spec can refer to")

    def tensor(self, node: fx.Node) -> int:
        """Return the raw tensor of a parameter or buffer; a leading axis of size 1 can be its batch axis."""
        name = self.graph.weights[node]
        if name not in self.raw:
            module, _, label = name.rpartition(".")
            shape = tuple(node.meta["val"].shape)
            kind = "param" if node in self.graph.parameters else "buffer"
            batch = is_stored(shape)
            sizes = shape[1:] if batch else shape
            given = raw_arguments(kind, sizes, batch, node)
            self.raw[name] = self.append(Step(kind, given, (), raw_shape(given), module, label))
        return self.raw[name]

    def constant(self, node: fx.Node) -> int:
        """Return the buffer of a tensor that does not depend on the module's input."""
        module = self.home(self.group)
        label, kind, value = self.constants.buffer(node, module)
        name = f"{module}.{label}" if module else label
        if name not in self.raw:
            batch = is_stored(value.shape)
            sizes = tuple(value.shape[1:] if batch else value.shape)
            given: dict[str, object] = {"shape": sizes, "batch": batch, "dtype": kind}
            self.raw[name] = self.append(Step("buffer", given, (), raw_shape(given), module, label))
        return self.raw[name]

    def is_raw(self, value: int) -> bool:
        """Return True if a value has no batch, since it depends only on raw tensors."""
        return value in self.bare

    def is_weight(self, node: Any) -> bool:
        return isinstance(node, fx.Node) and node in self.graph.weights

    def owner(self, node: fx.Node) -> str:
        """Return the path of the module that owns a weight."""
        return self.graph.weights[node].rpartition(".")[0]

    def layout(self, node: fx.Node) -> Layout:
        """Return the layout of a node's tensor, which says where its batch is."""
        if node in self.layouts:
            return self.layouts[node]
        if node in self.graph.weights or node in self.constants:
            return STORED if self.steps[self.one(node)].arguments["batch"] else BARE
        return Layout()

    def arriving(self, node: fx.Node) -> Layout:
        """Return the layout of a call's first input with a batch; without one, that of a raw tensor."""
        for source in node.all_input_nodes:
            value = self.values.get(source)
            if value is not None and (isinstance(value, tuple) or not self.is_raw(value)):
                return self.layout(source)
        raw = (s for s in node.all_input_nodes if s in self.values and s in self.layouts)
        return next((self.layouts[s] for s in raw), BARE)

    def shape(self, value: int) -> Shape:
        return self.steps[value].shape

    def enter(self, around: list[tuple[str, str]]) -> None:
        """Set the place, group and repeated call of the next steps, from the modules around a call."""
        self.place = (around[-1][0].partition("@")[0] if around else "") or self.name
        first = [path for path, _ in takewhile(lambda entry: "@" not in entry[0], around)]
        self.group = first[-1] if first else ""
        self.again = around[len(first)][0] if len(first) < len(around) else ""

    def weight_owners(self) -> set[str]:
        """Return the paths of the modules that own weights directly; they are layers instead of groups."""
        return {
            self.graph.weights[i].rpartition(".")[0]
            for n in self.graph.nodes
            if operator_name(n) in WEIGHTED and not self.tied.intersection(n.all_input_nodes)
            for i in n.all_input_nodes
            if i in self.graph.weights
        }

    def home(self, place: str) -> str:
        """Return the path of the innermost module that is a group, at or around a path."""
        path = place
        while any(path == o or path.startswith(f"{o}.") for o in self.owners if o):
            path = path.rpartition(".")[0]
        return path


COUNTER = "num_batches_tracked"
"""The buffer in which batch normalization counts its training steps."""


def input_name(name: str) -> str:
    """Return a name for an input that is not a keyword of the language."""
    word = re.sub(r"\W", "_", name)
    return f"{word}_1" if word in words() else word
