"""The `train` section: its entries evaluated, changed from outside, and handed to the recipe for refusal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from netspec import recipe
from netspec.diagnostics import Diagnostic, Source, Span
from netspec.graph import Setting
from netspec.language import ast as t
from netspec.language.expressions import Fault, Names, Unknown, evaluate
from netspec.language.parser import parse
from netspec.language.values import spell
from netspec.shape import Shape

MOST_ENTRIES = 100


@dataclass
class Section:
    """The entries of a `train` section, and the faults met in evaluating them."""

    span: Span
    citation: str | None = None
    settings: dict[str, Setting] = field(default_factory=dict)
    spans: dict[str, Span] = field(default_factory=dict)
    found: list[Diagnostic] = field(default_factory=list)

    def faults(self) -> list[Diagnostic]:
        """What is wrong with the entries, in themselves and for the recipe."""
        try:
            recipe.read({name: s.value for name, s in self.settings.items()})
        except recipe.RecipeError as error:
            return [
                *self.found,
                *(
                    Diagnostic(code(span), wrong.message, span, help=wrong.help)
                    for wrong in error.faults
                    for span in (self.spans.get(wrong.key, self.span),)
                ),
            ]
        return self.found

    def override(self, name: str, value: object) -> None:
        """Set an entry, `train.batch`, or one argument of an entry, `train.optimizer.lr`."""
        _, key, *argument = name.split(".")
        text = f"{name}={value if isinstance(value, str) else spell(value)}"
        span = Span(Source(OUTSIDE, text), 0, len(text))
        if argument and key in recipe.PARTS:
            present = self.settings[key].value if key in self.settings else None
            value = recipe.with_argument(key, present, argument[0], value)
        elif argument:
            message = f"{key} of a recipe has no arguments"
            self.found.append(Diagnostic("wrong-setting", message, span))
        self.settings[key], self.spans[key] = Setting(value, span), span

    def follow(self, shape: Shape) -> list[str]:
        """Let crops be as large as an input set from outside, images in proportion; say so."""
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
        return [f"{remark}, to follow the input"]


OUTSIDE = "--set"
"""What the source of a setting from outside is called."""


def code(span: Span) -> str:
    return "wrong-setting" if span.source.path == OUTSIDE else "recipe"


def section_of(
    train: tuple[t.Train, Names] | None, other: Source | None, overrides: Mapping[str, object]
) -> Section:
    """The recipe of a spec, or that of another file in its place, with the overrides of `train.KEY`."""
    faults: list[Diagnostic] = []
    if other is not None:
        train, faults = train_of(other)
    section = read_section(*train) if train else Section(Span(Source(OUTSIDE, ""), 0, 0))
    section.found += faults
    for name, value in overrides.items():
        section.override(name, value)
    return section


def train_of(source: Source) -> tuple[tuple[t.Train, Names] | None, list[Diagnostic]]:
    """The `train` section of a recipe's file, which holds nothing else."""
    file, found = parse(source)
    faults = list(found)
    sections = [s for s in file.body.statements if isinstance(s, t.Train)]
    others = [s for s in file.body.statements if not isinstance(s, t.Train | t.Broken)]
    whole = Span(source, 0, len(source.text)).first_line()
    if others:
        message = "a recipe's file holds a `train` section alone"
        faults.append(
            Diagnostic(
                "recipe",
                message,
                others[0].span.first_line(),
                help="take this out: all there is to be is `train { ... }`",
            )
        )
    elif len(sections) != 1 and not faults:
        message = (
            f"a recipe's file holds one `train` section, and {source.path} has {len(sections) or 'none'}"
        )
        faults.append(Diagnostic("recipe", message, whole, help="as in `train { batch: 128 }`"))
    return ((sections[0], Names()) if sections else None), faults


def read_section(train: t.Train, names: Names) -> Section:
    """Evaluate the entries of a `train` section."""
    section = Section(train.span.first_line(), train.citation)
    if len(train.settings) > MOST_ENTRIES:
        message = f"a recipe has at most {MOST_ENTRIES} entries"
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
