"""Walk the tree and build the graph: loops and blocks are expanded in place, shapes follow the flow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from netspec.checker import claims
from netspec.checker.apply import Applier
from netspec.checker.arguments import Faults, match, twice, unknown_op, values, word_fields
from netspec.checker.context import BlockDefinition, Context, Site, Value
from netspec.checker.layers import Layers
from netspec.checker.naming import UNKNOWN, Entry, Naming, label_text, parts_of
from netspec.diagnostics import Diagnostic, Label, Span
from netspec.language import ast as t
from netspec.language.expressions import Exhausted, Fault, Names, Unknown, evaluate
from netspec.language.values import Rounded, kind_of
from netspec.ops import OPS, is_builtin
from netspec.shape import Shape

MOST_STATEMENTS = 200_000
MOST_LAYERS = 50_000
MOST_FAULTS = 100
BLOCK_STEPS = 4
"""How many steps the call of a block counts for, beside its statements."""


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
    noted: set[tuple[str, int, str]] = field(default_factory=set)
    used: dict[int, dict[str, BlockDefinition]] = field(default_factory=dict)
    """The blocks of files that were read already."""

    def __post_init__(self) -> None:
        self.applier = Applier(self.layers, self.body)

    # Bodies

    def body(self, body: t.Body, ctx: Context, flow: Value) -> Value:
        """Run statements; defaults set inside end with the braces."""
        ctx = replace(ctx, defaults=dict(ctx.defaults))
        for statement in body.statements:
            self.spend(statement.span)
            try:
                flow = self.statement(statement, ctx, flow)
            except Exhausted:
                raise
            except (Fault, Faults, Unknown) as error:
                self.report(error, ctx)
                flow = self.after_fault(statement, ctx, flow)
        return flow

    def spend(self, span: Span) -> None:
        """Count a step of the expansion, which is bounded."""
        self.statements += 1
        if self.statements > MOST_STATEMENTS or len(self.layers.nodes) > MOST_LAYERS:
            message = f"the network grows past {MOST_LAYERS:,} layers or {MOST_STATEMENTS:,} statements"
            raise Exhausted("too-large", message, span, "a loop's count may be too large")

    def report(self, error: Fault | Faults | Unknown, ctx: Context) -> None:
        """Note faults, with the calls of blocks that led to them."""
        found = [error] if isinstance(error, Fault) else error.faults if isinstance(error, Faults) else ()
        for fault in found:
            self.note(fault.diagnostic, ctx)

    def note(self, diagnostic: Diagnostic, ctx: Context) -> None:
        """Note one fault; one that a loop or a block repeats at its place is noted once."""
        self.statements += 20
        key = (diagnostic.span.source.path, diagnostic.span.start, diagnostic.code)
        if key in self.noted:
            return
        self.noted.add(key)
        if len(self.noted) > MOST_FAULTS:
            raise Exhausted(diagnostic.code, diagnostic.message, diagnostic.span, diagnostic.help)
        trail = tuple(Label(span, f"called here: {name}") for name, span in reversed(ctx.calls))
        self.faults.append(replace(diagnostic, labels=(*diagnostic.labels, *trail)))

    def after_fault(self, statement: t.Statement, ctx: Context, flow: Value) -> Value:
        """Go on as well as can be: names this statement would have given are unknown, not missing."""
        match statement:
            case t.Bind():
                ctx.names.values[statement.name] = Unknown
                return flow
            case t.Block() | t.Default() | t.Expect() | t.Output() | t.Network() | t.Train():
                return flow
            case t.Layer():
                value = self.layers.stand_in(self.claimed(statement, ctx), statement.span)
                ctx.naming.position += 1
                self.lose(statement, value, ctx)
            case _:
                value = UNKNOWN
                ctx.naming.unread.append(statement.span.text)
        if ctx.branches is not None:
            ctx.branches.append((value, statement.span))
            return flow
        return value

    def lose(self, layer: t.Layer, value: int, ctx: Context) -> None:
        """Let the name of a layer that failed stand for `value`, or note what the name may have been."""
        if layer.label is None:
            ctx.naming.unread.append("" if isinstance(layer.action, t.Group) else layer.action.name)
            return
        try:
            ctx.naming.entries.setdefault(label_text(layer.label, ctx.names), Entry(value, layer.span))
        except (Fault, Unknown):
            ctx.naming.unread.append(layer.label.span.text)

    def claimed(self, layer: t.Layer, ctx: Context) -> Shape | None:
        """The shape that a layer claims, if it does so in full."""
        try:
            claim = evaluate(layer.claim, ctx.names) if layer.claim else None
        except (Fault, Unknown):
            return None
        if not isinstance(claim, tuple) or None in claim or min(claim) < 1 or len(claim) > 3:
            return None
        return Shape(claim)

    # Statements

    def statement(self, s: t.Statement, ctx: Context, flow: Value) -> Value:
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

    def network_statement(self, s: t.Statement, ctx: Context, flow: Value) -> Value:
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
                paths = tuple(t.Path(p.span, parts_of(p, ctx.names)) for p in s.paths)
                self.outputs.append((replace(s, paths=paths), ctx))
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
        if id(file) in self.used:
            ctx.blocks.update(self.used[id(file)])
            return
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
        self.used[id(file)] = blocks
        ctx.blocks.update(blocks)

    def define(self, s: t.Block, ctx: Context) -> BlockDefinition:
        if is_builtin(s.name) or s.name == "share":
            raise Fault(
                "bad-label", f"`{s.name}` is an op, so a block cannot be called so", s.span.first_line()
            )
        for diagnostic in twice(s.parameters):
            self.note(diagnostic, ctx)
        before = ctx.blocks.get(s.name)
        if before and before.names is ctx.names and before.tree is not s:
            fault = Fault(
                "duplicate-block", f"there are two blocks called `{s.name}` here", s.span.first_line()
            )
            labels = (Label(before.tree.span.first_line(), "this is the first"),)
            fault.diagnostic = replace(fault.diagnostic, labels=labels)
            raise fault
        return BlockDefinition(s, ctx.names, ctx.blocks, dict(ctx.defaults))

    def default(self, s: t.Default, ctx: Context) -> None:
        op = None if s.op in ctx.blocks else OPS.find(s.op)
        if op:
            known = list(op.model_fields)
        elif s.op in ctx.blocks:
            known = [p.name for p in ctx.blocks[s.op].tree.parameters]
        else:
            raise unknown_op(s.op, ctx.blocks, s.span)
        for argument in s.arguments:
            if argument.name is None:
                raise Fault("bad-argument", "a default names its argument, as in `bias=false`", argument.span)
        words = word_fields(op) if op else ()
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
            self.expectations.append((str(claim.name), value, claim))

    def repeat(self, s: t.Repeat, ctx: Context, flow: Value) -> Value:
        count = evaluate(s.count, ctx.names)
        if isinstance(count, bool) or not isinstance(count, int) or count < 0:
            shown = count if isinstance(count, int) and not isinstance(count, bool) else kind_of(count)
            raise Fault(
                "wrong-type", f"`repeat` takes a whole number of at least 0, not {shown}", s.count.span
            )
        if count > MOST_STATEMENTS:
            raise Fault("too-large", f"{count:,} repetitions are beyond {MOST_STATEMENTS:,}", s.count.span)
        for _ in range(count):
            self.spend(s.span.first_line())
            flow = self.body(s.body, ctx, flow)
        return flow

    def loop(self, s: t.For, ctx: Context, flow: Value) -> Value:
        items = evaluate(s.values, ctx.names)
        if not isinstance(items, list):
            raise Fault("wrong-type", f"`for` goes through a list, not {kind_of(items)}", s.values.span)
        for item in items:
            row = item if len(s.names) > 1 and isinstance(item, list) else [item]
            if len(row) != len(s.names):
                message = f"{len(s.names)} names stand here for items of {len(row)}"
                raise Fault("expression", message, s.span.first_line())
            ctx.names.values.update(zip(s.names, row, strict=True))
            self.spend(s.span.first_line())
            flow = self.body(s.body, ctx, flow)
        return flow

    def layer(self, s: t.Layer, ctx: Context, flow: Value) -> Value:
        """Run one layer, group, join or block; register its label; hold its claim against it."""
        label = label_text(s.label, ctx.names) if s.label else None
        span = (s.label or s.action).span.to(s.action.span)
        inputs = tuple(self.applier.resolve(p, ctx) for p in s.sources) if s.sources else (flow,)
        self.statements += BLOCK_STEPS if isinstance(s.action, t.Apply) and s.action.name in ctx.blocks else 0
        made = self.applier.apply(s.action, Site(ctx, label, span, inputs, bool(s.sources)))
        if label and made.value is not None and label not in ctx.naming.entries:
            ctx.naming.add(label, Entry(made.value, span, made.inside))
        if s.claim and made.value == UNKNOWN:
            made = replace(made, value=self.layers.stand_in(self.claimed(s, ctx), span))
            self.applier.settle(label, made.value, ctx.naming)
        elif s.claim and made.value is not None:
            claims.check_shape(self, s.claim, made.value, span, ctx)
        if ctx.branches is not None:
            ctx.branches.append((UNKNOWN if made.value is None else made.value, span))
            return flow
        return made.value
