"""The classes of the generated source; scopes with the same structure share one class."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence, Set

from netspec.emit.torch.forward import forward
from netspec.emit.torch.layout import Bag, Buffer, Call, Chain, Held, Layout, Raw
from netspec.emit.torch.names import TAKEN, TENSORS, camel_case, identifier, unique
from netspec.emit.torch.start import Starts
from netspec.emit.torch.symbols import MARK, Symbols, marked, parsed
from netspec.emit.torch.templates import Instance, Slots, Template, solve
from netspec.emit.torch.wiring import Wiring
from netspec.graph import Net, Node, Scope
from netspec.ops.activation import Activation
from netspec.ops.base import Option
from netspec.ops.start import INITS


class Classes:
    """The classes of a network, in the order of their definition: each follows the classes that it uses."""

    def __init__(self, net: Net, name: str, reserved: Set[str] = frozenset()) -> None:
        self.net, self.symbols, self.starts = net, Symbols(net), Starts(net)
        self.wiring = Wiring(net, self.symbols.op)
        self.templates: dict[str, Template] = {}
        self.name = name
        self.used = {name, *reserved}
        self.shared = {n.shares for n in net.nodes if n.shares is not None}
        self.root = self.instance(net.root)
        for template in self.templates.values():
            solve(template)

    def instance(self, scope: Scope) -> Instance:
        """Return an instance of the class for a scope; scopes with the same layout share a class."""
        slots = Slots()
        sequential = bool(scope.path) and self.chained(scope) and counted(self.labels(scope))
        if sequential:
            children = [(name, self.part(child, slots)) for name, child in self.named(scope)]
        else:
            children = self.children(scope, slots)
        starts = list(self.started(scope, "self", sequential, slots))
        inputs = self.inputs(scope)
        body = [
            marked(line, lambda n: f"{MARK}{slots.number(n, 'size').place}{MARK}")
            for line in forward(self.wiring, scope, inputs)
        ]
        owner = self.symbols.owners[scope.path]
        made = Instance(
            template=None,  # type: ignore[arg-type]  # set below
            numbers=slots.numbers,
            expressions=[],
            inner=slots.inner,
            values=self.symbols.values[owner.path],
            arguments=self.symbols.arguments.get(scope.path),
            defaults={identifier(n): v for n, v in scope.defaults.items()},
            bindings=self.symbols.bindings.get(scope.path, {}),
        )
        made.expressions = [made.canonical(e) for e in slots.expressions]
        kinds = [type(n).__name__ for n in slots.numbers]
        texts = [e and ast.unparse(e) for e in made.expressions]
        held = [i.template.name for i in slots.inner]
        key = repr((scope.block or scope.name, children, starts, body, sequential, held, kinds, texts))
        if key not in self.templates:
            name = (
                self.name
                if not scope.path
                else unique(scope.block or camel_case(titled(scope.path)), self.used | TAKEN)
            )
            self.used.add(name)
            self.templates[key] = Template(
                name, slots.hints, children, starts, body, [n for _, n in inputs], sequential
            )
        made.template = self.templates[key]
        self.templates[key].instances.append(made)
        return made

    def inputs(self, scope: Scope) -> list[tuple[int, str]]:
        """Return the inputs of a scope's `forward`: the id of each node, and the name of its parameter."""
        ids = [n.id for n in self.net.inputs] if not scope.path else list(self.wiring.interface(scope).inputs)
        if len(ids) == 1:
            return [(ids[0], "x")]
        named: dict[int, str] = {}
        for i in ids:
            named[i] = unique(self.net.nodes[i].label, named.values())
        return list(named.items())

    def children(self, scope: Scope, slots: Slots) -> list[tuple[str, Layout]]:
        """Return the name and layout of each module that a scope contains."""
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
        held = [part for part in made if self.path(scope, part[0]) in self.wiring.held]
        rest = [(name, None if (name, layout) in held else layout) for name, layout in made]
        return [*contained(rest), *(self.registered(scope, *part) for part in held)]

    def path(self, scope: Scope, label: str) -> str:
        """Return the path of a scope's child."""
        return f"{scope.path}.{label}" if scope.path else label

    def registered(self, scope: Scope, label: str, layout: Layout) -> tuple[str, Layout]:
        """Return the registration of a raw tensor in a container of modules."""
        outer, _, name = label.rpartition(".")
        assert isinstance(layout, Call | Buffer)
        return label, Held(self.wiring.access("self", scope.path, outer), name, layout)

    def labels(self, scope: Scope) -> list[str]:
        """Return the names of a scope's children."""
        return [c.name if isinstance(c, Scope) else self.net.nodes[c].label for c in scope.children]

    def named(self, scope: Scope) -> Iterator[tuple[str, Scope | int]]:
        return zip(self.labels(scope), scope.children, strict=True)

    def started(self, scope: Scope, target: str, indexed: bool, slots: Slots) -> Iterator[Layout]:
        """Yield the calls that initialize a scope's own layers, including layers in nested nn.Sequentials."""
        for name, child in self.named(scope):
            place = f"{target}[{name}]" if indexed else self.wiring.access(target, scope.path, name)
            if isinstance(child, Scope):
                if child.shares is None and not child.block and self.chained(child):
                    yield from self.started(child, place, counted(self.labels(child)), slots)
                continue
            node = self.net.nodes[child]
            if node.op.kind == "tensor":
                place = self.wiring.access(target, scope.path, name, TENSORS[node.op.keyword])
            for tensor, call in self.starts.beside(node):
                given = [k for k in INITS[call.name] if k in call.kwargs]
                options = tuple((k, slots.number(call.kwargs[k], f"{name}_{k}"), ...) for k in given)
                text = place + "".join(f"[{p}]" if p.isdigit() else f".{p}" for p in tensor.split(".") if p)
                yield Call(f"nn.init.{call.name}_", (Raw(text),), options)

    def functional(self, node: Node) -> bool:
        """Return True if a layer is an expression in `forward` and needs no module."""
        return node.op.torch_expr(*["x"] * len(node.inputs)) is not None

    def leaf(self, node: Node, slots: Slots) -> Layout:
        if node.op.kind != "tensor":
            return self.code(node, slots, node.label)
        (tensor,) = self.symbols.op(node).tensors(*self.symbols.shapes(self.owner(node), node))
        sizes = tuple(
            slots.number(n, f"{node.label}_{'channels' if k == 0 else 'size'}")
            for k, n in enumerate(tensor.shape)
        )
        dtype = getattr(node.op, "dtype", "float32")
        typed = () if dtype == "float32" else (Raw(f"dtype=torch.{dtype}"),)
        zeros = Call("torch.zeros", (*(sizes or (Raw("()"),)), *typed), ())
        return Call("nn.Parameter", (zeros,), ()) if node.op.keyword == "param" else Buffer(node.label, zeros)

    def code(self, node: Node, slots: Slots, label: str) -> Call:
        """Return the call that creates a layer's module, with placeholders for its numbers.

        `write` later leaves out options that have their default values.
        """
        owner = self.owner(node)
        made = self.symbols.op(node).torch_module(*self.symbols.shapes(owner, node))
        assert made is not None
        options = dict(made.options)
        if isinstance(node.op, Activation) and node.op.in_place:
            options["inplace"] = Option(self.may_overwrite(node), False)
        hints = {"nn.Conv2d": ("in", "channels", "kernel"), "nn.Linear": ("in", "features")}.get(
            made.function, ()
        )
        label = node.op.keyword if label.isdigit() else label
        words = [hints[k] if k < len(hints) else "size" for k in range(len(made.args))]
        args = [slots.number(arg, f"{label}_{word}") for arg, word in zip(made.args, words, strict=True)]
        given = [
            (key, slots.number(o.value, f"{label}_{key}", self.option(node, key, o)), o.default)
            for key, o in options.items()
        ]
        return Call(made.function, tuple(args), tuple(given))

    def owner(self, node: Node) -> Scope:
        """Return the innermost block around a layer, or the network."""
        return self.symbols.owners[node.scope]

    def option(self, node: Node, key: str, option: Option) -> ast.expr | None:
        """Return the spec's expression for an option such as `bias` that is not a number, or None."""
        if key in node.expressions and getattr(node.op, key, None) == option.value:
            return parsed(node.expressions[key])
        return None

    def may_overwrite(self, node: Node) -> bool:
        """Return True if an activation may overwrite its input: no other layer and no gradient needs it."""
        source = self.net.nodes[node.inputs[0]]
        alone = list(self.wiring.real_users(source.id)) == [node.id] and source.id not in self.wiring.returned
        return alone and source.op.new_memory and node.id not in self.shared and node.shares is None

    def module(self, scope: Scope, slots: Slots) -> Layout:
        """Return the layout of a scope in its parent: nn.Sequential for a plain chain, otherwise a class."""
        if scope.block or not self.chained(scope):
            return slots.instance(self.instance(scope))
        return Chain(tuple((name, self.part(child, slots, scope.name)) for name, child in self.named(scope)))

    def part(self, child: Scope | int, slots: Slots, around: str = "") -> Layout:
        """Return the layout of one child of an nn.Sequential."""
        if isinstance(child, Scope):
            return self.module(child, slots)
        node = self.net.nodes[child]
        return self.code(node, slots, "_".join(x for x in (around, node.label) if x))

    def chained(self, scope: Scope) -> bool:
        """Return True if a scope is a plain chain, so that it can be an nn.Sequential.

        Each child must use only the output of the previous child, and only the last may be used outside.
        """
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
                plain = (
                    plain
                    and node.op.torch_module(*shapes) is not None
                    and node.op.torch_call("", *shapes) == "({})"
                )
            expected = io.inputs if value is None else (value,)
            if not plain or inputs != expected:
                return False
            value = outputs[0]
        users = {u for i in list(scope.ids())[:-1] for u in self.wiring.real_users(i)}
        return io.outputs == (value,) and users <= set(scope.ids())


def contained(modules: Sequence[tuple[str, Layout | None]]) -> list[tuple[str, Layout]]:
    """Put modules with labels such as `convs.0` into a container named `convs`, in place of the first one.

    Modules without a layout are left out; they are registered in their container later.
    """
    made: dict[str, Layout | list[tuple[str, Layout | None]]] = {}
    for name, layout in modules:
        first, dot, rest = name.partition(".")
        if not dot and layout is not None:
            made[name] = layout
        elif dot:
            inside = made.setdefault(first, [])
            assert isinstance(inside, list)
            inside.append((rest, layout))
    return [(n, Bag(tuple(contained(m))) if isinstance(m, list) else m) for n, m in made.items()]


def counted(labels: list[str]) -> bool:
    """Return True if the labels are 0, 1, 2, ..., as in an nn.Sequential."""
    return labels == [str(k) for k in range(len(labels))]


def titled(path: str) -> str:
    """Return the end of a path, from its last name that is not a number."""
    parts = path.split(".")
    words = [k for k, part in enumerate(parts) if not part.isdigit()]
    return "_".join(parts[words[-1] if words else 0 :])
