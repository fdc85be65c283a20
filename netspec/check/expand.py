"""Walk the tree and build the graph: loops, blocks and groups are expanded in place, shapes follow the flow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from netspec import tree as t
from netspec.check import claims
from netspec.check.arguments import Faults, Given, build, match, unknown_op, values, word_fields
from netspec.check.layers import Layers
from netspec.check.naming import UNKNOWN, Entry, Naming, find, label_text
from netspec.diagnostics import Diagnostic, Label, Span
from netspec.evaluate import Fault, Names, Unknown, evaluate
from netspec.ops import OPS
from netspec.shape import Shape
from netspec.values import Rounded, kind_of

MOST_STATEMENTS = 1_000_000
MOST_LAYERS = 100_000
DEEPEST = 200


@dataclass(frozen=True)
class BlockDefinition:
    """A block, and what it sees where it is defined."""

    tree: t.Block
    names: Names
    blocks: dict[str, BlockDefinition]
    defaults: dict[str, dict[str, Given]]


@dataclass(frozen=True)
class Context:
    """What a statement sees around it."""

    names: Names
    blocks: dict[str, BlockDefinition]
    defaults: dict[str, dict[str, Given]]
    naming: Naming
    input: int | None = None
    calls: tuple[tuple[str, Span], ...] = ()
    branches: list[tuple[int, Span]] | None = None
    """Where this body's layers are the branches of a join: the values they give."""


@dataclass
class Expander:
    """One walk over a network; faults are collected, and what depends on a fault is skipped in silence."""

    load: Callable[[t.Use], t.File]
    shapes_given: dict[str, Shape]
    layers: Layers = field(default_factory=Layers)
    faults: list[Diagnostic] = field(default_factory=list)
    outputs: list[tuple[t.Output, Context]] = field(default_factory=list)
    expectations: list[tuple[str, object, t.Argument]] = field(default_factory=list)
    train: tuple[t.Train, Names] | None = None
    input_spans: dict[str, Span] = field(default_factory=dict)
    statements: int = 0

    # Bodies

    def body(self, body: t.Body, ctx: Context, flow: int | None) -> int | None:
        """Run statements; defaults set inside end with the braces."""
        ctx = replace(ctx, defaults=dict(ctx.defaults))
        for statement in body.statements:
            self.statements += 1
            if self.statements > MOST_STATEMENTS or len(self.layers.nodes) > MOST_LAYERS:
                message = f"the network grows past {MOST_LAYERS:,} layers or {MOST_STATEMENTS:,} statements"
                raise Fault("too-large", message, statement.span, "a loop's count may be too large")
            try:
                flow = self.statement(statement, ctx, flow)
            except (Fault, Faults, Unknown) as error:
                if isinstance(error, Fault) and error.diagnostic.code == "too-large":
                    raise
                self.report(error, ctx)
                flow = self.after_fault(statement, ctx, flow)
        return flow

    def report(self, error: Fault | Faults | Unknown, ctx: Context) -> None:
        """Note faults, with the calls of blocks that led to them."""
        found = [error] if isinstance(error, Fault) else error.faults if isinstance(error, Faults) else ()
        for fault in found:
            self.note(fault.diagnostic, ctx)

    def note(self, diagnostic: Diagnostic, ctx: Context) -> None:
        trail = tuple(Label(span, f"called here: {name}") for name, span in reversed(ctx.calls))
        self.faults.append(replace(diagnostic, labels=(*diagnostic.labels, *trail)))

    def after_fault(self, statement: t.Statement, ctx: Context, flow: int | None) -> int | None:
        """Go on as well as can be: names this statement would have given are unknown, not missing."""
        match statement:
            case t.Bind():
                ctx.names.values[statement.name] = Unknown
            case t.Block() | t.Default() | t.Expect() | t.Output() | t.Network() | t.Train():
                return flow
            case t.Layer():
                value = self.layers.stand_in(self.claimed(statement, ctx), statement.span)
                ctx.naming.position += 1
                if statement.label and all(isinstance(p, str) for p in statement.label.parts):
                    ctx.naming.entries.setdefault(
                        "".join(map(str, statement.label.parts)), Entry(value, statement.span)
                    )
                else:
                    ctx.naming.broken = True
                if ctx.branches is not None:
                    ctx.branches.append((value, statement.span))
                    return flow
                return value
            case _:
                ctx.naming.broken = True
                if ctx.branches is not None:
                    ctx.branches.append((UNKNOWN, statement.span))
                    return flow
        return UNKNOWN

    def claimed(self, layer: t.Layer, ctx: Context) -> Shape | None:
        """The shape that a layer claims, if it does so in full."""
        try:
            claim = evaluate(layer.claim, ctx.names) if layer.claim else None
        except (Fault, Unknown):
            return None
        return Shape(claim) if isinstance(claim, tuple) and None not in claim else None

    # Statements

    def statement(self, s: t.Statement, ctx: Context, flow: int | None) -> int | None:
        match s:
            case t.Layer():
                return self.layer(s, ctx, flow)
            case t.Bind():
                ctx.names.values[s.name] = evaluate(s.value, ctx.names)
            case t.Repeat():
                return self.repeat(s, ctx, flow)
            case t.For():
                return self.loop(s, ctx, flow)
            case t.If():
                chosen = s.yes if evaluate(s.condition, ctx.names) else s.no
                return self.body(chosen, ctx, flow) if chosen else flow
            case t.Default():
                self.default(s, ctx)
            case t.Block():
                ctx.blocks[s.name] = self.define(s, ctx)
            case t.Expect():
                self.expect(s, ctx)
            case t.Broken():
                raise Unknown
            case _:
                return self.network_statement(s, ctx, flow)
        return flow

    def network_statement(self, s: t.Statement, ctx: Context, flow: int | None) -> int | None:
        """Statements that stand in a network itself, not in a block or a group."""
        word = type(s).__name__.lower()
        if ctx.naming.path or ctx.calls or ctx.branches is not None:
            raise Fault("misplaced", f"`{word}` stands in the network itself, not inside braces", s.span)
        match s:
            case t.Input():
                return self.input(s, ctx)
            case t.Use():
                self.use(s, ctx)
            case t.Output():
                self.outputs.append((s, ctx))
            case t.Train():
                if self.train:
                    raise Fault("duplicate-train", "a network has one `train` section", s.span)
                self.train = s, ctx.names
            case t.Network():
                raise Fault(
                    "misplaced", "`network` is the first statement of a file, and there is one", s.span
                )
        return flow

    def input(self, s: t.Input, ctx: Context) -> int:
        shape = self.shapes_given.get(s.name) or evaluate(s.shape, ctx.names)
        if not isinstance(shape, tuple) or None in shape or min(shape) < 1 or len(shape) > 3:
            message = "an input is 1 to 3 sizes of at least 1, such as 3x224x224 (channels x height x width)"
            raise Fault("bad-input", message, s.shape.span)
        name = label_text(t.Label(s.span, (s.name,)), ctx.names)
        self.input_spans[name] = s.span
        value = self.layers.input(name, Shape(shape), s.span)
        ctx.naming.add(name, Entry(value, s.span))
        ctx.naming.children.append(value)
        return value

    def use(self, s: t.Use, ctx: Context) -> None:
        """Take the blocks of another file."""
        file = self.load(s)
        names, blocks = Names(shape_of=lambda expr: None), dict[str, BlockDefinition]()
        inner = Context(names, blocks, {}, Naming())
        for statement in file.body.statements:
            match statement:
                case t.Block() | t.Bind() | t.Default() | t.Use() | t.Broken():
                    try:
                        self.statement(statement, inner, None)
                    except (Fault, Faults, Unknown) as error:
                        self.report(error, inner)
                case _:
                    message = "a file that is taken with `use` holds blocks, names and defaults alone"
                    self.note(Diagnostic("misplaced", message, statement.span), ctx)
        ctx.blocks.update(blocks)

    def define(self, s: t.Block, ctx: Context) -> BlockDefinition:
        if s.name in OPS or s.name == "share":
            raise Fault(
                "bad-label", f"`{s.name}` is an op, so a block cannot be called so", s.span.first_line()
            )
        return BlockDefinition(s, ctx.names, ctx.blocks, dict(ctx.defaults))

    def default(self, s: t.Default, ctx: Context) -> None:
        if s.op in OPS:
            known = list(OPS[s.op].model_fields)
        elif s.op in ctx.blocks:
            known = [p.name for p in ctx.blocks[s.op].tree.parameters]
        else:
            raise unknown_op(s.op, ctx.blocks, s.span)
        for argument in s.arguments:
            if argument.name is None:
                raise Fault("bad-argument", "a default names its argument, as in `bias=false`", argument.span)
        words = word_fields(OPS[s.op]) if s.op in OPS else ()
        given = values(match(s.op, known, s.arguments, s.span), ctx.names, words)
        ctx.defaults[s.op] = {**ctx.defaults.get(s.op, {}), **given}

    def expect(self, s: t.Expect, ctx: Context) -> None:
        for claim in s.claims:
            if claim.name not in claims.COUNTS:
                message = f"`{claim.name}` cannot be expected: the counts are {', '.join(claims.COUNTS)}"
                raise Fault("unknown-count", message, claim.span)
            value = evaluate(claim.value, ctx.names)
            if isinstance(value, bool) or not isinstance(value, int | float | Rounded):
                raise Fault("wrong-type", f"a count is a number, not {kind_of(value)}", claim.value.span)
            self.expectations.append((claim.name, value, claim))

    def repeat(self, s: t.Repeat, ctx: Context, flow: int | None) -> int | None:
        count = evaluate(s.count, ctx.names)
        if isinstance(count, bool) or not isinstance(count, int) or count < 0:
            shown = count if isinstance(count, int) and not isinstance(count, bool) else kind_of(count)
            raise Fault(
                "wrong-type", f"`repeat` takes a whole number of at least 0, not {shown}", s.count.span
            )
        for _ in range(count):
            flow = self.body(s.body, ctx, flow)
            self.statements += 1
        return flow

    def loop(self, s: t.For, ctx: Context, flow: int | None) -> int | None:
        items = evaluate(s.values, ctx.names)
        if not isinstance(items, list):
            raise Fault("wrong-type", f"`for` goes through a list, not {kind_of(items)}", s.values.span)
        for item in items:
            row = item if len(s.names) > 1 and isinstance(item, list) else [item]
            if len(row) != len(s.names):
                message = f"{len(s.names)} names stand here for items of {len(row)}"
                raise Fault("expression", message, s.span.first_line())
            ctx.names.values.update(zip(s.names, row, strict=True))
            flow = self.body(s.body, ctx, flow)
            self.statements += 1
        return flow

    # Layers

    def layer(self, s: t.Layer, ctx: Context, flow: int | None) -> int | None:
        """Run one layer, group, join or block; register its label; hold its claim against it."""
        label = label_text(s.label, ctx.names) if s.label else None
        inputs = [self.resolve(p, ctx) for p in s.sources] if s.sources else [flow]
        span = (s.label or s.action).span.to(s.action.span)
        inside: Naming | None = None
        match s.action:
            case t.Group():
                value, inside = self.group(s.action, label, self.single(inputs, span), span, ctx)
            case t.Join():
                value, inside = self.join(s.action, label, self.single(inputs, span), span, ctx)
            case t.Apply(name="share"):
                value, inside = self.share(s.action, label, inputs, span, ctx)
            case t.Apply() if s.action.name in ctx.blocks:
                value, inside = self.block(s.action, label, self.single(inputs, span), span, ctx)
            case t.Apply():
                value = self.op(s.action, label, inputs if s.sources else None, flow, span, ctx)
        if label and value is not None and label not in ctx.naming.entries:
            ctx.naming.add(label, Entry(value, span, inside))
        if s.claim and value is not None:
            claims.check_shape(self, s.claim, value, span, ctx)
        if ctx.branches is not None:
            ctx.branches.append((UNKNOWN if value is None else value, span))
            return flow
        return value

    def single(self, inputs: list[int | None], span: Span) -> int | None:
        if len(inputs) != 1:
            raise Fault("wrong-arity", f"one value can flow in here, not {len(inputs)}", span.first_line())
        return inputs[0]

    def resolve(self, path: t.Path, ctx: Context) -> int | None:
        if path.parts == ("in",):
            return ctx.input if ctx.calls else self.layers.first_input()
        return find(path, ctx.naming).value

    def shape_of(self, expr: t.Expr, naming: Naming, block_input: int | None) -> Shape | None:
        """The shape that `in.channels` or `conv1.height` asks for."""
        parts: list[str] = []
        while isinstance(expr, t.Attribute):
            parts.insert(0, expr.name)
            expr = expr.value
        if not isinstance(expr, t.Name):
            return None
        if expr.id == "in" and not parts:
            value = block_input
        else:
            try:
                value = find(t.Path(expr.span, (expr.id, *parts)), naming).value
            except Fault:
                return None
        if value is None or value == UNKNOWN:
            raise Unknown
        return self.layers.nodes[value].shape

    def names_for(self, parent: Names, naming: Naming, block_input: int | None) -> Names:
        names = parent.child()
        names.shape_of = lambda expr: self.shape_of(expr, naming, block_input)
        return names

    def enter(self, ctx: Context, naming: Naming) -> Context:
        names = self.names_for(ctx.names, naming, ctx.input)
        return replace(ctx, names=names, naming=naming, branches=None, blocks=dict(ctx.blocks))

    def scope(self, label: str | None, span: Span, ctx: Context) -> Naming:
        """A labelled group's own scope, or the one around an anonymous group."""
        if label is None:
            return ctx.naming
        ctx.naming.position += 1
        naming = ctx.naming.inner(label, numbered=True)
        ctx.naming.add(label, Entry(UNKNOWN, span, naming))
        return naming

    def group(
        self, action: t.Group, label: str | None, flow: int | None, span: Span, ctx: Context
    ) -> tuple[int | None, Naming]:
        naming = self.scope(label, span, ctx)
        value = self.body(action.body, self.enter(ctx, naming), flow)
        self.settle(label, value, ctx)
        return value, naming

    def settle(self, label: str | None, value: int | None, ctx: Context) -> None:
        """Now that a scope's value is known, let its label stand for it."""
        if label:
            ctx.naming.entries[label].value = UNKNOWN if value is None else value

    def join(
        self, action: t.Join, label: str | None, flow: int | None, span: Span, ctx: Context
    ) -> tuple[int | None, Naming]:
        """Feed the flow to every branch and merge what they give."""
        if action.name not in OPS or OPS[action.name].kind != "merge":
            known = [n for n, op in OPS.items() if op.kind == "merge"]
            if action.name in OPS or action.name in ctx.blocks:
                raise Fault(
                    "unknown-op",
                    f"`{action.name}` does not merge branches; {', '.join(known)} do",
                    action.span.first_line(),
                )
            raise unknown_op(action.name, known, action.span.first_line())
        naming = self.scope(label, span, ctx)
        branches: list[tuple[int, Span]] = []
        inner = replace(self.enter(ctx, naming), branches=branches)
        self.body(action.body, inner, flow)
        op = self.make(action, ctx)
        name = naming.pick(action.name, counted=False)
        value = self.layers.merge(op, naming.full(name), branches, flow or 0, span.first_line(), ctx.calls)
        naming.add(name, Entry(value, span))
        naming.children.append(value)
        self.settle(label, value, ctx)
        return value, naming

    def block(
        self, action: t.Apply, label: str | None, flow: int | None, span: Span, ctx: Context
    ) -> tuple[int | None, Naming]:
        """Call a block: its body runs in a scope of its own, with its arguments as names."""
        definition = ctx.blocks[action.name]
        chain = [name.partition("(")[0] for name, _ in ctx.calls]
        if action.name in chain:
            round_ = " -> ".join([*chain[chain.index(action.name) :], action.name])
            raise Fault("block-recursion", f"a block cannot contain itself: {round_}", span)
        if len(chain) >= DEEPEST:
            raise Fault("too-large", f"blocks are nested more than {DEEPEST} deep", span)
        name = label or ctx.naming.pick(snake_case(action.name))
        ctx.naming.position += 1
        arguments = self.call_arguments(definition, action, ctx)
        naming = ctx.naming.inner(name, numbered=False, block=action.name, arguments=arguments)
        ctx.naming.add(name, Entry(UNKNOWN, span, naming))
        names = self.names_for(definition.names, naming, flow)
        names.values.update(arguments)
        calls = (*ctx.calls, (action.span.text.partition("\n")[0], span))
        inner = Context(names, dict(definition.blocks), definition.defaults, naming, flow, calls)
        value = self.body(definition.tree.body, inner, flow)
        self.settle(name, value, ctx)
        return value, naming

    def call_arguments(self, definition: BlockDefinition, action: t.Apply, ctx: Context) -> dict[str, object]:
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

    def op(
        self,
        action: t.Apply,
        label: str | None,
        sources: list[int | None] | None,
        flow: int | None,
        span: Span,
        ctx: Context,
    ) -> int:
        """Build one layer of an op and let its shape follow from its inputs'."""
        if action.name not in OPS or action.name == "input":
            raise unknown_op(action.name, ctx.blocks, action.span)
        merges = OPS[action.name].kind == "merge"
        paths = (
            [p for a in action.arguments if a.name is None and (p := layer_path(a.value))] if merges else []
        )
        if paths:
            keyed = tuple(a for a in action.arguments if a.name is not None)
            action = replace(action, arguments=keyed)
            sources = [self.resolve(p, ctx) for p in paths]
        op = self.make(action, ctx)
        name = label or ctx.naming.pick(action.name)
        ctx.naming.position += 1
        least, most = op.arity()
        inputs = (sources or []) if most == 0 else sources if sources is not None else [flow]
        if len(inputs) < least or (most is not None and len(inputs) > most):
            takes = {0: "no value", 1: "one value"}.get(least, "two or more values")
            raise Fault(
                "wrong-arity",
                f"`{action.name}` takes {takes}, and {len(inputs)} {'is' if len(inputs) == 1 else 'are'} given",
                span,
            )
        if None in inputs:
            raise Fault("no-input", "nothing flows in here: an `input` stands before the first layer", span)
        known = [UNKNOWN if i is None else i for i in inputs]
        value = self.layers.add(op, ctx.naming.full(name), known, span, ctx.calls)
        ctx.naming.add(name, Entry(value, span))
        ctx.naming.children.append(value)
        return value

    def make(self, action: t.Apply | t.Join, ctx: Context):  # type: ignore[no-untyped-def]
        op = OPS[action.name]
        fields = list(op.model_fields)
        matched = match(action.name, fields, action.arguments, action.span)
        given = {**ctx.defaults.get(action.name, {}), **values(matched, ctx.names, word_fields(op))}
        return build(op, given, action.span)

    def share(
        self, action: t.Apply, label: str | None, inputs: list[int | None], span: Span, ctx: Context
    ) -> tuple[int | None, Naming | None]:
        """Apply an earlier layer or group again with the same weights."""
        path = layer_path(action.arguments[0].value) if len(action.arguments) == 1 else None
        if path is None:
            raise Fault(
                "bad-argument", "`share` takes the name of one layer or group, as in `share(conv1)`", span
            )
        entry, flow = find(path, ctx.naming), self.single(inputs, span)
        if flow is None or UNKNOWN in (flow, entry.value):
            raise Unknown
        self.sharable(path, entry, ctx)
        name = label or ctx.naming.pick("share")
        ctx.naming.position += 1
        if entry.inside is None:
            value = self.layers.again(entry.value, ctx.naming.full(name), [flow], span, ctx.calls)
            ctx.naming.add(name, Entry(value, span))
            ctx.naming.children.append(value)
            return value, None
        naming = ctx.naming.inner(name, numbered=False, shares=entry.inside.shares or entry.inside.path)
        value = self.layers.replay(entry.inside, entry.value, naming, flow, span, ctx.calls)
        ctx.naming.add(name, Entry(value, span, naming))
        return value, naming

    def sharable(self, path: t.Path, entry: Entry, ctx: Context) -> None:
        """Refuse to share what the module being built cannot reach, or what has no input."""
        node = self.layers.nodes[entry.value]
        owner = entry.inside.path if entry.inside else node.name
        scope = ctx.naming.path
        if scope and not owner.startswith(f"{scope}."):
            message = f"`{path}` lies outside of `{scope}`, and `share` reaches only layers of its own braces"
            raise Fault("unknown-layer", message, path.span, "share it where it was defined")
        if entry.inside is None and node.op.arity() != (1, 1):
            raise Fault(
                "bad-argument", f"`{path}` is no layer of one input that could be applied again", path.span
            )


def snake_case(name: str) -> str:
    """`ConvBN` as the name of a module: `conv_bn`."""
    ends = [
        i
        for i in range(1, len(name))
        if name[i].isupper() and not (name[i - 1].isupper() or name[i - 1] == "_")
    ]
    parts = [name[i:j] for i, j in zip([0, *ends], [*ends, len(name)], strict=True)]
    return "_".join(parts).lower()


def layer_path(expr: t.Expr) -> t.Path | None:
    """Read an expression such as `conv1` or `stem.0` as the name of a layer."""
    match expr:
        case t.Name():
            return t.Path(expr.span, (expr.id,))
        case t.Literal(value=str()):
            return t.Path(expr.span, tuple(str(expr.value).split(".")))
        case t.Literal(value=int()):
            return t.Path(expr.span, (expr.text,))
        case t.Attribute():
            inner = layer_path(expr.value)
            return t.Path(expr.span, (*inner.parts, *expr.name.split("."))) if inner else None
    return None
