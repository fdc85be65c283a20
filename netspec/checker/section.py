"""Evaluates the entries of the `train` section, overrides them with settings, and validates the recipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from netspec import recipe
from netspec.diagnostics import Diagnostic, Source, Span
from netspec.errors import DataError
from netspec.graph import Setting
from netspec.language import ast as t
from netspec.language.expressions import evaluate
from netspec.language.names import Fault, Names, Unknown
from netspec.language.parser import parse
from netspec.language.values import spell
from netspec.shape import Shape

MOST_ENTRIES = 100


@dataclass
class Section:
    """The entries of a `train` section, with the diagnostics found while evaluating them."""

    span: Span
    citation: str | None = None
    settings: dict[str, Setting] = field(default_factory=dict)
    spans: dict[str, Span] = field(default_factory=dict)
    found: list[Diagnostic] = field(default_factory=list)

    def parsed(self) -> tuple[recipe.Recipe | None, list[Diagnostic]]:
        """Return the recipe, or None if it is invalid, and all diagnostics of the section."""
        try:
            read = recipe.read({name: s.value for name, s in self.settings.items()})
            return read, [*self.found, *self.unknown_data(read.data)]
        except recipe.RecipeError as error:
            return None, [
                *self.found,
                *(
                    Diagnostic(code(span), wrong.message, span, help=wrong.help)
                    for wrong in error.faults
                    for span in (self.spans.get(wrong.key, self.span),)
                ),
            ]

    def unknown_data(self, name: str | None) -> list[Diagnostic]:
        """Return a list with a diagnostic if no data set has this name, otherwise an empty list."""
        if name is None:
            return []
        from netspec.datasets.registry import find_row

        try:
            find_row(name)
        except DataError as error:
            span = self.spans.get("data", self.span)
            return [Diagnostic(code(span), str(error), span)]
        return []

    def override(self, name: str, value: object) -> None:
        """Set an entry such as `train.batch`, or one argument of an entry such as `train.optimizer.lr`."""
        _, key, *argument = name.split(".")
        text = f"{name}={value if isinstance(value, str) else spell(value)}"
        span = Span(Source(OUTSIDE, text), 0, len(text))
        if argument and key in recipe.PARTS:
            present = self.settings[key].value if key in self.settings else None
            value = recipe.with_argument(key, present, argument[0], value)
        elif argument:
            message = f"the entry `{key}` of a recipe takes no arguments"
            self.found.append(Diagnostic("wrong-setting", message, span))
        self.settings[key], self.spans[key] = Setting(value, span), span

    def follow(self, shape: Shape) -> list[str]:
        """Adapt `crop` and `resize` to a given input shape; return a list with a remark if they change."""
        crop, resize = self.settings.get("crop"), self.settings.get("resize")
        if not crop or len(shape) != 3 or shape.height != shape.width or crop.value == shape.height:
            return []
        if not isinstance(crop.value, int) or crop.value < 1:
            return []
        self.settings["crop"] = replace(crop, value=shape.height)
        remark = f"the recipe crops to {shape.height} instead of {crop.value}"
        if resize and isinstance(resize.value, int):
            scaled = round(resize.value * shape.height / crop.value)
            self.settings["resize"] = replace(resize, value=scaled)
            remark += f" and resizes to {scaled} instead of {resize.value}"
        return [f"{remark}, to fit the input"]


OUTSIDE = "<settings>"
"""The path shown in diagnostics about settings, which do not come from a file."""


def code(span: Span) -> str:
    """Return the code of an invalid entry: `wrong-setting` for a setting, `recipe` for an entry of a file."""
    return "wrong-setting" if span.source.path == OUTSIDE else "recipe"


def section_of(
    train: tuple[t.Train, Names] | None, other: Source | None, overrides: Mapping[str, object]
) -> Section:
    """Return the `train` section of the spec or of the file `other`, with overrides such as `train.batch`."""
    faults: list[Diagnostic] = []
    if other is not None:
        train, faults = train_of(other)
    section = read_section(*train) if train else Section(Span(Source(OUTSIDE, ""), 0, 0))
    section.found += faults
    for name, value in overrides.items():
        section.override(name, value)
    return section


def train_of(source: Source) -> tuple[tuple[t.Train, Names] | None, list[Diagnostic]]:
    """Return the `train` section of a recipe file, or None, and diagnostics for anything else in the file."""
    file, found = parse(source)
    faults = list(found)
    sections = [s for s in file.body.statements if isinstance(s, t.Train)]
    others = [s for s in file.body.statements if not isinstance(s, t.Train | t.Broken)]
    whole = Span(source, 0, len(source.text)).first_line()
    if others:
        message = "a recipe file can only contain a `train` section"
        faults.append(
            Diagnostic(
                "recipe",
                message,
                others[0].span.first_line(),
                help="delete everything but `train { ... }`",
            )
        )
    elif len(sections) != 1 and not faults:
        message = (
            f"a recipe file must contain one `train` section, but {source.path} has {len(sections) or 'none'}"
        )
        faults.append(Diagnostic("recipe", message, whole, help="as in `train { batch: 128 }`"))
    return ((sections[0], Names()) if sections else None), faults


def read_section(train: t.Train, names: Names) -> Section:
    """Return the evaluated entries of a `train` section."""
    section = Section(train.span.first_line(), train.citation)
    if len(train.settings) > MOST_ENTRIES:
        message = f"a recipe can have at most {MOST_ENTRIES} entries"
        section.found.append(Diagnostic("recipe", message, section.span))
        return section
    for s in train.settings:
        if isinstance(s, t.Broken):
            continue
        section.spans[s.name] = s.span
        try:
            if s.name in section.settings:
                raise Fault("duplicate-argument", f"`{s.name}` is set twice", s.span)
            section.settings[s.name] = Setting(evaluate(s.value, names, words=True), s.value.span)
        except Fault as fault:
            section.found.append(fault.diagnostic)
        except Unknown:
            continue
    return section
