"""The classes of the generated source: scopes of one structure share one, what differs is its parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from netspec.emit.torch.forward import Wiring, forward
from netspec.emit.torch.layout import Buffer, Call, Chain, Inner, Layout, Number, Raw, write
from netspec.emit.torch.names import TAKEN, TENSORS, camel_case, identifier, member, plain, unique
from netspec.emit.torch.start import Starts
from netspec.graph import Net, Node, Scope
from netspec.ops.activation import Activation
from netspec.ops.base import Option
from netspec.ops.start import INITS
from netspec.values import python

Column = tuple[object, ...]
"""One number of a class, in each of its instances."""


@dataclass
class Instance:
    """One use of a class: its literal numbers, the instances inside it, and what the spec called it with."""

    template: Template
    numbers: list[object]
    inner: list[Instance]
    arguments: Mapping[str, object]
    in_channels: int
    parameters: dict[str, object] = field(default_factory=dict)


@dataclass
class Template:
    """A class to be written: its children's layouts by name, and the texts that fill their holes."""

    name: str
    hints: list[str]
    children: list[tuple[str, Layout]]
    starts: list[Layout]
    forward: list[str]
    inputs: list[str]
    instances: list[Instance] = field(default_factory=list)
    parameters: list[str] = field(default_factory=list)
    numbers: list[str] = field(default_factory=list)
    inner: list[str] = field(default_factory=list)

    def init(self) -> list[str]:
        """The lines of `__init__` that make the children and start their weights."""
        texts = [(name, write(layout, self.numbers, self.inner)) for name, layout in self.children]
        starts = [write(layout, self.numbers, self.inner) for layout in self.starts]
        return [*(assign(name, text) for name, text in texts), *starts]


class Slots:
    """Collects the numbers of a scope's `__init__` while its lines are laid out with holes."""

    def __init__(self) -> None:
        self.numbers: list[object] = []
        self.hints: list[str] = []
        self.inner: list[Instance] = []

    def number(self, value: object, hint: str) -> Number:
        self.numbers.append(value)
        self.hints.append(hint)
        return Number(len(self.numbers) - 1)

    def instance(self, instance: Instance) -> Inner:
        self.inner.append(instance)
        return Inner(len(self.inner) - 1)


class Classes:
    """Every class of a network, inner ones first."""

    def __init__(self, net: Net) -> None:
        self.net, self.wiring, self.starts = net, Wiring(net), Starts(net)
        self.templates: dict[str, Template] = {}
        self.used = {identifier(net.name)}
        self.shared = {n.shares for n in net.nodes if n.shares is not None}
        self.root = self.instance(net.root)
        for template in self.templates.values():
            solve(template)

    def instance(self, scope: Scope) -> Instance:
        """Lay out a scope as a class, or find the class that is laid out alike."""
        slots = Slots()
        children = self.children(scope, slots)
        starts = list(self.started(scope, "self", slots))
        io = self.wiring.interface(scope)
        inputs = self.inputs(scope)
        body = forward(self.wiring, scope, inputs)
        kinds = [type(n).__name__ for n in slots.numbers]
        held = [i.template.name for i in slots.inner]
        key = repr((scope.block or scope.name, children, starts, body, held, kinds))
        if key not in self.templates:
            name = (
                identifier(self.net.name)
                if not scope.path
                else unique(scope.block or camel_case(scope.name), self.used | TAKEN)
            )
            self.used.add(name)
            self.templates[key] = Template(name, slots.hints, children, starts, body, [n for _, n in inputs])
        channels = self.net.nodes[io.inputs[0]].shape.channels if io.inputs else 0
        made = Instance(self.templates[key], slots.numbers, slots.inner, scope.arguments, channels)
        self.templates[key].instances.append(made)
        return made

    def inputs(self, scope: Scope) -> list[tuple[int, str]]:
        """The values that forward takes, with their names."""
        ids = [n.id for n in self.net.inputs] if not scope.path else list(self.wiring.interface(scope).inputs)
        if len(ids) == 1:
            return [(ids[0], "x")]
        named: dict[int, str] = {}
        for i in ids:
            named[i] = unique(self.net.nodes[i].label, named.values())
        return list(named.items())

    def children(self, scope: Scope, slots: Slots) -> list[tuple[str, Layout]]:
        """A scope's modules by name."""
        made: list[tuple[str, Layout]] = []
        for child in scope.children:
            if isinstance(child, Scope):
                if child.shares is None and not self.wiring.idle(child):
                    made.append((child.name, self.module(child, slots)))
                continue
            node = self.net.nodes[child]
            if (
                node.shares is None
                and (node.tensors or not self.functional(node))
                and node.op.kind != "input"
            ):
                made.append((node.label, self.leaf(node, slots)))
        return made

    def started(self, scope: Scope, target: str, slots: Slots) -> Iterator[Layout]:
        """The calls that start the weights of a scope's own layers, those in its nn.Sequential included."""
        counted = [c.name if isinstance(c, Scope) else self.net.nodes[c].label for c in scope.children]
        indexed = target != "self" and counted == [str(k) for k in range(len(counted))]
        for child, name in zip(scope.children, counted, strict=True):
            if isinstance(child, Scope):
                if child.shares is None and not child.block and self.chained(child):
                    yield from self.started(
                        child, f"{target}{f'[{name}]' if indexed else member(name)}", slots
                    )
                continue
            node = self.net.nodes[child]
            kind = TENSORS.get(node.op.keyword, "submodule")
            place = f"{target}{f'[{name}]' if indexed else member(name, kind)}"
            for tensor, call in self.starts.beside(node):
                given = [k for k in INITS[call.name] if k in call.kwargs]
                options = tuple((k, slots.number(call.kwargs[k], f"{name}_{k}"), ...) for k in given)
                text = place + "".join(f"[{p}]" if p.isdigit() else f".{p}" for p in tensor.split(".") if p)
                yield Call(f"nn.init.{call.name}_", (Raw(text),), options)

    def functional(self, node: Node) -> bool:
        """Whether a layer needs no module in a written-out forward."""
        return node.op.expression(*["x"] * len(node.inputs)) is not None

    def leaf(self, node: Node, slots: Slots) -> Layout:
        if node.op.kind != "tensor":
            return self.code(node, slots, node.label)
        sizes = tuple(
            slots.number(n, f"{node.label}_{'channels' if k == 0 else 'size'}")
            for k, n in enumerate(node.tensors[0].shape)
        )
        zeros = Call("torch.zeros", sizes, ())
        return Call("nn.Parameter", (zeros,), ()) if node.op.keyword == "param" else Buffer(node.label, zeros)

    def code(self, node: Node, slots: Slots, label: str) -> Call:
        """A leaf module with its numbers as holes, options at PyTorch's defaults left to the rendering."""
        made = node.op.module(*self.net.shapes(node))
        assert made is not None
        options = dict(made.options)
        if isinstance(node.op, Activation) and node.op.in_place:
            options["inplace"] = Option(self.may_overwrite(node), False)
        hints = {"nn.Conv2d": ("in", "channels", "kernel"), "nn.Linear": ("in", "features")}.get(
            made.function, ()
        )
        words = [hints[k] if k < len(hints) else "size" for k in range(len(made.args))]
        args = [slots.number(arg, f"{label}_{word}") for arg, word in zip(made.args, words, strict=True)]
        given = [(key, slots.number(o.value, f"{label}_{key}"), o.default) for key, o in options.items()]
        return Call(made.function, tuple(args), tuple(given))

    def may_overwrite(self, node: Node) -> bool:
        """Whether an activation may work in place: nothing else reads its input, nor does a backward pass."""
        source = self.net.nodes[node.inputs[0]]
        alone = list(self.wiring.real_users(source.id)) == [node.id] and source.id not in self.wiring.returned
        return alone and source.op.fresh and node.id not in self.shared and node.shares is None

    def module(self, scope: Scope, slots: Slots) -> Layout:
        """A scope as its parent writes it: an nn.Sequential where it is a plain chain, else an own class."""
        if scope.block or not self.chained(scope):
            return slots.instance(self.instance(scope))
        parts: list[tuple[str, Layout]] = []
        for child in scope.children:
            if isinstance(child, Scope):
                parts.append((child.name, self.module(child, slots)))
            else:
                node = self.net.nodes[child]
                parts.append((node.label, self.code(node, slots, f"{scope.name}_{node.label}")))
        return Chain(tuple(parts))

    def chained(self, scope: Scope) -> bool:
        """Whether each child takes the value of the one before, and nothing leaves but the last value."""
        io, value = self.wiring.interface(scope), None
        if len(io.inputs) != 1 or len(io.outputs) != 1 or scope.shares:
            return False
        for child in scope.children:
            if isinstance(child, Scope):
                inner = self.wiring.interface(child)
                inputs, outputs = inner.inputs, inner.outputs
                plain = child.shares is None and len(outputs) == 1 and not self.wiring.idle(child)
            else:
                node = self.net.nodes[child]
                inputs, outputs = tuple(self.wiring.alias[i] for i in node.inputs), (child,)
                plain = (
                    node.shares is None
                    and node.op.keyword != "identity"
                    and node.op.kind not in ("tensor", "merge", "input")
                )
                shapes = self.net.shapes(node)
                plain = plain and node.op.module(*shapes) is not None and node.op.call("", *shapes) == "({})"
            expected = io.inputs if value is None else (value,)
            if not plain or inputs != expected:
                return False
            value = outputs[0]
        users = {u for i in list(scope.ids())[:-1] for u in self.wiring.real_users(i)}
        return io.outputs == (value,) and users <= set(scope.ids())


def assign(name: str, text: str) -> str:
    """The statement that gives a module its child."""
    if text.startswith("self.register_buffer("):
        return text
    if plain(name):
        return f"self.{name} = {text}"
    register = "register_parameter" if text.startswith("nn.Parameter(") else "add_module"
    return f"self.{register}({python(name)}, {text})"


def solve(template: Template) -> None:
    """Name what differs between the instances of a class, after the spec's own parameters where they fit."""
    instances = template.instances
    known: dict[str, Column] = {"in_channels": tuple(i.in_channels for i in instances)}
    for name in instances[0].arguments:
        values = tuple(i.arguments.get(name) for i in instances)
        if all(isinstance(v, int | float | tuple) for v in values) and name != "in_channels":
            known[identifier(name)] = values
    parameters: dict[str, Column] = {}

    def text(column: Column, hint: str) -> str:
        if all(v == column[0] and type(v) is type(column[0]) for v in column):
            return python(column[0])
        for name, words in expressions(column, known):
            parameters[name] = known[name]
            return words
        name = next((n for n, c in parameters.items() if c == column), None) or unique(
            hint, [*parameters, *known]
        )
        parameters[name] = column
        return name

    columns = list(zip(*(i.numbers for i in instances), strict=True))
    template.numbers = [text(c, identifier(h)) for c, h in zip(columns, template.hints, strict=True)]
    for place, child in enumerate(instances[0].inner):
        arguments = [
            text(tuple(i.inner[place].parameters[p] for i in instances), p) for p in child.template.parameters
        ]
        template.inner.append(f"{child.template.name}({', '.join(arguments)})")
    order = [*(n for n in known if n in parameters), *(n for n in parameters if n not in known)]
    template.parameters = order
    for k, made in enumerate(instances):
        made.parameters = {name: parameters[name][k] for name in order}


def expressions(column: Column, known: Mapping[str, Column]) -> list[tuple[str, str]]:
    """How a column of numbers follows from one known parameter: itself, a multiple, or a part."""
    found = [(name, name) for name, values in known.items() if values == column]
    whole = [c for c in column if isinstance(c, int) and not isinstance(c, bool)]
    if found or len(whole) != len(column):
        return found
    for name, values in known.items():
        if not all(isinstance(v, int) and v > 0 for v in values):
            continue
        pairs = [(c, v) for c, v in zip(whole, values, strict=True) if isinstance(v, int)]
        factor, part = pairs[0][0] // pairs[0][1], pairs[0][1] // max(pairs[0][0], 1)
        if factor > 1 and all(c == factor * v for c, v in pairs):
            found.append((name, f"{factor} * {name}"))
        elif part > 1 and all(c == v // part for c, v in pairs):
            found.append((name, f"{name} // {part}"))
    return found
