"""Chooses the parameters of a block: as few as express what differs between the modules of a class."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from netspec.frontends.structure.statements import Expression
from netspec.language.parser.grammar import words
from netspec.shape import Shape

SCALED = ("channels", "features", "groups", "heads", "kernel")
"""Arguments that may be written as a multiple of another argument, as in `4 * width`."""


@dataclass
class Parameters:
    """The parameters of a block under construction.

    `columns` has, for each parameter, its value in each module; it is None where the module does not use it.
    """

    arriving: list[Shape]
    """The input shape of each module."""
    attributes: list[Mapping[str, object]]
    """The attributes of each module that are numbers or flags."""
    columns: dict[str, list[object]] = field(default_factory=dict)

    def express(self, name: str, label: str | None, column: list[object]) -> Expression:
        """Return an expression for values that differ between the modules; add a parameter if necessary."""
        for known, values in self.columns.items():
            if all(a is None or b is None or same(a, b) for a, b in zip(values, column, strict=True)):
                self.columns[known] = [b if a is None else a for a, b in zip(values, column, strict=True)]
                return Expression(known)
        if name in SCALED and (text := self.multiple(column)):
            return Expression(text)
        if name == "padding" and (text := self.half(column)):
            return Expression(text)
        own = self.attribute(column)
        other = name in self.columns or name in self.attributes[0]
        word = own or (parameter_name(label, name) if other else name)
        word = self.unused(word)
        self.columns[word] = column
        return Expression(word)

    def sizes(self, name: str, label: str | None, column: list[object]) -> Expression | None:
        """Return an expression such as `{in.channels}x1x1` for shapes that differ between the modules.

        Each size is a number, a multiple of another argument, or a parameter. Return None if `name` is not
        an argument that takes a shape, or the shapes differ in their number of axes.
        """
        given = [value for value in column if value is not None]
        shapes = [value for value in given if isinstance(value, tuple)]
        if name != "shape" or len(shapes) < len(given) or len({len(s) for s in shapes}) > 1:
            return None
        parts = []
        for k in range(len(shapes[0])):
            side = [value[k] if isinstance(value, tuple) else None for value in column]
            numbers = {n for n in side if n is not None}
            one = str(numbers.pop()) if len(numbers) == 1 else None
            text = one or self.multiple(side) or self.express("size", label, side).text
            parts.append(text if text.isdigit() or len(shapes[0]) == 1 else f"{{{text}}}")
        return Expression("x".join(parts))

    def known(self, name: str, column: list[object]) -> Expression | None:
        """Return an existing parameter with this name and these values; None matches any value."""
        for known, values in self.columns.items():
            alike = all(b is None or same(a, b) for a, b in zip(values, column, strict=True))
            if alike and known.endswith(name) and any(b is not None for b in column):
                return Expression(known)
        return None

    def attribute(self, column: list[object]) -> str | None:
        """Return the name of a module attribute with these values, or None if there is none."""
        names = [n for n in self.attributes[0] if all(n in given for given in self.attributes)]
        for name in names:
            values = [given[name] for given in self.attributes]
            if all(b is None or same(a, b) for a, b in zip(values, column, strict=True)):
                return name if name not in self.columns else None
        return None

    def unused(self, word: str) -> str:
        """Return a name that no parameter has yet; a number is appended if necessary."""
        found, count = word, 1
        while found in self.columns or found in words():
            count += 1
            found = f"{word}_{count}"
        return found

    def multiple(self, column: list[object]) -> str | None:
        """Return an expression such as `4 * width` or `width // 4` for the values, or None.

        They can be an integer multiple or fraction of a parameter or of the input's channels or features.
        """
        known = {n: values for n, values in self.columns.items() if n.rpartition("_")[2] in SCALED}
        attribute = {1: "features", 2: "features", 3: "channels"}.get(len(self.arriving[0]))
        if attribute and len({len(s) for s in self.arriving}) == 1:
            own = [getattr(s, attribute) for s in self.arriving]
            if len(set(own)) > 1:
                known[f"in.{attribute}"] = own
        for text, values in known.items():
            both = [(a, b) for a, b in zip(values, column, strict=True) if b is not None]
            pairs = [(a, b) for a, b in both if isinstance(a, int) and isinstance(b, int)]
            if len(pairs) < len(both) or len({b for _, b in pairs}) < 2 or 0 in {a for a, _ in pairs}:
                continue
            ratios = {b / a for a, b in pairs}
            if len(ratios) == 1:
                ratio = ratios.pop()
                if ratio == 1:
                    return text
                if ratio == int(ratio):
                    return f"{int(ratio)} * {text}"
                if 1 / ratio == int(1 / ratio):
                    return f"{text} // {int(1 / ratio)}"
        return None

    def half(self, column: list[object]) -> str | None:
        """Return `kernel // 2` if a parameter is a kernel of which the values are half; otherwise None."""
        for name, values in self.columns.items():
            pairs = [(a, b) for a, b in zip(values, column, strict=True) if b is not None]
            if name.endswith("kernel") and all(type(a) is int and a // 2 == b for a, b in pairs):
                return f"{name} // 2"
        return None


def same(a: object, b: object) -> bool:
    """Return True if two arguments have the same value and type; `1` and `true` are different."""
    return type(a) is type(b) and a == b


def parameter_name(label: str | None, argument: str) -> str:
    """Return a name for a parameter that consists of the name of the layer and the name of its argument."""
    word = re.sub(r"\W", "_", label or "")
    return f"{word}_{argument}" if word.isidentifier() else argument
