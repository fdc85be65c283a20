"""Running layer statements: ops, groups, joins, calls of blocks, and `share`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from netspec.checker import symbolic
from netspec.checker.arguments import build, match, match_op, unknown_op, values, word_fields
from netspec.checker.context import BlockDefinition, Context, Made, Site, Value
from netspec.checker.layers import Layers
from netspec.checker.naming import UNKNOWN, Entry, find
from netspec.checker.scopes import Scopes, layer_path, refuse_depth
from netspec.checker.sharing import again, replay
from netspec.diagnostics import Span
from netspec.language import ast as t
from netspec.language.expressions import evaluate
from netspec.language.names import Fault, Unknown
from netspec.ops import OPS, Op
from netspec.shape import has_channels


@dataclass
class Actions:
    """Adds nodes and scopes for layer statements. `run_body` runs the statements inside a pair of braces."""

    layers: Layers
    scopes: Scopes
    run_body: Callable[[t.Body, Context, Value], Value]

    def apply(self, action: t.Apply | t.Join | t.Group, site: Site) -> Made:
        """Add the layers of one statement and return its result."""
        match action:
            case t.Group():
                return self.group(action, site)
            case t.Join():
                return self.join(action, site)
            case t.Apply(name="share"):
                return self.share(action, site)
            case t.Apply() if action.name in site.ctx.blocks:
                return self.block(action, site)
        return self.op(action, site)

    # Groups and joins

    def group(self, action: t.Group, site: Site) -> Made:
        """Run the statements of a group one after another and return the group's result."""
        naming = self.scopes.open(site)
        value = self.run_body(action.body, self.scopes.enter(site.ctx, naming), site.input)
        self.scopes.set_value(site.label, value, site.ctx.naming)
        return Made(value, naming)

    def join(self, action: t.Join, site: Site) -> Made:
        """Run a join such as `add { ... }`: apply every branch to the same input and merge the outputs."""
        place = action.span.first_line()
        op_type = OPS.find(action.name)
        if op_type is None or op_type.kind != "merge":
            merges = [name for name, op in OPS.items() if op.kind == "merge"]
            if op_type or action.name in site.ctx.blocks:
                message = f"`{action.name}` cannot merge branches; {', '.join(merges)} can"
                raise Fault("unknown-op", message, place)
            raise unknown_op(action.name, merges, place)
        naming, flow = self.scopes.open(site), site.input
        branches: list[tuple[int, Span]] = []
        self.run_body(action.body, replace(self.scopes.enter(site.ctx, naming), branches=branches), flow)
        op, _ = self.make(op_type, action, site.ctx)
        name = naming.pick(action.name, counted=False)
        first = site.span.first_line()
        value = self.layers.merge(op, naming.full(name), branches, flow or 0, first, site.ctx.calls)
        naming.add(name, Entry(value, site.span))
        naming.children.append(value)
        self.scopes.set_value(site.label, value, site.ctx.naming)
        return Made(value, naming)

    # Blocks

    def block(self, action: t.Apply, site: Site) -> Made:
        """Run the body of a block in its own scope, with its parameters bound to the call's arguments."""
        ctx, flow = site.ctx, site.input
        definition = ctx.blocks[action.name]
        refuse_recursion(action.name, site)
        name = site.label or ctx.naming.pick(snake_case(action.name))
        ctx.naming.position += 1
        arguments, symbols = call_arguments(definition, action, ctx)
        naming = ctx.naming.inner(name, numbered=False, block=action.name, arguments=arguments)
        naming.symbols, naming.defaults = symbols, symbolic.defaults(definition.tree.parameters)
        ctx.naming.add(name, Entry(UNKNOWN, site.span, naming))
        names = self.scopes.names_for(definition.names, naming, flow)
        naming.bindings = names.bindings
        names.values.update(arguments)
        names.symbols = {name: f"_{name}" for name in arguments}
        if "in_channels" not in arguments:
            names.symbols["in"] = "in_channels"
        names.block = True
        calls = (*ctx.calls, (action.span.text.partition("\n")[0], site.span))
        inner = Context(names, dict(definition.blocks), definition.defaults, naming, flow, calls)
        value = self.run_body(definition.tree.body, inner, flow)
        self.scopes.set_value(name, value, ctx.naming)
        return Made(value, naming)

    # Ops

    def op(self, action: t.Apply, site: Site) -> Made:
        """Add one layer and return the result."""
        ctx = site.ctx
        op_type = OPS.find(action.name)
        if op_type is None:
            raise unknown_op(action.name, ctx.blocks, action.span, self.arriving(site.inputs))
        inputs, named = site.inputs, site.named
        if op_type.kind == "merge":
            paths = [p for a in action.arguments if a.name is None and (p := layer_path(a.value))]
            if paths:
                inputs, named = tuple(self.scopes.resolve(p, ctx) for p in paths), True
                keyed = tuple(a for a in action.arguments if a.name is not None)
                action = replace(action, arguments=keyed)
        op, symbols = self.make(op_type, action, ctx, self.arriving(inputs))
        name = site.label or ctx.naming.pick(action.name)
        ctx.naming.position += 1
        known = [] if op.arity() == (0, 0) and not named else self.check_arity(op, inputs, site.span)
        value = self.layers.add(op, ctx.naming.full(name), known, site.span, ctx.calls)
        if symbols and value != UNKNOWN:
            self.layers.nodes[value] = replace(self.layers.nodes[value], expressions=symbols)
        if "." in name and value != UNKNOWN:
            self.layers.nodes[value] = replace(self.layers.nodes[value], within=ctx.naming.path)
        ctx.naming.add(name, Entry(value, site.span))
        ctx.naming.children.append(value)
        return Made(value)

    def check_arity(self, op: Op, inputs: tuple[Value, ...], span: Span) -> list[int]:
        """Return the ids of the nodes that compute an op's inputs.

        Raises:
            Fault: the op takes a different number of inputs, or the network has no input yet.
        """
        least, most = op.arity()
        if len(inputs) < least or (most is not None and len(inputs) > most):
            takes = {0: "no inputs", 1: "one input"}.get(least, "two or more inputs")
            raise Fault("wrong-arity", f"`{op.keyword}` takes {takes}, not {len(inputs)}", span)
        if None in inputs:
            raise Fault(
                "no-input", "this layer has no input: declare an `input` before the first layer", span
            )
        return [UNKNOWN if i is None else i for i in inputs]

    def arriving(self, inputs: tuple[Value, ...]) -> int | None:
        """Return the channels or features of an op's only input, or None if they are unknown."""
        if len(inputs) != 1 or inputs[0] in (None, UNKNOWN):
            return None
        shape = self.layers.nodes[inputs[0]].shape
        return shape.channels if has_channels(shape) else shape[-1]

    def make(
        self, op: type[Op], action: t.Apply | t.Join, ctx: Context, arriving: int | None = None
    ) -> tuple[Op, dict[str, str]]:
        """Return an op built from its arguments and the defaults in scope, and its symbolic arguments.

        The symbolic arguments are Python expressions in the parameters of the enclosing block.
        """
        matched = match_op(op, action.arguments, action.span, arriving)
        given = {**ctx.defaults.get(action.name, {}), **values(matched, ctx.names, word_fields(op))}
        symbols = {name: g.symbol for name, g in given.items() if g.symbol} if ctx.calls else {}
        return build(op, given, action.span), symbols

    # Shared layers

    def share(self, action: t.Apply, site: Site) -> Made:
        """Repeat an earlier layer or group with the same weights."""
        ctx, span = site.ctx, site.span
        path = layer_path(action.arguments[0].value) if len(action.arguments) == 1 else None
        if path is None:
            message = "`share` needs the name of one layer or group, as in `share(conv1)`"
            raise Fault("bad-argument", message, span)
        entry, flow = find(path, ctx.naming, ctx.names), site.input
        if flow is None or UNKNOWN in (flow, entry.value) or entry.value in self.layers.unsure:
            raise Unknown
        self.refuse_unsharable(path, entry, ctx)
        name = site.label or ctx.naming.pick("share")
        ctx.naming.position += 1
        if entry.inside is None:
            value = again(self.layers, entry.value, ctx.naming.full(name), [flow], span, ctx.calls)
            ctx.naming.add(name, Entry(value, span))
            ctx.naming.children.append(value)
            return Made(value)
        naming = ctx.naming.inner(name, numbered=False, shares=entry.inside.shares or entry.inside.path)
        value = replay(self.layers, entry.inside, entry.value, naming, flow, span, ctx.calls)
        ctx.naming.add(name, Entry(value, span, naming))
        return Made(value, naming)

    def refuse_unsharable(self, path: t.Path, entry: Entry, ctx: Context) -> None:
        """Check that `share` can name `path`.

        Raises:
            Fault: `path` is outside the enclosing block or group, or names a single layer that does not have
                exactly one input.
        """
        node = self.layers.nodes[entry.value]
        owner, scope = entry.inside.path if entry.inside else node.name, ctx.naming.path
        if scope and not owner.startswith(f"{scope}."):
            message = f"`{path}` is outside `{scope}`: `share` can only name layers in its own block or group"
            raise Fault(
                "unknown-layer",
                message,
                path.span,
                "use `share` in the block or group that defines the layer",
            )
        if entry.inside is None and node.op.arity() != (1, 1):
            message = f"`{path}` cannot be shared: it must have exactly one input"
            raise Fault("bad-argument", message, path.span)


def refuse_recursion(name: str, site: Site) -> None:
    """Raise a fault if a block contains itself, directly or through other blocks."""
    chain = [called.partition("(")[0] for called, _ in site.ctx.calls]
    if name in chain:
        round_ = " -> ".join([*chain[chain.index(name) :], name])
        raise Fault("block-recursion", f"a block cannot contain itself: {round_}", site.span)
    refuse_depth(site.ctx.naming, site.span)


def call_arguments(
    definition: BlockDefinition, action: t.Apply, ctx: Context
) -> tuple[dict[str, object], dict[str, str]]:
    """Return the values of a block's parameters, and Python expressions for those that depend on the caller.

    The default of a parameter can use the parameters before it.
    """
    parameters = definition.tree.parameters
    matched = match(action.name, [p.name for p in parameters], action.arguments, action.span)
    given = {**ctx.defaults.get(action.name, {}), **values(matched, ctx.names)}
    missing = [p.name for p in parameters if p.default is None and p.name not in given]
    if missing:
        needs = " and ".join(f"`{n}`" for n in missing)
        raise Fault("missing-argument", f"block `{action.name}` needs a value for {needs}", action.span)
    names, result = definition.names.child(), dict[str, object]()
    names.block = True
    for parameter in parameters:
        name = parameter.name
        if name in given:
            value, symbol = given[name].value, given[name].symbol
        else:
            assert parameter.default is not None
            value, symbol = evaluate(parameter.default, names), symbolic.symbolic(parameter.default, names)
        result[name] = names.values[name] = value
        if symbol:
            names.symbols[name] = symbol
        elif type(value) in (bool, int, float, str):
            names.symbols[name] = repr(value)
    own = {name: text for name, text in names.symbols.items() if symbolic.PARAMETER.search(text)}
    return result, own


def snake_case(name: str) -> str:
    """Return the default label of a block: `conv_bn` for `ConvBN`."""
    ends = [
        i
        for i in range(1, len(name))
        if name[i].isupper() and not (name[i - 1].isupper() or name[i - 1] == "_")
    ]
    parts = [name[i:j] for i, j in zip([0, *ends], [*ends, len(name)], strict=True)]
    return "_".join(parts).lower().lstrip("_") or "block"
