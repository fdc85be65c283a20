"""Layer statements: ops, groups, joins, blocks and shared layers become nodes and scopes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from netspec.checker.arguments import build, match, unknown_op, values, word_fields
from netspec.checker.context import BlockDefinition, Context, Made, Site, Value
from netspec.checker.layers import Layers
from netspec.checker.naming import UNKNOWN, Entry, Naming, find
from netspec.diagnostics import Span
from netspec.language import ast as t
from netspec.language.expressions import Fault, Names, Unknown, evaluate
from netspec.ops import OPS, Op
from netspec.shape import Shape

DEEPEST = 120


@dataclass
class Applier:
    """Applies what a layer statement names; `run` runs the statements of a body."""

    layers: Layers
    run: Callable[[t.Body, Context, Value], Value]

    def apply(self, action: t.Apply | t.Join | t.Group, site: Site) -> Made:
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

    # What names stand for

    def resolve(self, path: t.Path, ctx: Context) -> Value:
        """The value of a layer named after `<-`, or of `in`."""
        if path.parts == ("in",):
            return ctx.input if ctx.calls else self.layers.first_input()
        return find(path, ctx.naming, ctx.names).value

    def shape_of(self, expr: t.Expr, naming: Naming, names: Names, block_input: Value) -> Shape | None:
        """The shape that `in.channels` or `conv1.height` asks for, or None where no layer is meant."""
        path = layer_path(expr)
        if path is None or isinstance(expr, t.Literal):
            return None
        if path.parts == ("in",):
            value = self.layers.first_input() if block_input is None else block_input
            if value is None:
                return None
        else:
            try:
                value = find(path, naming, names).value
            except Fault:
                return None
        if value == UNKNOWN:
            raise Unknown
        return self.layers.nodes[value].shape

    def names_for(self, parent: Names, naming: Naming, block_input: Value) -> Names:
        """Names for the inside of a scope, from which its layers' shapes can be asked."""
        names = parent.child()
        names.shape_of = lambda expr: self.shape_of(expr, naming, names, block_input)
        return names

    def enter(self, ctx: Context, naming: Naming) -> Context:
        names = self.names_for(ctx.names, naming, ctx.input)
        return replace(ctx, names=names, naming=naming, branches=None, blocks=dict(ctx.blocks))

    # Groups and joins

    def scope(self, site: Site) -> Naming:
        """A labelled group's own scope, or the one around an anonymous group."""
        outer = site.ctx.naming
        if site.label is None:
            return outer
        outer.position += 1
        refuse_depth(outer, site.span)
        naming = outer.inner(site.label, numbered=True)
        outer.add(site.label, Entry(UNKNOWN, site.span, naming))
        return naming

    def group(self, action: t.Group, site: Site) -> Made:
        naming = self.scope(site)
        value = self.run(action.body, self.enter(site.ctx, naming), site.input)
        self.settle(site.label, value, site.ctx.naming)
        return Made(value, naming)

    def settle(self, label: str | None, value: Value, naming: Naming) -> None:
        """Now that a scope's value is known, let its label stand for it."""
        if label:
            naming.entries[label].value = UNKNOWN if value is None else value

    def join(self, action: t.Join, site: Site) -> Made:
        """Feed the flow to every branch and merge what they give."""
        place = action.span.first_line()
        op_type = OPS.find(action.name)
        if op_type is None or op_type.kind != "merge":
            merges = [name for name, op in OPS.items() if op.kind == "merge"]
            if op_type or action.name in site.ctx.blocks:
                message = f"`{action.name}` does not merge branches; {', '.join(merges)} do"
                raise Fault("unknown-op", message, place)
            raise unknown_op(action.name, merges, place)
        naming, flow = self.scope(site), site.input
        branches: list[tuple[int, Span]] = []
        self.run(action.body, replace(self.enter(site.ctx, naming), branches=branches), flow)
        op = self.make(op_type, action, site.ctx)
        name = naming.pick(action.name, counted=False)
        first = site.span.first_line()
        value = self.layers.merge(op, naming.full(name), branches, flow or 0, first, site.ctx.calls)
        naming.add(name, Entry(value, site.span))
        naming.children.append(value)
        self.settle(site.label, value, site.ctx.naming)
        return Made(value, naming)

    # Blocks

    def block(self, action: t.Apply, site: Site) -> Made:
        """Call a block: its body runs in a scope of its own, with its arguments as names."""
        ctx, flow = site.ctx, site.input
        definition = ctx.blocks[action.name]
        refuse_recursion(action.name, site)
        name = site.label or ctx.naming.pick(snake_case(action.name))
        ctx.naming.position += 1
        arguments = call_arguments(definition, action, ctx)
        naming = ctx.naming.inner(name, numbered=False, block=action.name, arguments=arguments)
        ctx.naming.add(name, Entry(UNKNOWN, site.span, naming))
        names = self.names_for(definition.names, naming, flow)
        names.values.update(arguments)
        calls = (*ctx.calls, (action.span.text.partition("\n")[0], site.span))
        inner = Context(names, dict(definition.blocks), definition.defaults, naming, flow, calls)
        value = self.run(definition.tree.body, inner, flow)
        self.settle(name, value, ctx.naming)
        return Made(value, naming)

    # Ops

    def op(self, action: t.Apply, site: Site) -> Made:
        """Build one layer of an op and let its shape follow from its inputs'."""
        ctx = site.ctx
        op_type = OPS.find(action.name)
        if op_type is None:
            raise unknown_op(action.name, ctx.blocks, action.span)
        inputs, named = site.inputs, site.named
        if op_type.kind == "merge":
            paths = [p for a in action.arguments if a.name is None and (p := layer_path(a.value))]
            if paths:
                inputs, named = tuple(self.resolve(p, ctx) for p in paths), True
                keyed = tuple(a for a in action.arguments if a.name is not None)
                action = replace(action, arguments=keyed)
        op = self.make(op_type, action, ctx)
        name = site.label or ctx.naming.pick(action.name)
        ctx.naming.position += 1
        known = [] if op.arity() == (0, 0) and not named else self.check_arity(op, inputs, site.span)
        value = self.layers.add(op, ctx.naming.full(name), known, site.span, ctx.calls)
        ctx.naming.add(name, Entry(value, site.span))
        ctx.naming.children.append(value)
        return Made(value)

    def check_arity(self, op: Op, inputs: tuple[Value, ...], span: Span) -> list[int]:
        """The inputs, if they are as many as the op takes."""
        least, most = op.arity()
        if len(inputs) < least or (most is not None and len(inputs) > most):
            takes = {0: "no value", 1: "one value"}.get(least, "two or more values")
            given = f"{len(inputs)} {'is' if len(inputs) == 1 else 'are'} given"
            raise Fault("wrong-arity", f"`{op.keyword}` takes {takes}, and {given}", span)
        if None in inputs:
            raise Fault("no-input", "nothing flows in here: an `input` stands before the first layer", span)
        return [UNKNOWN if i is None else i for i in inputs]

    def make(self, op: type[Op], action: t.Apply | t.Join, ctx: Context) -> Op:
        """The op with its arguments, the defaults around it included."""
        matched = match(action.name, list(op.model_fields), action.arguments, action.span)
        given = {**ctx.defaults.get(action.name, {}), **values(matched, ctx.names, word_fields(op))}
        return build(op, given, action.span)

    # Shared layers

    def share(self, action: t.Apply, site: Site) -> Made:
        """Apply an earlier layer or group again with the same weights."""
        ctx, span = site.ctx, site.span
        path = layer_path(action.arguments[0].value) if len(action.arguments) == 1 else None
        if path is None:
            message = "`share` takes the name of one layer or group, as in `share(conv1)`"
            raise Fault("bad-argument", message, span)
        entry, flow = find(path, ctx.naming, ctx.names), site.input
        if flow is None or UNKNOWN in (flow, entry.value):
            raise Unknown
        self.refuse_unsharable(path, entry, ctx)
        name = site.label or ctx.naming.pick("share")
        ctx.naming.position += 1
        if entry.inside is None:
            value = self.layers.again(entry.value, ctx.naming.full(name), [flow], span, ctx.calls)
            ctx.naming.add(name, Entry(value, span))
            ctx.naming.children.append(value)
            return Made(value)
        naming = ctx.naming.inner(name, numbered=False, shares=entry.inside.shares or entry.inside.path)
        value = self.layers.replay(entry.inside, entry.value, naming, flow, span, ctx.calls)
        ctx.naming.add(name, Entry(value, span, naming))
        return Made(value, naming)

    def refuse_unsharable(self, path: t.Path, entry: Entry, ctx: Context) -> None:
        """Refuse to share what the module being built cannot reach, or what has no input."""
        node = self.layers.nodes[entry.value]
        owner, scope = entry.inside.path if entry.inside else node.name, ctx.naming.path
        if scope and not owner.startswith(f"{scope}."):
            message = f"`{path}` lies outside of `{scope}`, and `share` reaches only layers of its own braces"
            raise Fault("unknown-layer", message, path.span, "share it where it was defined")
        if entry.inside is None and node.op.arity() != (1, 1):
            message = f"`{path}` is no layer of one input that could be applied again"
            raise Fault("bad-argument", message, path.span)


def refuse_recursion(name: str, site: Site) -> None:
    """Refuse a block inside itself, and nesting without end."""
    chain = [called.partition("(")[0] for called, _ in site.ctx.calls]
    if name in chain:
        round_ = " -> ".join([*chain[chain.index(name) :], name])
        raise Fault("block-recursion", f"a block cannot contain itself: {round_}", site.span)
    refuse_depth(site.ctx.naming, site.span)


def refuse_depth(naming: Naming, span: Span) -> None:
    if naming.depth >= DEEPEST:
        message = f"blocks and groups are nested more than {DEEPEST} deep"
        raise Fault("too-large", message, span.first_line())


def call_arguments(definition: BlockDefinition, action: t.Apply, ctx: Context) -> dict[str, object]:
    """The values of a block's parameters; a default may use the parameters before it."""
    parameters = definition.tree.parameters
    matched = match(action.name, [p.name for p in parameters], action.arguments, action.span)
    given = {**ctx.defaults.get(action.name, {}), **values(matched, ctx.names)}
    missing = [p.name for p in parameters if p.default is None and p.name not in given]
    if missing:
        needs = " and ".join(f"`{n}`" for n in missing)
        raise Fault("missing-argument", f"block `{action.name}` needs {needs}", action.span)
    names, result = definition.names.child(), dict[str, object]()
    for parameter in parameters:
        if parameter.name in given:
            value = given[parameter.name].value
        else:
            assert parameter.default is not None
            value = evaluate(parameter.default, names)
        result[parameter.name] = names.values[parameter.name] = value
    return result


def snake_case(name: str) -> str:
    """`ConvBN` as the name of a module: `conv_bn`."""
    ends = [
        i
        for i in range(1, len(name))
        if name[i].isupper() and not (name[i - 1].isupper() or name[i - 1] == "_")
    ]
    parts = [name[i:j] for i, j in zip([0, *ends], [*ends, len(name)], strict=True)]
    return "_".join(parts).lower().lstrip("_") or "block"


def layer_path(expr: t.Expr) -> t.Path | None:
    """Read an expression such as `conv1` or `stem.0` as the name of a layer."""
    match expr:
        case t.Name():
            return t.Path(expr.span, (expr.id,))
        case t.Reference():
            return expr.path
        case t.Literal(value=str()):
            return t.Path(expr.span, tuple(str(expr.value).split(".")))
        case t.Literal(value=int()):
            return t.Path(expr.span, (expr.text,))
        case t.Attribute():
            inner = layer_path(expr.value)
            return t.Path(expr.span, (*inner.parts, *expr.name.split("."))) if inner else None
    return None
