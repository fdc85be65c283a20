"""Tree to Net: expand, resolve names, build ops, infer and count, and collect every diagnostic."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from netspec.checker import claims, lint
from netspec.checker.arguments import fitting, twice
from netspec.checker.context import Context, deep_recursion
from netspec.checker.expand import Expander
from netspec.checker.files import Root, files_of
from netspec.checker.naming import UNKNOWN, Naming, find
from netspec.checker.section import section_of
from netspec.checker.starts import restarted
from netspec.checker.walk import mentioned, walk
from netspec.diagnostics import Diagnostic, Source, Span, SpecError, did_you_mean, in_order
from netspec.graph import Net, Output
from netspec.language import ast as t
from netspec.language.expressions import Fault, Names, Unknown, evaluate
from netspec.language.parser import parse
from netspec.language.values import spell
from netspec.library import read
from netspec.plugins import Plugin, provider
from netspec.shape import Shape

MOST_SHOWN = 100

Inputs = Mapping[str, Shape]
"""Shapes in place of the declared ones, by the name of the input; the only one may go by no name."""


@dataclass(frozen=True)
class Report:
    """What checking found: the network where there are no errors, and all diagnostics in order of place."""

    source: Source
    net: Net | None
    diagnostics: tuple[Diagnostic, ...]
    remarks: tuple[str, ...] = ()
    network: str | None = None
    arguments: Mapping[str, object] = field(default_factory=dict)
    """The network's name and the values of its parameters, as far as they could be read."""
    used: tuple[Source, ...] = ()
    """The files that it takes with `use`."""
    inputs: Inputs = field(default_factory=dict)
    """The shapes that were given in place of declared ones."""
    plugins: tuple[Plugin, ...] = ()
    """The plug-ins whose layer types the network uses."""

    @property
    def ok(self) -> bool:
        return self.net is not None

    @property
    def status(self) -> int:
        """The exit status of a command: 0, 1 for faults in the spec, 2 for settings that it does not have."""
        wrong_use = any(d.code in ("unknown-setting", "wrong-setting") for d in self.diagnostics)
        return 2 if wrong_use else 0 if self.ok else 1

    def require(self) -> Net:
        """The network, or all diagnostics as a `SpecError`."""
        if self.net is None:
            raise SpecError([d for d in self.diagnostics if d.severity == "error"])
        return self.net


def check_file(
    path: Path,
    arguments: Mapping[str, object] | None = None,
    inputs: Inputs | None = None,
    shown: str | None = None,
    recipe: Path | None = None,
) -> Report:
    """Check a spec file; `arguments` set the network's parameters, `inputs` replace its inputs' shapes.

    Arguments such as `train.batch` set entries of the recipe; `recipe` is a file whose `train` section stands
    in for the spec's.

    Raises:
        SpecError: a file cannot be read.
    """
    told = read(recipe) if recipe else None
    return check_source(read(path, shown), path.parent, arguments, inputs, told)


def check_source(
    source: Source,
    root: Root,
    arguments: Mapping[str, object] | None = None,
    inputs: Inputs | None = None,
    recipe: Source | None = None,
) -> Report:
    """Check the text of a spec; files that it uses lie below the folder `root`, or are the texts in it."""
    with deep_recursion():
        return Check(source, root, dict(arguments or {}), dict(inputs or {}), recipe).run()


class Check:
    """One check of one spec."""

    def __init__(
        self,
        source: Source,
        root: Root,
        arguments: dict[str, object],
        inputs: Inputs,
        recipe: Source | None = None,
    ) -> None:
        self.source, self.inputs, self.recipe_source = source, inputs, recipe
        self.overrides = {n: arguments.pop(n) for n in [*arguments] if n.startswith("train.")}
        self.arguments = arguments
        self.file, self.syntax = parse(source)
        self.files = files_of(root, self.file)
        self.extra: list[Diagnostic] = []
        self.remarks: list[str] = []
        self.values: dict[str, object] = {}
        self.changed: list[str] = []

    def run(self) -> Report:
        statements = self.file.body.statements
        expander = Expander(self.files.load, self.given_shapes())
        naming = Naming()
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
        return self.report(self.with_recipe(net, expander), expander)

    def given_shapes(self) -> dict[str, Shape]:
        """The shapes given from outside, for the inputs that they name."""
        names = list(dict.fromkeys(s.name for s in walk(self.file) if isinstance(s, t.Input)))
        given = dict(self.inputs)
        if "" in given and len(names) > 1:
            help = f"say which, as in --input {names[0]}={given.pop('')}"
            self.error("unknown-setting", f"there are the inputs {', '.join(names)}", self.place(), help)
        elif "" in given and names:
            given[names[0]] = given.pop("")
        for name in given.keys() - set(names) - {""}:
            help = did_you_mean(name, names) or f"there is {', '.join(names)}"
            self.error("unknown-setting", f"the network has no input `{name}`", self.place(), help)
        return given

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
                    "unknown-setting",
                    f"the network {first.name} has no parameter `{name}`",
                    first.span,
                    help,
                )
        self.extra += list(twice(first.parameters))
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
            raise Fault("missing-argument", message, parameter.span, f"--set {parameter.name}=...")
        return default

    def build(
        self, header: t.Network | None, naming: Naming, expander: Expander, flow: int | None
    ) -> Net | None:
        """The network, where everything in it is known."""
        faulty = self.syntax or self.files.faults or self.extra or expander.faults
        if not faulty and all(n.op.kind == "input" for n in expander.layers.nodes):
            self.error("no-layers", "the network has no layers", self.place())
        outputs = tuple(self.outputs(expander))
        if faulty or self.extra or flow is None or flow == UNKNOWN or header is None:
            return None
        if not any(not o.training for o in outputs):
            outputs = (Output(expander.layers.nodes[flow].name, flow), *outputs)
        nodes = tuple(expander.layers.nodes)
        return Net(header.name, header.citation, dict(self.values), nodes, naming.scope(), outputs)

    def outputs(self, expander: Expander) -> Iterator[Output]:
        """Resolve the outputs once all layers are known."""
        for statement, ctx in expander.outputs:
            for path in statement.paths:
                try:
                    yield self.output(statement, path, ctx)
                except Fault as fault:
                    self.extra.append(fault.diagnostic)
                except Unknown:
                    continue

    def output(self, statement: t.Output, path: t.Path, ctx: Context) -> Output:
        try:
            entry = find(path, ctx.naming, ctx.names)
        except Fault as fault:
            message = f"there is no layer `{path}` to be an output"
            help = fault.diagnostic.help or f"there are {', '.join(ctx.naming.labels()[-8:])}"
            raise Fault("unknown-output", message, path.span, help) from None
        weight: object = 1.0
        for argument in statement.arguments:
            if argument.name != "weight":
                raise Fault("unknown-argument", "an output in training has a `weight` alone", argument.span)
            weight = evaluate(argument.value, ctx.names)
            if isinstance(weight, bool) or not isinstance(weight, int | float):
                raise Fault("wrong-type", "the weight of an output is a number", argument.value.span)
        assert isinstance(weight, int | float)
        return Output(str(path), entry.value, statement.when is not None, float(weight))

    def with_recipe(self, net: Net | None, expander: Expander) -> Net | None:
        """The network with its recipe, whose sizes follow a given input, and the starts that it asks for."""
        reading = section_of(expander.train, self.recipe_source, self.overrides)
        first = expander.layers.first_input()
        if self.inputs and first is not None:
            self.remarks += reading.follow(expander.layers.nodes[first].shape)
        self.extra += reading.faults()
        if net is None or self.extra:
            return None
        nodes, faults = restarted(net.nodes, reading.settings.get("init"))
        self.extra += faults
        return replace(net, nodes=nodes, recipe=reading.settings, recipe_citation=reading.citation)

    def report(self, net: Net | None, expander: Expander) -> Report:
        found = [*self.syntax, *self.files.faults, *self.extra, *expander.faults]
        remarks = self.remarks
        if net and not found:
            changed = sorted(set(self.changed) - mentioned(self.file))
            shapes = [f"{name or 'the input'} = {shape}" for name, shape in self.inputs.items()]
            if expander.expectations and (changed or self.inputs):
                why = [f"{n} = {spell(self.values[n])}" for n in changed] + shapes
                remarks.append(
                    f"the expected totals were not checked, for they were not written for {', '.join(why)}"
                )
            else:
                found += claims.check_totals(net, expander.expectations)
            if self.inputs and any(isinstance(n, t.Layer) and n.claim for n in walk(self.file)):
                remarks.append(f"the claimed shapes were not checked, for {' and '.join(shapes)}")
            found += lint.unused_layers(net, expander.input_spans)
        if not any(d.severity == "error" for d in found):
            found += [d for file in self.files.all for d in lint.unused_names(file)]
        diagnostics = in_order(found)
        if len(diagnostics) > MOST_SHOWN:
            remarks.append(f"the first {MOST_SHOWN} of {len(diagnostics):,} faults are shown")
            errors = [d for d in diagnostics if d.severity == "error"]
            diagnostics = tuple((errors or diagnostics)[:MOST_SHOWN])
        faulty = any(d.severity == "error" for d in diagnostics)
        if faulty and self.changed:
            given = ", ".join(f"{n} = {spell(self.values[n])}" for n in self.changed if n in self.values)
            remarks.append(f"this was checked with {given}")
        name = next((s.name for s in self.file.body.statements if isinstance(s, t.Network)), None)
        used = tuple(file.source for file in self.files.loaded.values())
        ops = dict.fromkeys(type(n.op) for n in expander.layers.nodes)
        found_plugins = tuple(plugin for op in ops if (plugin := provider(op)))
        remarks += [f"{plugin} is a plug-in" for plugin in found_plugins]
        told = (name, dict(self.values), used, dict(self.inputs), found_plugins)
        return Report(self.source, None if faulty else net, diagnostics, tuple(remarks), *told)
