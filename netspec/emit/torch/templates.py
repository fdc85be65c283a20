"""Templates for generated classes; what differs between the instances of a class becomes a parameter."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from netspec.emit.torch import symbols
from netspec.emit.torch.layout import Buffer, Held, Inner, Layout, Number, Writer
from netspec.emit.torch.names import identifier, plain, unique
from netspec.emit.torch.style import repeated
from netspec.emit.torch.symbols import FREE, IN_CHANNELS, MARK, literal, names_in, replaced
from netspec.language.values import python

Column = tuple[object, ...]
"""The values of one number in a class, one for each instance of the class."""


@dataclass
class Instance:
    """One instance of a generated class: its numbers, their expressions, and its nested instances.

    `values` maps the names in its expressions to their values. `arguments` maps a block's parameters to
    expressions in terms of the block around it; a group of layers uses the names of its block.
    """

    template: Template
    numbers: list[object]
    expressions: list[ast.expr | None]
    inner: list[Instance]
    values: Mapping[str, object]
    arguments: Mapping[str, ast.expr] | None
    defaults: Mapping[str, object]
    bindings: Mapping[str, ast.expr] = field(default_factory=dict)
    """The names that a block defines, with their expressions."""
    free: dict[str, str] = field(default_factory=dict)
    """The free names of this instance, in the order of their use, with the numbered name of each."""
    parameters: dict[str, object] = field(default_factory=dict)

    def canonical(self, expression: ast.expr | None) -> ast.expr | None:
        """Return an expression with numbered free names, so that it is equal in all instances of a class."""
        if expression is None:
            return None
        for name in names_in(expression):
            if name.startswith(FREE):
                self.free.setdefault(name, f"{FREE}{len(self.free)}")
        return replaced(expression, {name: ast.Name(short) for name, short in self.free.items()})

    def outside(self, name: str) -> ast.expr | None:
        """Return the expression for one of this instance's names in the class around it, or None."""
        original = next((o for o, short in self.free.items() if short == name), name)
        if original not in self.values:
            return None
        return ast.Name(original) if self.arguments is None else self.arguments[original]

    def value(self, name: str) -> object:
        """Return the value of a free name or a parameter."""
        return self.values[next((o for o, short in self.free.items() if short == name), name)]


@dataclass
class Template:
    """A class to be generated: the layouts of its children, and the texts for their placeholders."""

    name: str
    hints: list[str]
    children: list[tuple[str, Layout]]
    starts: list[Layout]
    forward: list[str]
    inputs: list[str]
    sequential: bool
    """Whether the class derives from nn.Sequential and therefore needs no `forward`."""
    instances: list[Instance] = field(default_factory=list)
    parameters: dict[str, str] = field(default_factory=dict)
    """The parameters of `__init__`, with the name that each has in expressions."""
    defaults: dict[str, str] = field(default_factory=dict)
    bindings: dict[str, str] = field(default_factory=dict)
    """Local variables of `__init__`, with their expressions."""
    attributes: dict[str, str] = field(default_factory=dict)
    """Attributes that `forward` uses, with their expressions."""
    numbers: list[str] = field(default_factory=list)
    inner: list[str] = field(default_factory=list)

    def positional(self) -> set[str]:
        """Return the parameters without a default in any instance; calls pass their values by position."""
        return {IN_CHANNELS, *(name for each in self.instances for name in required(each))}

    def init(self) -> list[str]:
        """Return the lines of `__init__` that create the children and initialize their weights."""
        writer = Writer(self.numbers, self.inner, {*self.parameters, *self.bindings})
        bound = [f"{name} = {text}" for name, text in self.bindings.items()]
        if self.sequential:
            inside = ", ".join(repeated([writer.write(layout, name) for name, layout in self.children]))
            lines = [*bound, *writer.statements, f"super().__init__({inside},)"]
        else:
            attributes = [f"self.{name} = {text}" for name, text in self.attributes.items()]
            lines = [*bound, "super().__init__()", *attributes]
            for name, layout in self.children:
                text = writer.write(layout, name)
                whole = isinstance(layout, Buffer | Held)
                lines += [*writer.statements, text if whole else assign(name, text)]
                writer.statements.clear()
        return [*lines, *(writer.write(layout) for layout in self.starts)]


class Slots:
    """The numbers and nested instances of a class, collected while its layout is built."""

    def __init__(self) -> None:
        self.numbers: list[object] = []
        self.expressions: list[ast.expr | None] = []
        self.hints: list[str] = []
        self.inner: list[Instance] = []

    def number(self, value: object, hint: str, expression: ast.expr | None = None) -> Number:
        self.numbers.append(plain_value(value))
        self.expressions.append(value.expression if isinstance(value, symbols.Number) else expression)
        self.hints.append(hint)
        return Number(len(self.numbers) - 1)

    def instance(self, instance: Instance) -> Inner:
        self.inner.append(instance)
        return Inner(len(self.inner) - 1)


def assign(name: str, text: str) -> str:
    """Return the statement that makes `text` a child of the module under this name."""
    if plain(name):
        return f"self.{name} = {text}"
    register = "register_parameter" if text.startswith("nn.Parameter(") else "add_module"
    return f"self.{register}({python(name)}, {text})"


def plain_value(value: object) -> object:
    """Return a value with numbers stripped of their expressions."""
    if isinstance(value, symbols.Number):
        return symbols.plain(value)
    return tuple(map(plain_value, value)) if isinstance(value, tuple) else value


def solve(template: Template) -> None:
    """Choose the parameters of a class and fill in its template."""
    Solver(template).run()


class Solver:
    """Chooses how the numbers of one class are written.

    A number is written as its expression in the spec, using parameters of its block. If it depends on no
    parameter, it is a literal if all instances have the same value; otherwise it becomes a parameter.
    """

    def __init__(self, template: Template) -> None:
        self.template, self.instances = template, template.instances
        self.parameters: dict[str, str] = {}
        """The parameters of `__init__`, by the names that they have in expressions."""
        self.columns: dict[str, Column] = {}
        """The values of each parameter."""
        self.hints: dict[str, str] = {}

    def run(self) -> None:
        """Choose the parameters of the class and fill in its template."""
        template, instances = self.template, self.instances
        for expression, hint in zip(instances[0].expressions, template.hints, strict=True):
            if isinstance(expression, ast.Name) and expression.id.startswith(FREE):
                self.hints.setdefault(expression.id, hint)
        for place, hint in enumerate(template.hints):
            column = tuple(i.numbers[place] for i in instances)
            template.numbers.append(self.text(column, hint, instances[0].expressions[place]))
        for place, child in enumerate(instances[0].inner):
            template.inner.append(self.call(place, child))
        template.forward = [self.line(line) for line in template.forward]
        self.order()

    def line(self, line: str) -> str:
        """Return a line of `forward` with its numbers: literals, or attributes set in `__init__`."""

        def write(match: re.Match[str]) -> str:
            text = self.template.numbers[int(match[1])]
            if text.isdigit():
                return text
            attributes = self.template.attributes
            known = next((name for name, other in attributes.items() if other == text), None)
            name = known or unique("size", [*attributes, *(name for name, _ in self.template.children)])
            attributes[name] = text
            return f"{MARK}self.{name}{MARK}"

        line = re.sub(rf"{MARK}(\d+){MARK}", write, line)
        return line.replace(f":{MARK}", f": {MARK}").replace(f"{MARK}:", f"{MARK} :").replace(MARK, "")

    def text(self, column: Column, hint: str, expression: ast.expr | None) -> str:
        """Return the text for one number, given its values in all instances and its expression, if any."""
        if expression is None:
            if constant(column):
                return python(column[0])
            return self.parameter(f"value {hint} {len(self.parameters)}", column, hint)
        replacements: dict[str, ast.expr] = {}
        varying = False
        for name in names_in(expression):
            values = tuple(i.value(name) for i in self.instances)
            if name in self.instances[0].bindings:
                self.bind(name)
                varying = True
            elif name.startswith(FREE) and constant(values):
                replacements[name] = literal(values[0])
            else:
                varying = True
                replacements[name] = ast.Name(self.parameter(name, values, self.hints.get(name, hint)))
        if not varying and constant(column):
            return python(column[0])
        return ast.unparse(replaced(expression, replacements))

    def bind(self, name: str) -> None:
        """Add a local variable to `__init__`, after those that its expression uses."""
        if name not in self.template.bindings:
            expressions = [i.canonical(i.bindings[name]) for i in self.instances]
            column = tuple(i.value(name) for i in self.instances)
            text = self.text(column, name, expressions[0])
            self.template.bindings[name] = text

    def parameter(self, name: str, column: Column, hint: str) -> str:
        """Return the parameter for a name. It is added if the class does not have it yet."""
        if name not in self.parameters:
            own = name if name.isidentifier() and not name.startswith(FREE) else None
            taken = [*self.columns, *(n for n in self.instances[0].values if not n.startswith(FREE))]
            self.parameters[name] = own or unique(identifier(hint), taken)
            self.columns[self.parameters[name]] = column
        return self.parameters[name]

    def call(self, place: int, child: Instance) -> str:
        """Return the source of the call of a nested class."""
        arguments, positional = list[str](), child.template.positional()
        for parameter, name in child.template.parameters.items():
            column = tuple(i.inner[place].parameters[parameter] for i in self.instances)
            written = [i.canonical(i.inner[place].outside(name)) for i in self.instances]
            alike = len({w and ast.unparse(w) for w in written}) == 1
            text = self.text(column, parameter, written[0] if alike else None)
            default = child.template.defaults.get(parameter)
            if name in positional and default is None:
                arguments.append(text)
            elif text != default:
                arguments.append(f"{parameter}={text}")
        return f"{child.template.name}({', '.join(arguments)})"

    def order(self) -> None:
        """Order the parameters: input channels, the block's, others; parameters with defaults are last."""
        first = self.instances[0]
        names = {parameter: name for name, parameter in self.parameters.items()}
        defaults = {
            p: python(first.defaults[n])
            for p, n in names.items()
            if n in first.defaults and all(i.defaults.get(n) == first.defaults[n] for i in self.instances)
        }
        ranks = {name: rank for rank, name in enumerate(dict.fromkeys([IN_CHANNELS, *first.values]))}
        positional = self.template.positional()

        def place(parameter: str) -> tuple[bool, bool, int]:
            name = names[parameter]
            return parameter in defaults, name not in positional, ranks.get(name, len(ranks))

        ordered = sorted(names, key=place)
        self.template.parameters = {p: names[p] for p in ordered}
        self.template.defaults = defaults
        for k, instance in enumerate(self.instances):
            instance.parameters = {p: self.columns[p][k] for p in ordered}


def required(child: Instance) -> list[str]:
    """Return the parameters of a block that have no default; calls pass them by position."""
    return [n for n in child.values if not n.startswith(FREE) and n not in child.defaults]


def constant(column: Column) -> bool:
    """Return True if all instances have the same value."""
    return all(v == column[0] and type(v) is type(column[0]) for v in column)
