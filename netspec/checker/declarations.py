"""Runs the statements that add no layers: names, defaults, blocks, outputs, expected totals, the recipe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from netspec.checker import claims
from netspec.checker.arguments import Faults, duplicates, match, unknown_op, values, word_fields
from netspec.checker.collector import Collector
from netspec.checker.context import BlockDefinition, Context
from netspec.checker.naming import Naming, parts_of
from netspec.checker.symbolic import symbolic
from netspec.checker.walk import walk
from netspec.diagnostics import Diagnostic, Label
from netspec.language import ast as t
from netspec.language.expressions import evaluate
from netspec.language.names import Fault, Names, Refused, Unknown
from netspec.language.values import Rounded, described, spell
from netspec.ops import OPS, is_builtin


@dataclass
class Declarations:
    """Adds names and blocks to the context; stores outputs, expected totals and the recipe for later."""

    load: Callable[[t.Use], t.File]
    collector: Collector
    outputs: list[tuple[t.Output, Context]] = field(default_factory=list)
    expectations: list[tuple[str, object, t.Argument]] = field(default_factory=list)
    train: tuple[t.Train, Names] | None = None
    used: dict[int, dict[str, BlockDefinition]] = field(default_factory=dict)
    """The blocks of each file named by `use`, keyed by the `id` of its syntax tree."""

    def declare(self, s: t.Bind | t.Default | t.Block | t.Use, ctx: Context) -> None:
        """Run a declaration: a statement that a file named by `use` can also contain."""
        match s:
            case t.Bind():
                value = evaluate(s.value, ctx.names)
                ctx.names.bind(s.name, value, symbolic(s.value, ctx.names) if ctx.calls else None)
            case t.Default():
                self.default(s, ctx)
            case t.Block():
                ctx.blocks[s.name] = self.block(s, ctx)
            case t.Use():
                self.use(s, ctx)

    def use(self, s: t.Use, ctx: Context) -> None:
        """Add the blocks of the file that a `use` statement names."""
        file = self.load(s)
        if id(file) in self.used:
            ctx.blocks.update(self.used[id(file)])
            return
        names, blocks = Names(shape_of=lambda expr: None), dict[str, BlockDefinition]()
        inner = Context(names, blocks, {}, Naming())
        for statement in file.body.statements:
            match statement:
                case t.Block() | t.Bind() | t.Default() | t.Use():
                    try:
                        self.declare(statement, inner)
                    except (Fault, Faults, Unknown) as error:
                        self.collector.report(error, inner)
                case t.Broken():
                    continue
                case _:
                    message = "a file named by `use` can contain only blocks, names and defaults"
                    self.collector.add(Diagnostic("misplaced", message, statement.span), ctx)
        self.used[id(file)] = blocks
        ctx.blocks.update(blocks)

    def block(self, s: t.Block, ctx: Context) -> BlockDefinition:
        """Return the definition of a block. Its body can use everything that is in scope here."""
        place = s.span.first_line()
        if is_builtin(s.name) or s.name == "share":
            raise Fault(
                "bad-label", f"`{s.name}` is a layer type, so it cannot be the name of a block", place
            )
        for diagnostic in duplicates(s.parameters):
            self.collector.add(diagnostic, ctx)
        before = ctx.blocks.get(s.name)
        if before and before.names is ctx.names and before.tree is not s:
            fault = Fault("duplicate-block", f"there are two blocks named `{s.name}`", place)
            labels = (Label(before.tree.span.first_line(), "first defined here"),)
            fault.diagnostic = replace(fault.diagnostic, labels=labels)
            raise fault
        defaults = {
            op: {name: replace(given, symbol=None) for name, given in arguments.items()}
            for op, arguments in ctx.defaults.items()
        }  # the generated class of a block cannot use the parameters of the class around it
        return BlockDefinition(s, ctx.names, ctx.blocks, defaults)

    def default(self, s: t.Default, ctx: Context) -> None:
        """Set defaults for the arguments of an op or a block, valid until the enclosing braces close."""
        op = None if s.op in ctx.blocks else OPS.find(s.op)
        if op:
            known = list(op.model_fields)
        elif s.op in ctx.blocks:
            known = [p.name for p in ctx.blocks[s.op].tree.parameters]
        else:
            raise unknown_op(s.op, ctx.blocks, s.span)
        for argument in s.arguments:
            if argument.name is None:
                message = "a default must name its argument, as in `bias=false`"
                raise Fault("bad-argument", message, argument.span)
        words = word_fields(op) if op else ()
        given = values(match(s.op, known, s.arguments, s.span), ctx.names, words)
        ctx.defaults[s.op] = {**ctx.defaults.get(s.op, {}), **given}

    def expect(self, s: t.Expect, ctx: Context) -> None:
        """Store expected totals. They are compared once the network is complete."""
        for claim in s.claims:
            if claim.name not in claims.COUNTS:
                message = f"there is no total named `{claim.name}`; the totals are {', '.join(claims.COUNTS)}"
                raise Fault("unknown-count", message, claim.span)
            value = evaluate(claim.value, ctx.names)
            if isinstance(value, bool) or not isinstance(value, int | float | Rounded):
                message = f"a total must be a number, not {described(value)}"
                raise Fault("wrong-type", message, claim.value.span)
            self.expectations.append((str(claim.name), value, claim))

    def refuse(self, s: t.Assert, ctx: Context) -> None:
        """Evaluate an assertion; if it is false, report it with the values of its names.

        Raises:
            Refused: it is false.
            Fault: its condition is not a boolean.
        """
        holds = evaluate(s.condition, ctx.names)
        if not isinstance(holds, bool):
            message = f"the condition of `assert` must be true or false, not {described(holds)}"
            raise Fault("wrong-type", message, s.condition.span)
        if holds:
            return
        names = dict.fromkeys(x.id for x in walk(s.condition) if isinstance(x, t.Name))
        found = ((name, ctx.names.find(name)) for name in names)
        here = ", ".join(f"{name} = {spell(scope.values[name])}" for name, scope in found if scope)
        self.collector.add(Diagnostic("assertion", s.message, s.condition.span, text=here), ctx)
        raise Refused

    def output(self, s: t.Output, ctx: Context) -> None:
        """Store an output, which may name a layer that is defined later."""
        paths = tuple(t.Path(p.span, parts_of(p, ctx.names)) for p in s.paths)
        self.outputs.append((replace(s, paths=paths), ctx))

    def set_train(self, s: t.Train, ctx: Context) -> None:
        """Store the `train` section. It is evaluated once the network is complete."""
        if self.train:
            raise Fault("duplicate-train", "a network can have only one `train` section", s.span)
        self.train = s, ctx.names
