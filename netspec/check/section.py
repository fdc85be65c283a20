"""The `train` section: its entries evaluated, and handed to the recipe for refusal."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from netspec import recipe
from netspec import tree as t
from netspec.diagnostics import Diagnostic, Span
from netspec.evaluate import Fault, Names, Unknown, evaluate
from netspec.graph import Setting
from netspec.shape import Shape

MOST_ENTRIES = 100


@dataclass
class Section:
    """The entries of a `train` section, and the faults met in evaluating them."""

    span: Span
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
                    Diagnostic("recipe", wrong.message, self.spans.get(wrong.key, self.span), help=wrong.help)
                    for wrong in error.faults
                ),
            ]
        return self.found

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


def read_section(train: t.Train, names: Names) -> Section:
    """Evaluate the entries of a `train` section."""
    section = Section(train.span.first_line())
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
