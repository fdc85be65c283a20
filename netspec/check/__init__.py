"""Tree to Net: expand, resolve names, build ops, infer and count, and collect every diagnostic."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from netspec import tree as t
from netspec.check import claims, lint
from netspec.check.context import Context
from netspec.check.expand import Expander
from netspec.check.files import Files
from netspec.check.naming import UNKNOWN, Naming, find
from netspec.diagnostics import Diagnostic, Source, Span, SpecError, did_you_mean, in_order
from netspec.evaluate import Fault, Names, Unknown, evaluate
from netspec.graph import Net, Output, Setting
from netspec.parse import parse
from netspec.recipe import RecipeError
from netspec.recipe import read as read_recipe
from netspec.shape import Shape
from netspec.source import read

FRAMES = 4000
MOST_SHOWN = 100


@dataclass(frozen=True)
class Report:
    """What checking found: the network where there are no errors, and all diagnostics in order of place."""

    source: Source
    net: Net | None
    diagnostics: tuple[Diagnostic, ...]
    remarks: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return self.net is not None

    def require(self) -> Net:
        """The network, or all diagnostics as a `SpecError`."""
        if self.net is None:
            raise SpecError([d for d in self.diagnostics if d.severity == "error"])
        return self.net


def check_file(
    path: Path,
    arguments: Mapping[str, object] | None = None,
    inputs: Shape | None = None,
    shown: str | None = None,
) -> Report:
    """Check a spec file; `arguments` set the network's parameters, `inputs` replaces its input's shape.

    Raises:
        SpecError: the file cannot be read.
    """
    return check_source(read(path, shown), path.parent, arguments, inputs)


def check_source(
    source: Source, root: Path, arguments: Mapping[str, object] | None = None, inputs: Shape | None = None
) -> Report:
    """Check the text of a spec; files named in `use` are found below `root`."""
    with deep_recursion():
        return Check(source, root, dict(arguments or {}), inputs).run()


@contextmanager
def deep_recursion() -> Iterator[None]:
    """Allow for blocks nested as deep as the language does; Python's own frames take no C stack."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, FRAMES))
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)


class Check:
    """One check of one spec."""

    def __init__(
        self, source: Source, root: Path, arguments: dict[str, object], inputs: Shape | None
    ) -> None:
        self.source, self.arguments, self.inputs = source, arguments, inputs
        self.file, self.syntax = parse(source)
        self.files = Files(root, self.file)
        self.extra: list[Diagnostic] = []
        self.values: dict[str, object] = {}
        self.changed: list[str] = []

    def run(self) -> Report:
        statements = self.file.body.statements
        given = (
            {s.name: self.inputs for s in t.walk(self.file) if isinstance(s, t.Input)} if self.inputs else {}
        )
        expander = Expander(self.files.load, given)
        naming = Naming(broken=any(isinstance(s, t.Broken) for s in statements))
        names = expander.applier.names_for(Names(), naming, None)
        header = self.header(statements, names, expander)
        body = t.Body(self.file.body.span, statements[1:] if header else statements)
        context = Context(names, {}, {}, naming)
        flow: int | None = UNKNOWN
        try:
            flow = expander.body(body, context, None)
        except Fault as fault:
            expander.faults.append(fault.diagnostic)
        except RecursionError:
            self.error("too-large", "the statements of this spec are nested too deeply", self.place())
        if not expander.input_spans and not expander.faults and not self.syntax:
            message = "the network has no input"
            self.error(
                "no-input", message, self.place(), "as in `input image: 3x224x224`, before the first layer"
            )
        net = self.build(header, naming, expander, flow)
        recipe = self.recipe(expander)
        return self.report(net and replace(net, recipe=recipe), expander)

    def place(self) -> Span:
        """Where to show a fault of the whole file: its first line of content."""
        start = len(self.source.text) - len(self.source.text.lstrip())
        return Span(self.source, start, max(start + 1, len(self.source.text))).first_line()

    def error(self, code: str, message: str, span: Span, help: str | None = None) -> None:
        self.extra.append(Diagnostic(code, message, span, help=help))

    def header(
        self, statements: tuple[t.Statement, ...], names: Names, expander: Expander
    ) -> t.Network | None:
        """Read the `network` statement and give its parameters their values."""
        first = next(iter(statements), None)
        if not isinstance(first, t.Network):
            if not isinstance(first, t.Broken):
                help = "as in `network LeNet(classes = 10)`"
                self.error("no-network", "a spec begins with its `network` statement", self.place(), help)
            for name, value in self.arguments.items():
                names.values[name] = value
            return None
        known = [p.name for p in first.parameters]
        for name in self.arguments:
            if name not in known:
                help = did_you_mean(name, known) or (f"it has {', '.join(known)}" if known else "it has none")
                self.error(
                    "unknown-argument",
                    f"the network {first.name} has no parameter `{name}`",
                    first.span,
                    help,
                )
        for parameter in first.parameters:
            try:
                names.values[parameter.name] = self.parameter(parameter, names, first)
                self.values[parameter.name] = names.values[parameter.name]
            except (Fault, Unknown) as error:
                names.values[parameter.name] = Unknown
                if isinstance(error, Fault):
                    self.extra.append(error.diagnostic)
        return first

    def parameter(self, parameter: t.Parameter, names: Names, network: t.Network) -> object:
        default = evaluate(parameter.default, names) if parameter.default else None
        if parameter.name in self.arguments:
            if parameter.default and self.arguments[parameter.name] != default:
                self.changed.append(parameter.name)
            return self.arguments[parameter.name]
        if parameter.default is None:
            message = f"the network {network.name} needs a value for `{parameter.name}`"
            raise Fault("missing-argument", message, parameter.span, f"--set {parameter.name}=...")
        return default

    def build(
        self, header: t.Network | None, naming: Naming, expander: Expander, flow: int | None
    ) -> Net | None:
        """The network, where everything in it is known."""
        faulty = self.syntax or self.files.faults or self.extra or expander.faults
        if not faulty and all(n.op.kind == "input" for n in expander.layers.nodes):
            self.error("no-layers", "the network has no layers", self.place())
        if faulty or self.extra or flow is None or flow == UNKNOWN or header is None:
            return None
        try:
            outputs = tuple(self.output(o, ctx) for o, ctx in expander.outputs)
        except Fault as fault:
            self.extra.append(fault.diagnostic)
            return None
        if not any(not o.training for o in outputs):
            outputs = (Output(expander.layers.nodes[flow].name, flow), *outputs)
        nodes = tuple(expander.layers.nodes)
        return Net(header.name, header.citation, dict(self.values), nodes, naming.scope(), outputs)

    def output(self, statement: t.Output, ctx: Context) -> Output:
        """Resolve an output once all layers are known."""
        try:
            entry = find(statement.path, ctx.naming)
        except Fault as fault:
            message = f"there is no layer `{statement.path}` to be an output"
            help = fault.diagnostic.help or f"there are {', '.join(ctx.naming.labels()[-8:])}"
            raise Fault("unknown-output", message, statement.path.span, help) from None
        weight: object = 1.0
        for argument in statement.arguments:
            if argument.name != "weight":
                raise Fault("unknown-argument", "an output in training has a `weight` alone", argument.span)
            weight = evaluate(argument.value, ctx.names)
            if isinstance(weight, bool) or not isinstance(weight, int | float):
                raise Fault("wrong-type", "the weight of an output is a number", argument.value.span)
        assert isinstance(weight, int | float)
        return Output(str(statement.path), entry.value, statement.when is not None, float(weight))

    def recipe(self, expander: Expander) -> dict[str, Setting]:
        """Evaluate the `train` section and let the recipe refuse what it does not know."""
        if expander.train is None:
            return {}
        train, names = expander.train
        settings: dict[str, Setting] = {}
        spans: dict[str, Span] = {}
        if len(train.settings) > MOST_SHOWN:
            self.error("recipe", f"a recipe has at most {MOST_SHOWN} entries", train.span.first_line())
            return {}
        for s in train.settings:
            if isinstance(s, t.Broken):
                continue
            spans[s.name] = s.span
            try:
                if s.name in settings:
                    raise Fault("duplicate-argument", f"`{s.name}` is set twice", s.span)
                settings[s.name] = Setting(evaluate(s.value, names, words=True), s.value.span)
            except Fault as fault:
                self.extra.append(fault.diagnostic)
            except Unknown:
                continue
        try:
            read_recipe({name: s.value for name, s in settings.items()})
        except RecipeError as error:
            for wrong in error.faults:
                self.error("recipe", wrong.message, spans.get(wrong.key, train.span.first_line()), wrong.help)
        return settings

    def report(self, net: Net | None, expander: Expander) -> Report:
        found = [*self.syntax, *self.files.faults, *self.extra, *expander.faults]
        remarks: list[str] = []
        if net and not found:
            changed = sorted(set(self.changed) - mentioned(self.file))
            if expander.expectations and (changed or self.inputs):
                why = [f"{n} = {self.values[n]}" for n in changed] + (
                    [f"input {self.inputs}"] if self.inputs else []
                )
                remarks.append(
                    f"the expected totals were not checked, for they were not written for {', '.join(why)}"
                )
            else:
                found += claims.check_totals(net, expander.expectations)
            if self.inputs and any(isinstance(n, t.Layer) and n.claim for n in t.walk(self.file)):
                remarks.append(f"the claimed shapes were not checked: the input was set to {self.inputs}")
            found += lint.unused_layers(net, expander.input_spans)
        if not any(d.severity == "error" for d in found):
            found += [d for file in self.files.all for d in lint.unused_names(file)]
        diagnostics = in_order(found)
        if len(diagnostics) > MOST_SHOWN:
            remarks.append(f"the first {MOST_SHOWN} of {len(diagnostics):,} faults are shown")
            errors = [d for d in diagnostics if d.severity == "error"]
            diagnostics = tuple((errors or diagnostics)[:MOST_SHOWN])
        faulty = any(d.severity == "error" for d in diagnostics)
        return Report(self.source, None if faulty else net, diagnostics, tuple(remarks))


def mentioned(file: t.File) -> set[str]:
    """The names that the file's expectations depend on, by way of others too."""
    nodes = list(t.walk(file))
    choices = [n for n in nodes if isinstance(n, t.If) and any(isinstance(x, t.Expect) for x in t.walk(n))]
    said = {x.id for n in nodes if isinstance(n, t.Expect) for x in t.walk(n) if isinstance(x, t.Name)}
    said |= {x.id for n in choices for x in t.walk(n.condition) if isinstance(x, t.Name)}
    for bind in reversed([n for n in nodes if isinstance(n, t.Bind)]):
        if bind.name in said:
            said |= {x.id for x in t.walk(bind.value) if isinstance(x, t.Name)}
    return said
