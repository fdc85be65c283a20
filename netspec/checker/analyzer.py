"""Checks one spec: runs its statements, assembles the network, and compares its totals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from netspec.checker import claims, lint
from netspec.checker.arguments import duplicates, fitting
from netspec.checker.context import Context
from netspec.checker.files import Root, files_of
from netspec.checker.naming import UNKNOWN, Naming, find
from netspec.checker.report import Inputs, Report
from netspec.checker.section import section_of
from netspec.checker.starts import apply_init
from netspec.checker.statements import Statements
from netspec.checker.walk import mentioned, walk
from netspec.diagnostics import Diagnostic, Source, Span, did_you_mean, in_order
from netspec.graph import Net, Output
from netspec.language import ast as t
from netspec.language.expressions import evaluate
from netspec.language.names import Fault, Names, Refused, Unknown
from netspec.language.values import spell
from netspec.plugins import provider
from netspec.shape import Shape

MOST_SHOWN = 100


class Analyzer:
    """Checks one syntax tree. `syntax` contains the frontend's diagnostics."""

    def __init__(
        self,
        file: t.File,
        syntax: Sequence[Diagnostic],
        root: Root,
        arguments: Mapping[str, object],
        inputs: Inputs,
        recipe: Source | None,
    ) -> None:
        self.file, self.syntax, self.source = file, tuple(syntax), file.source
        self.inputs, self.recipe_source = dict(inputs), recipe
        arguments = dict(arguments)
        self.overrides = {n: arguments.pop(n) for n in [*arguments] if n.startswith("train.")}
        self.arguments = arguments
        self.files = files_of(root, file)
        self.extra: list[Diagnostic] = []
        self.remarks: list[str] = []
        self.values: dict[str, object] = {}
        self.changed: list[str] = []
        self.input_shapes: dict[str, Shape] = {}
        self.steps = 0

    def run(self) -> Report:
        """Check the tree and return the report."""
        statements = self.file.body.statements
        run = Statements(self.files.load, self.given_shapes())
        naming = Naming()
        names = run.scopes.names_for(Names(), naming, None)
        header = self.header(statements, names)
        body = t.Body(self.file.body.span, statements[1:] if header else statements)
        context = Context(names, {}, {}, naming)
        flow: int | None = UNKNOWN
        try:
            flow = run.body(body, context, None)
        except Fault as fault:
            run.collector.diagnostics.append(fault.diagnostic)
        except Refused:
            flow = UNKNOWN
        except RecursionError:
            self.error("too-large", "the statements of this spec are nested too deeply", self.place())
        if not run.input_spans and not run.collector.diagnostics and not self.syntax:
            help = "as in `input image: 3x224x224`, before the first layer"
            self.error("no-input", "the network has no input", self.place(), help)
        layers = run.layers.nodes
        self.input_shapes = {n.name: n.shape for n in layers if n.name in run.input_spans}
        self.steps = run.collector.steps + len(layers)
        net = self.build(header, naming, run, flow)
        return self.report(self.with_recipe(net, run), run)

    def given_shapes(self) -> dict[str, Shape]:
        """Return the shapes that replace declared ones, keyed by the names of inputs."""
        names = list(dict.fromkeys(s.name for s in walk(self.file) if isinstance(s, t.Input)))
        given = dict(self.inputs)
        if "" in given and len(names) > 1:
            given.pop("")
            help = f"give the shape by name: {' or '.join(names)}"
            self.error(
                "unknown-setting", f"the network has several inputs: {', '.join(names)}", self.place(), help
            )
        elif "" in given and names:
            given[names[0]] = given.pop("")
        for name in given.keys() - set(names) - {""}:
            help = did_you_mean(name, names) or f"its inputs are {', '.join(names)}"
            self.error("unknown-setting", f"the network has no input `{name}`", self.place(), help)
        return given

    def place(self) -> Span:
        """Return the span for diagnostics about the whole file: its first line that is not blank."""
        start = len(self.source.text) - len(self.source.text.lstrip())
        return Span(self.source, start, max(start + 1, len(self.source.text))).first_line()

    def error(self, code: str, message: str, span: Span, help: str | None = None) -> None:
        self.extra.append(Diagnostic(code, message, span, help=help))

    def header(self, statements: tuple[t.Statement, ...], names: Names) -> t.Network | None:
        """Bind the parameters of the `network` statement and return it, or None if it is missing."""
        first = next(iter(statements), None)
        if not isinstance(first, t.Network):
            if not isinstance(first, t.Broken):
                help = "as in `network LeNet(classes = 10)`"
                self.error("no-network", "a spec must begin with a `network` statement", self.place(), help)
            for name, value in self.arguments.items():
                names.values[name] = value
            return None
        known = [p.name for p in first.parameters]
        for name in self.arguments:
            if name not in known:
                help = did_you_mean(name, known) or (
                    f"its parameters are {', '.join(known)}" if known else "it has no parameters"
                )
                self.error(
                    "unknown-setting",
                    f"the network {first.name} has no parameter `{name}`",
                    first.span,
                    help,
                )
        self.extra += list(duplicates(first.parameters))
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
            given = fitting(self.arguments[parameter.name], default, parameter)
            if parameter.default and given != default:
                self.changed.append(parameter.name)
            return given
        if parameter.default is None:
            message = f"the network {network.name} needs a value for `{parameter.name}`"
            raise Fault(
                "missing-argument",
                message,
                parameter.span,
                f"set `{parameter.name}=...`, or give the parameter a default",
            )
        return default

    def build(
        self, header: t.Network | None, naming: Naming, run: Statements, flow: int | None
    ) -> Net | None:
        """Return the finished network, or None if there are errors."""
        faulty = self.syntax or self.files.faults or self.extra or run.collector.diagnostics
        if not faulty and all(n.op.kind == "input" for n in run.layers.nodes):
            self.error("no-layers", "the network has no layers", self.place())
        outputs = tuple(self.outputs(run))
        if faulty or self.extra or flow is None or flow == UNKNOWN or header is None:
            return None
        if not any(not o.training for o in outputs):
            outputs = (Output(run.layers.nodes[flow].name, flow), *outputs)
        nodes = tuple(run.layers.nodes)
        return Net(header.name, header.citation, dict(self.values), nodes, naming.scope(), outputs)

    def outputs(self, run: Statements) -> Iterator[Output]:
        """Yield the network's outputs with the layers that compute them."""
        for statement, ctx in run.declarations.outputs:
            for path in statement.paths:
                try:
                    yield self.output(statement, path, ctx)
                except Fault as fault:
                    self.extra.append(fault.diagnostic)
                except Unknown:
                    continue

    def output(self, statement: t.Output, path: t.Path, ctx: Context) -> Output:
        """Return one output with the layer that computes it."""
        try:
            entry = find(path, ctx.naming, ctx.names)
        except Fault as fault:
            message = f"the output `{path}` does not name a layer"
            help = fault.diagnostic.help or f"the last layers are {', '.join(ctx.naming.labels()[-8:])}"
            raise Fault("unknown-output", message, path.span, help) from None
        weight: object = 1.0
        for argument in statement.arguments:
            if argument.name != "weight":
                raise Fault(
                    "unknown-argument",
                    "an output marked `when training` takes only the argument `weight`",
                    argument.span,
                )
            weight = evaluate(argument.value, ctx.names)
            if isinstance(weight, bool) or not isinstance(weight, int | float):
                raise Fault("wrong-type", "the weight of an output must be a number", argument.value.span)
        assert isinstance(weight, int | float)
        return Output(str(path), entry.value, statement.when is not None, float(weight))

    def with_recipe(self, net: Net | None, run: Statements) -> Net | None:
        """Return the network with its recipe and with the recipe's initializers, or None if there are errors.

        If the shape of the first input was given, the recipe's crop is adapted to it.
        """
        reading = section_of(run.declarations.train, self.recipe_source, self.overrides)
        first = run.layers.first_input()
        if self.inputs and first is not None:
            self.remarks += reading.follow(run.layers.nodes[first].shape)
        training, faults = reading.parsed()
        self.extra += faults
        if net is None or self.extra:
            return None
        nodes, faults = apply_init(net.nodes, reading.settings.get("init"))
        self.extra += faults
        return replace(
            net, nodes=nodes, recipe=reading.settings, recipe_citation=reading.citation, training=training
        )

    def report(self, net: Net | None, run: Statements) -> Report:
        found = [*self.syntax, *self.files.faults, *self.extra, *run.collector.diagnostics]
        remarks = self.remarks
        if net and not found:
            changed = sorted(set(self.changed) - mentioned(self.file))
            shapes = [f"{name or 'the input'} = {shape}" for name, shape in self.inputs.items()]
            if run.declarations.expectations and (changed or self.inputs):
                why = [f"{n} = {spell(self.values[n])}" for n in changed] + shapes
                remarks.append(f"skipped expected totals: they assume the defaults, but {', '.join(why)}")
            else:
                found += claims.check_totals(net, run.declarations.expectations)
            if self.inputs and any(isinstance(n, t.Layer) and n.claim for n in walk(self.file)):
                compared = "of the sizes after `->`, only those that hold for any input were compared"
                remarks.append(
                    f"{compared}: the others assume the declared input, but {' and '.join(shapes)}"
                )
            found += lint.unused_layers(net, run.input_spans)
            if net.recipe:
                found += lint.unfit_scores(net)
        found += lint.channels_last(run.layers.nodes, run.input_spans)
        found += lint.batch_first(run.layers.nodes, run.input_spans)
        if not any(d.severity == "error" for d in found):
            found += [d for file in self.files.all for d in lint.unused_names(file)]
        diagnostics = in_order(found)
        if len(diagnostics) > MOST_SHOWN:
            remarks.append(f"only the first {MOST_SHOWN} of {len(diagnostics):,} diagnostics are shown")
            errors = [d for d in diagnostics if d.severity == "error"]
            diagnostics = tuple((errors or diagnostics)[:MOST_SHOWN])
        faulty = any(d.severity == "error" for d in diagnostics)
        if faulty and self.changed:
            given = ", ".join(f"{n} = {spell(self.values[n])}" for n in self.changed if n in self.values)
            remarks.append(f"checked with {given}")
        name = next((s.name for s in self.file.body.statements if isinstance(s, t.Network)), None)
        used = tuple(file.source for file in self.files.loaded.values())
        ops = dict.fromkeys(type(n.op) for n in run.layers.nodes)
        found_plugins = tuple(plugin for op in ops if (plugin := provider(op)))
        remarks += [f"{plugin} is a plug-in" for plugin in found_plugins]
        told = (name, dict(self.values), used, dict(self.inputs), found_plugins)
        return Report(self.source, None if faulty else net, diagnostics, tuple(remarks), *told)
