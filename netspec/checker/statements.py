"""Runs the statements of a spec: expands loops and conditions, and adds layers to the graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from netspec.checker import claims
from netspec.checker.actions import Actions
from netspec.checker.arguments import Faults, Given, build, match, values, word_fields
from netspec.checker.collector import MOST_STATEMENTS, Collector
from netspec.checker.context import Context, Site, Value
from netspec.checker.declarations import Declarations
from netspec.checker.layers import Layers
from netspec.checker.naming import UNKNOWN, Entry, label_text
from netspec.checker.scopes import Scopes
from netspec.diagnostics import Span
from netspec.language import ast as t
from netspec.language.expressions import evaluate
from netspec.language.names import Exhausted, Fault, Refused, Unknown
from netspec.language.values import described
from netspec.ops import Input
from netspec.shape import MOST_AXES, Shape

BLOCK_STEPS = 4
"""The number of steps that the call of a block counts as, in addition to the steps of its statements."""


@dataclass
class Statements:
    """Runs the statements of a network; statements that depend on a failed one are skipped silently."""

    load: Callable[[t.Use], t.File]
    given_shapes: dict[str, Shape]
    layers: Layers = field(default_factory=Layers)
    input_spans: dict[str, Span] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.collector = Collector(self.layers.nodes)
        self.scopes = Scopes(self.layers)
        self.actions = Actions(self.layers, self.scopes, self.body)
        self.declarations = Declarations(self.load, self.collector)

    # Bodies

    def body(self, body: t.Body, ctx: Context, flow: Value) -> Value:
        """Run the statements inside braces and return the id of the last node.

        `flow` is the input of the first statement. Defaults set inside the braces end with them.
        """
        ctx = replace(ctx, defaults=dict(ctx.defaults))
        for statement in body.statements:
            self.collector.count_step(statement.span)
            try:
                flow = self.statement(statement, ctx, flow)
            except (Exhausted, Refused):
                raise
            except (Fault, Faults, Unknown) as error:
                self.collector.report(error, ctx)
                flow = self.recover(statement, ctx, flow)
        return flow

    def recover(self, statement: t.Statement, ctx: Context, flow: Value) -> Value:
        """Continue after a fault: mark the names that the statement would define as unknown.

        Returns the input of the next statement.
        """
        match statement:
            case t.Bind():
                ctx.names.values[statement.name] = Unknown
                return flow
            case t.Block() | t.Default() | t.Expect() | t.Assert() | t.Output() | t.Network() | t.Train():
                return flow
            case t.Layer():
                value = self.layers.stand_in(self.claimed_shape(statement, ctx), statement.span)
                ctx.naming.position += 1
                self.name_failed_layer(statement, value, ctx)
            case _:
                value = UNKNOWN
                ctx.naming.unread.append(statement.span.text)
        if ctx.branches is not None:
            ctx.branches.append((value, statement.span))
            return flow
        return value

    def name_failed_layer(self, layer: t.Layer, value: int, ctx: Context) -> None:
        """Register the label of a failed layer for its placeholder."""
        if layer.label is None:
            ctx.naming.unread.append("" if isinstance(layer.action, t.Group) else layer.action.name)
            return
        try:
            ctx.naming.entries.setdefault(label_text(layer.label, ctx.names), Entry(value, layer.span))
        except (Fault, Unknown):
            ctx.naming.unread.append(layer.label.span.text)

    def claimed_shape(self, layer: t.Layer, ctx: Context) -> Shape | None:
        """Return the shape written after a layer's `->`, or None if it is incomplete or invalid."""
        try:
            claim = evaluate(layer.claim, ctx.names) if layer.claim else None
        except (Fault, Unknown):
            return None
        if not isinstance(claim, tuple) or None in claim or min(claim) < 1 or len(claim) > MOST_AXES:
            return None
        return Shape(claim)

    # Statements

    def statement(self, s: t.Statement, ctx: Context, flow: Value) -> Value:
        """Run one statement and return the input of the next one."""
        match s:
            case t.Layer():
                return self.layer(s, ctx, flow)
            case t.Repeat():
                return self.repeat(s, ctx, flow)
            case t.For():
                return self.loop(s, ctx, flow)
            case t.If():
                chosen = s.yes if evaluate(s.condition, ctx.names) else s.no
                return self.body(chosen, ctx, flow) if chosen else flow
            case t.Bind() | t.Default() | t.Block():
                self.declarations.declare(s, ctx)
            case t.Expect():
                self.declarations.expect(s, ctx)
            case t.Assert():
                self.declarations.refuse(s, ctx)
            case t.Broken():
                raise Unknown
            case _:
                return self.network_statement(s, ctx, flow)
        return flow

    def network_statement(self, s: t.Statement, ctx: Context, flow: Value) -> Value:
        """Run a statement that is allowed only outside blocks and groups."""
        word = type(s).__name__.lower()
        if ctx.naming.path or ctx.calls or ctx.branches is not None:
            raise Fault("misplaced", f"`{word}` is not allowed inside a block or group", s.span)
        match s:
            case t.Input():
                return self.input(s, ctx)
            case t.Use():
                self.declarations.declare(s, ctx)
            case t.Output():
                self.declarations.output(s, ctx)
            case t.Train():
                self.declarations.set_train(s, ctx)
            case t.Network():
                raise Fault("misplaced", "`network` must be the first statement of a file", s.span)
        return flow

    def input(self, s: t.Input, ctx: Context) -> int:
        """Add an input with its declared shape, or with the shape given in its place; return its id."""
        shape = self.given_shapes.get(s.name) or evaluate(s.shape, ctx.names)
        if not isinstance(shape, tuple) or None in shape or min(shape) < 1 or len(shape) > 4:
            example = "such as 3x224x224 (channels x height x width)"
            message = f"the shape of an input must have 1 to 4 sizes of at least 1, {example}"
            raise Fault("bad-input", message, s.shape.span)
        matched = match("input", ["dtype"], s.arguments, s.span)
        given = values(matched, ctx.names, word_fields(Input))
        op = build(Input, {"shape": Given(shape, s.shape.span), **given}, s.span)
        name = label_text(t.Label(s.span, (s.name,)), ctx.names)
        self.input_spans[name] = s.span
        assert isinstance(op, Input)
        value = self.layers.input(name, op, s.span)
        ctx.naming.add(name, Entry(value, s.span))
        ctx.naming.children.append(value)
        return value

    def repeat(self, s: t.Repeat, ctx: Context, flow: Value) -> Value:
        """Run a body a number of times and return the id of the last node."""
        count = evaluate(s.count, ctx.names)
        if isinstance(count, bool) or not isinstance(count, int) or count < 0:
            message = f"the count of `repeat` must be a whole number of at least 0, not {described(count)}"
            raise Fault("wrong-type", message, s.count.span)
        if count > MOST_STATEMENTS:
            message = f"`repeat` can run at most {MOST_STATEMENTS:,} times, not {count:,}"
            raise Fault("too-large", message, s.count.span)
        for _ in range(count):
            self.collector.count_step(s.span.first_line())
            flow = self.body(s.body, ctx, flow)
        return flow

    def loop(self, s: t.For, ctx: Context, flow: Value) -> Value:
        """Run a body for each item of a list and return the id of the last node."""
        items = evaluate(s.values, ctx.names)
        if not isinstance(items, list):
            message = f"`for` needs a list, not {described(items)}"
            raise Fault("wrong-type", message, s.values.span)
        for item in items:
            row = item if len(s.names) > 1 and isinstance(item, list) else [item]
            if len(row) != len(s.names):
                message = f"`for` has {len(s.names)} names, so each item must be a list of {len(s.names)}"
                raise Fault("expression", message, s.span.first_line())
            for name, value in zip(s.names, row, strict=True):
                ctx.names.bind(name, value)
            self.collector.count_step(s.span.first_line())
            flow = self.body(s.body, ctx, flow)
        return flow

    def layer(self, s: t.Layer, ctx: Context, flow: Value) -> Value:
        """Run a layer, group, join or block: register its label and check the shape after its `->`."""
        label = label_text(s.label, ctx.names) if s.label else None
        span = (s.label or s.action).span.to(s.action.span)
        inputs = tuple(self.scopes.resolve(p, ctx) for p in s.sources) if s.sources else (flow,)
        if isinstance(s.action, t.Apply) and s.action.name in ctx.blocks:
            self.collector.steps += BLOCK_STEPS
        made = self.actions.apply(s.action, Site(ctx, label, span, inputs, bool(s.sources)))
        if label and made.value is not None and label not in ctx.naming.entries:
            ctx.naming.add(label, Entry(made.value, span, made.inside))
        if s.claim and made.value == UNKNOWN:
            made = replace(made, value=self.layers.stand_in(self.claimed_shape(s, ctx), span))
            self.scopes.set_value(label, made.value, ctx.naming)
        elif s.claim and made.value is not None:
            self.compare(s.claim, made.value, ctx)
        if ctx.branches is not None:
            ctx.branches.append((UNKNOWN if made.value is None else made.value, span))
            return flow
        return made.value

    def compare(self, claim: t.Size, value: int, ctx: Context) -> None:
        """Compare the shape written after `->` with the inferred one.

        If input shapes were given, only sizes that hold for any input are compared.
        """
        sizes = evaluate(claim, ctx.names)
        assert isinstance(sizes, tuple)
        if self.given_shapes and value != UNKNOWN:
            sizes = claims.independent(claim, sizes, self.layers, value)
            if not any(sizes):
                return
        if value != UNKNOWN:
            found = claims.compare_shape(self.layers, value, sizes, claim.span, ctx.calls)
            if found:
                self.collector.add(found, ctx)
