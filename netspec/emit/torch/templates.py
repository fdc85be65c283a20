"""Templates of generated classes; whatever differs between the instances of a class becomes a parameter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from netspec.emit.torch.layout import Inner, Layout, Number, write
from netspec.emit.torch.names import identifier, plain, unique
from netspec.language.values import python

Column = tuple[object, ...]
"""The values of one number of a class, one for each instance."""


@dataclass
class Instance:
    """One instance of a class: its numbers, its nested instances, and its block's arguments in the spec."""

    template: Template
    numbers: list[object]
    inner: list[Instance]
    arguments: Mapping[str, object]
    in_channels: int
    parameters: dict[str, object] = field(default_factory=dict)


@dataclass
class Template:
    """A class to be written: the layouts of its children, and the texts for their placeholders."""

    name: str
    hints: list[str]
    children: list[tuple[str, Layout]]
    starts: list[Layout]
    forward: list[str]
    inputs: list[str]
    sequential: bool
    """Whether the class derives from nn.Sequential, so that it needs no forward."""
    instances: list[Instance] = field(default_factory=list)
    parameters: list[str] = field(default_factory=list)
    numbers: list[str] = field(default_factory=list)
    inner: list[str] = field(default_factory=list)

    def init(self) -> list[str]:
        """Write the lines of `__init__` that create the children and initialize their weights."""
        texts = [(name, write(layout, self.numbers, self.inner)) for name, layout in self.children]
        starts = [write(layout, self.numbers, self.inner) for layout in self.starts]
        if self.sequential:
            inside = "".join("    " + text.replace("\n", "\n    ") + ",\n" for _, text in texts)
            return [f"super().__init__(\n{inside})", *starts]
        return ["super().__init__()", *(assign(name, text) for name, text in texts), *starts]


class Slots:
    """The numbers and nested instances of a scope, collected while its `__init__` is laid out."""

    def __init__(self) -> None:
        self.numbers: list[object] = []
        self.hints: list[str] = []
        self.inner: list[Instance] = []

    def number(self, value: object, hint: str) -> Number:
        self.numbers.append(value)
        self.hints.append(hint)
        return Number(len(self.numbers) - 1)

    def instance(self, instance: Instance) -> Inner:
        self.inner.append(instance)
        return Inner(len(self.inner) - 1)


def assign(name: str, text: str) -> str:
    """Write the statement that assigns or registers a module's child."""
    if text.startswith("self.register_buffer("):
        return text
    if plain(name):
        return f"self.{name} = {text}"
    register = "register_parameter" if text.startswith("nn.Parameter(") else "add_module"
    return f"self.{register}({python(name)}, {text})"


def solve(template: Template) -> None:
    """Choose the parameters of a class, named after the parameters of its block where the values agree."""
    instances = template.instances
    known: dict[str, Column] = {"in_channels": tuple(i.in_channels for i in instances)}
    for name in instances[0].arguments:
        values = tuple(i.arguments.get(name) for i in instances)
        if all(isinstance(v, int | float | tuple) for v in values) and name != "in_channels":
            known[identifier(name)] = values
    parameters: dict[str, Column] = {}

    def text(column: Column, hint: str) -> str:
        if all(v == column[0] and type(v) is type(column[0]) for v in column):
            return python(column[0])
        for name, words in expressions(column, known):
            parameters[name] = known[name]
            return words
        name = next((n for n, c in parameters.items() if c == column), None) or unique(
            hint, [*parameters, *known]
        )
        parameters[name] = column
        return name

    columns = list(zip(*(i.numbers for i in instances), strict=True))
    template.numbers = [text(c, identifier(h)) for c, h in zip(columns, template.hints, strict=True)]
    for place, child in enumerate(instances[0].inner):
        arguments = [
            text(tuple(i.inner[place].parameters[p] for i in instances), p) for p in child.template.parameters
        ]
        template.inner.append(f"{child.template.name}({', '.join(arguments)})")
    order = [*(n for n in known if n in parameters), *(n for n in parameters if n not in known)]
    template.parameters = order
    for k, made in enumerate(instances):
        made.parameters = {name: parameters[name][k] for name in order}


def expressions(column: Column, known: Mapping[str, Column]) -> list[tuple[str, str]]:
    """Return the known parameters that yield a column, each with its expression: `n`, `4 * n` or `n // 4`."""
    found = [(name, name) for name, values in known.items() if values == column]
    whole = [c for c in column if isinstance(c, int) and not isinstance(c, bool)]
    if found or len(whole) != len(column):
        return found
    for name, values in known.items():
        if not all(isinstance(v, int) and v > 0 for v in values):
            continue
        pairs = [(c, v) for c, v in zip(whole, values, strict=True) if isinstance(v, int)]
        factor, part = pairs[0][0] // pairs[0][1], pairs[0][1] // max(pairs[0][0], 1)
        if factor > 1 and all(c == factor * v for c, v in pairs):
            found.append((name, f"{factor} * {name}"))
        elif part > 1 and all(c == v // part for c, v in pairs):
            found.append((name, f"{name} // {part}"))
    return found
