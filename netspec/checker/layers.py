"""The layers added so far, with their shapes, tensors, costs and receptive fields."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from netspec.checker.naming import UNKNOWN
from netspec.checker.refusals import refuse_sizes, refuse_starts
from netspec.diagnostics import Label, Span
from netspec.graph import Field, Node
from netspec.language.names import Fault
from netspec.ops import Input, Op
from netspec.shape import Shape, ShapeError

Calls = tuple[tuple[str, Span], ...]
MOST_REPEATED = 4
"""The maximum number of shapes that a diagnostic shows for a layer repeated by a loop."""


@dataclass
class Layers:
    """Appends nodes in order of execution, and infers their properties."""

    nodes: list[Node] = field(default_factory=list)
    extent: dict[int, tuple[int, int]] = field(default_factory=dict)
    """The height and width of the largest network input that a node depends on, keyed by the node's id."""
    sites: dict[int, Calls] = field(default_factory=dict)
    """The block calls that led to each node, outermost first, keyed by the node's id."""
    unsure: set[int] = field(default_factory=set)
    """The ids of placeholders for failed layers."""
    claimed: set[int] = field(default_factory=set)
    """The ids of nodes whose claimed shape is correct; the search for the cause of an error stops there."""
    meant: dict[int, Shape] = field(default_factory=dict)
    """The shapes that nodes would have if all wrong claims before them were true, where these differ.

    Errors that follow from a wrong claim are not reported again.
    """

    def input(self, name: str, op: Input, span: Span) -> int:
        """Append an input and return its id."""
        shape = op.infer()
        self.extent[len(self.nodes)] = shape.hw if len(shape) > 2 else (1, 1)
        self.nodes.append(Node(len(self.nodes), name, op, (), shape, span))
        return len(self.nodes) - 1

    def first_input(self) -> int | None:
        """Return the id of the first input, or None if there is none yet."""
        return next((n.id for n in self.nodes if n.op.kind == "input"), None)

    def stand_in(self, shape: Shape | None, span: Span) -> int:
        """Add a placeholder with the claimed shape of a layer that failed and return its id.

        Returns UNKNOWN if `shape` is None.
        """
        if shape is None:
            return UNKNOWN
        value = self.input("?", Input(shape=shape), span)
        self.unsure.add(value)
        return value

    def add(
        self, op: Op, name: str, inputs: Sequence[int], span: Span, calls: Calls, shares: int | None = None
    ) -> int:
        """Append a layer and return its id, or UNKNOWN if an input is unknown.

        Raises:
            Fault: the op does not accept the shapes of its inputs.
        """
        if UNKNOWN in inputs:
            try:
                op.check_arguments()
            except ShapeError as error:
                raise self.fault(error, name, op, (), span, calls) from None
            return UNKNOWN
        sources = [self.nodes[i] for i in inputs]
        shapes, batched = [n.shape for n in sources], self.batched(op, sources, span)
        meant = self.meant_by(op, inputs)
        try:
            shape = op.output(*shapes)
        except ShapeError as error:
            if meant is not None:
                return self.stand_in(meant, span)
            raise self.fault(error, name, op, inputs, span, calls) from None
        tensors, cost = op.tensors(*shapes), op.cost(*shapes, y=shape)
        refuse_sizes(op, shape, tensors, span)
        refuse_starts(op, tensors, span)
        node = Node(
            len(self.nodes),
            name,
            op,
            tuple(inputs),
            shape,
            span,
            cost,
            tensors,
            self.receptive_field(op, sources),
            shares,
            batched,
        )
        self.nodes.append(node)
        if meant not in (None, shape):
            self.meant[node.id] = meant
        if calls:
            self.sites[node.id] = calls
        return node.id

    def meant_by(self, op: Op, inputs: Sequence[int]) -> Shape | None:
        """Return the shape that a layer would have if all wrong claims before it were true.

        Returns None if no claim that it depends on is wrong, or if it would fail with the claimed shapes too.
        """
        if not any(i in self.meant for i in inputs):
            return None
        try:
            return op.output(*(self.meant.get(i, self.nodes[i].shape) for i in inputs))
        except ShapeError:
            return None

    def batched(self, op: Op, sources: Sequence[Node], span: Span) -> bool:
        """Return True if a layer's output has a batch axis. A join has one if any of its inputs has."""
        mixed = any(n.batched for n in sources)
        if op.kind == "tensor" or all(n.batched for n in sources):
            return op.kind != "tensor"
        if op.mixes_raw or (op.takes_raw and not mixed):
            return mixed
        bare = next(n.label for n in sources if not n.batched)
        message = f"`{op.keyword}` needs a batch, but `{bare}` is a raw tensor without one"
        raise Fault("no-batch", message, span, "combine it with other inputs with `add`, `mul` or `concat`")

    def receptive_field(self, op: Op, sources: Sequence[Node]) -> tuple[Field, Field]:
        """Return the receptive field of a layer, computed from those of its inputs."""
        if not sources:
            self.extent[len(self.nodes)] = (1, 1)
            return Field(), Field()
        extents = [self.extent[n.id] for n in sources]
        self.extent[len(self.nodes)] = whole = max(extents)
        reach = op.reach(*(n.shape for n in sources)) if len(sources) == 1 else ((1, 1, 0), (1, 1, 0))
        if reach is None:
            return Field(whole[0], whole[0]), Field(whole[1], whole[1])
        flows = [n for n in sources if n.batched] or list(sources)
        height, width = (
            Field(size + (kernel - 1) * step, step * stride)
            for axis, (kernel, stride, _) in enumerate(reach)
            for size in [max(n.receptive_field[axis].size for n in flows)]
            for step in [min(n.receptive_field[axis].step for n in flows)]
        )
        return height, width

    def fault(
        self, error: ShapeError, name: str, op: Op, inputs: Sequence[int], span: Span, calls: Calls
    ) -> Fault:
        """Return an op's error as a fault at `span`, labelled with the layers that led to its inputs."""
        label = name.rpartition(".")[2]
        shown = f"{label}: {error.message}" if label != op.keyword else error.message
        fault = Fault(error.code, shown, span, error.help)
        axes = self.differing_axes(inputs)
        labels = tuple(dict.fromkeys(x for i in inputs for x in self.origin(i, 3, calls, axes=axes)))
        notes = (error.note,) if error.note else ()
        text = self.operands(name, inputs) if error.code == "branches-disagree" else ""
        fault.diagnostic = replace(fault.diagnostic, labels=labels, notes=notes, text=text)
        return fault

    def operands(self, name: str, inputs: Sequence[int]) -> str:
        """Describe the inputs of the layer `name` by their names in its scope, as in `a gives 64x29x29`."""
        scope = name.rpartition(".")[0]
        inside = f"{scope}." if scope else ""
        nodes = [self.nodes[i] for i in inputs]
        names = [n.name.removeprefix(inside).partition(".")[0] for n in nodes]
        return ", ".join(f"{short} gives {n.shape}" for short, n in zip(names, nodes, strict=True))

    def chain(self, value: int) -> list[Node]:
        """Return the layers that lead to a node, back to the nearest join, input or claimed shape."""
        chain = [self.nodes[value]]
        while (before := self.before(chain[0])) and chain[0].id not in self.unsure:
            if before.id in self.claimed or before.op.kind == "input":
                break
            chain.insert(0, before)
        return chain

    def before(self, node: Node) -> Node | None:
        """Return the node that computes the input of a node, or None if there are several inputs.

        Raw tensors do not count as inputs.
        """
        flows = [self.nodes[i] for i in node.inputs if self.nodes[i].batched]
        return flows[0] if len(flows) == 1 else None

    def origin(
        self, value: int, most: int, calls: Calls, since: int = -1, axes: slice = slice(None)
    ) -> list[Label]:
        """Return labels for the last layers, at most `most`, that changed the sizes in `axes`.

        Layers with ids up to `since` are skipped. A layer inside a block is labelled at the block's call,
        unless that call is one of `calls`, which led to the diagnostic.
        """
        if value == UNKNOWN:
            return []
        chain = [n for n in self.chain(value) if n.inputs and n.id > since]
        changed = [n for n in chain if self.resized(n, axes) and n.id not in self.unsure]
        if since >= 0 and not changed:
            return []
        grouped: dict[Span, list[Node]] = {}
        for node in changed:
            grouped.setdefault(self.place(node, calls), []).append(node)
        labels = [
            Label(span, self.summarize(nodes)) for span, nodes in list(grouped.items())[-max(most, 1) :]
        ]
        if not labels:
            node = self.nodes[value]
            return [Label(self.place(node, calls), f"the output here is {node.shape}")]
        return labels

    def resized(self, node: Node, axes: slice) -> bool:
        """Return True if a layer changed a size in `axes` and did more than permute the axes."""
        source = self.before(node)
        before, after = (source or self.nodes[node.inputs[0]]).shape, node.shape
        return before[axes] != after[axes] and (len(after) < 3 or sorted(before) != sorted(after))

    def place(self, node: Node, calls: Calls) -> Span:
        """Return the span of a layer, or of the call of its block if that block is not among `calls`."""
        own = self.sites.get(node.id, ())
        return own[len(calls)][1] if len(own) > len(calls) and own[: len(calls)] == calls else node.span

    def summarize(self, nodes: Sequence[Node]) -> str:
        """Describe the layers of one label: a single layer by its arithmetic, several by their shapes."""
        if len(nodes) == 1:
            return self.describe(nodes[0])
        if len({n.span for n in nodes}) == 1:  # the same statement, repeated by a loop
            steps = [f"{self.nodes[n.inputs[0]].shape} -> {n.shape}" for n in nodes[-MOST_REPEATED:]]
            return ", ".join(["..."] * (len(nodes) > MOST_REPEATED) + steps)
        return f"{self.nodes[nodes[0].inputs[0]].shape} -> {nodes[-1].shape}"

    def describe(self, node: Node) -> str:
        """Describe a layer by its input and output shapes, and the arithmetic between them."""
        shapes = [self.nodes[i].shape for i in node.inputs]
        sums = node.op.explain(*shapes, y=node.shape)
        before = " and ".join(map(str, shapes))
        return f"{before} -> {node.shape}" + (f": {', '.join(sums)}" if sums else "")

    def merge(
        self, op: Op, name: str, branches: Sequence[tuple[int, Span]], flow: int, span: Span, calls: Calls
    ) -> int:
        """Append a join of branches with the common input `flow`. A fault about shapes labels each branch."""
        if len(branches) < 2:
            count = "one" if branches else "none"
            raise Fault("wrong-arity", f"`{op.keyword}` needs two or more branches, not {count}", span)
        try:
            return self.add(op, name, [value for value, _ in branches], span, calls)
        except Fault as fault:
            if fault.diagnostic.code == "branches-disagree":
                labels = [
                    Label(s.first_line(), f"the output of this branch is {self.nodes[v].shape}")
                    for v, s in branches
                ]
                axes = self.differing_axes([v for v, _ in branches])
                led = [x for v, s in branches for x in self.origin(v, 4, calls, flow, axes) if x.span != s]
                fault.diagnostic = replace(
                    fault.diagnostic, labels=tuple(dict.fromkeys((*labels, *led))), text=""
                )
            raise

    def differing_axes(self, values: Sequence[int]) -> slice:
        """Return the axes to compare: height and width if images differ in those, otherwise all axes."""
        images = len(values) > 1 and all(len(self.nodes[v].shape) == 3 for v in values)
        spatial = images and len({self.nodes[v].shape[1:] for v in values}) > 1
        return slice(1, None) if spatial else slice(None)
