"""Diagnostics of specs: their locations in the source, their texts, and their rendering."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from itertools import islice
from typing import Literal

from netspec.errors import NetspecError

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Source:
    """The text of a file, and its path as shown in messages."""

    path: str
    text: str = field(repr=False)

    @cached_property
    def starts(self) -> list[int]:
        return [0, *(i + 1 for i, c in enumerate(self.text) if c == "\n")]

    def place(self, offset: int) -> tuple[int, int]:
        """Return the line and column of an offset, both 1-based. The column is in characters."""
        line = bisect_right(self.starts, offset)
        return line, offset - self.starts[line - 1] + 1

    def line(self, number: int) -> str:
        end = self.starts[number] - 1 if number < len(self.starts) else len(self.text)
        return self.text[self.starts[number - 1] : end].rstrip("\r")


@dataclass(frozen=True)
class Span:
    """A range of characters in a source, from `start` up to but not including `end`."""

    source: Source
    start: int
    end: int

    @property
    def line(self) -> int:
        return self.source.place(self.start)[0]

    @property
    def column(self) -> int:
        return self.source.place(self.start)[1]

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]

    def to(self, other: Span) -> Span:
        return Span(self.source, self.start, other.end)

    def first_line(self) -> Span:
        """Return the part of this span that is on its first line."""
        stop = self.source.text.find("\n", self.start, self.end)
        return self if stop < 0 else Span(self.source, self.start, max(stop, self.start + 1))


@dataclass(frozen=True)
class Label:
    """A remark at a place in the source other than the error itself."""

    span: Span
    text: str


@dataclass(frozen=True)
class Diagnostic:
    """One error or warning: a code, a message, a span, and a help line if a remedy is known.

    `text` is shown beside the marked source; `labels` mark other places.
    """

    code: str
    message: str
    span: Span
    severity: Severity = "error"
    text: str = ""
    labels: tuple[Label, ...] = ()
    notes: tuple[str, ...] = ()
    help: str | None = None

    def as_json(self) -> dict[str, object]:
        (line, column), (end_line, end_column) = map(self.span.source.place, (self.span.start, self.span.end))
        where = {"file": self.span.source.path, "line": line, "column": column}
        what = {"severity": self.severity, "code": self.code, "message": self.message}
        notes = [f"line {x.span.line}: {x.text}" for x in self.labels] + list(self.notes)
        return {
            **what,
            **where,
            "end_line": end_line,
            "end_column": end_column,
            "notes": notes,
            "help": self.help,
        }


class SpecError(NetspecError):
    """A spec has errors. `diagnostics` contains all of them, and the message shows them."""

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        super().__init__("\n\n".join(render(d) for d in diagnostics))
        self.diagnostics = tuple(diagnostics)


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """Return a text that suggests the known words most similar to `word`, or None if no word is similar.

    >>> did_you_mean("strde", ["stride", "padding"])
    'did you mean `stride`?'
    """
    known = list(islice(known, 300))
    near = get_close_matches(word, known, n=2, cutoff=0.6) or get_close_matches(
        word.lower(), known, n=2, cutoff=0.6
    )
    return "did you mean " + " or ".join(f"`{n}`" for n in near) + "?" if near else None


def in_order(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Return diagnostics sorted by location, without repeated codes at the same location.

    An error inside a loop or block would otherwise appear once for each repetition.
    """
    kept: dict[tuple[str, int, int, str], Diagnostic] = {}
    for d in diagnostics:
        kept.setdefault((d.span.source.path, d.span.start, d.span.end, d.code), d)
    return tuple(kept[key] for key in sorted(kept))


WIDEST = 200
"""The maximum number of characters of a source line that is shown."""

COLOURS = {"error": "1;31", "warning": "1;33", "frame": "34", "note": "36", "help": "32", "bold": "1"}


def render(diagnostic: Diagnostic, colour: bool = False) -> str:
    """Return a diagnostic as text with its source lines, in the style of a compiler."""

    def paint(name: str, text: str) -> str:
        return f"\x1b[{COLOURS[name]}m{text}\x1b[0m" if colour and text else text

    span, severity = diagnostic.span, diagnostic.severity
    marks = [(span, "^", diagnostic.text)] + [(x.span, "-", x.text) for x in diagnostic.labels]
    here = [m for m in marks if m[0].source.path == span.source.path]
    elsewhere = [m for m in marks if m[0].source.path != span.source.path]
    gutter = max(len(str(mark[0].line)) for mark in marks)
    frame = paint("frame", " " * gutter + " |")
    lines = [
        paint(severity, f"{severity}[{diagnostic.code}]")
        + paint("bold", f": {printable(diagnostic.message)}")
    ]

    def show(group: list[tuple[Span, str, str]], path: str, arrow: str) -> None:
        lines.append(
            paint("frame", " " * gutter + arrow) + f" {path}:{group[0][0].line}:{group[0][0].column}"
        )
        lines.append(frame)
        shown = cut = 0
        for place, sign, text in sorted(group, key=lambda m: (m[0].start, m[1] == "^")):
            place = place.first_line()
            whole = place.source.line(place.line)
            if place.line != shown:
                cut = max(0, min(place.column - 41, len(whole) - WIDEST))
            source_line = printable(whole[cut : cut + WIDEST])
            if place.line != shown:
                lines.append(paint("frame", f"{place.line:>{gutter}} |") + f" {source_line}".rstrip())
            shown = place.line
            column = place.column - 1 - cut
            indent = "".join(c if c == "\t" else " " for c in source_line[:column])
            mark = sign * max(1, min(place.end - place.start, len(source_line) - column))
            hue = severity if sign == "^" else "frame"
            lines.append(f"{frame} {indent}" + paint(hue, f"{mark} {text}".rstrip()))

    show(here, span.source.path, "-->")
    for path in dict.fromkeys(m[0].source.path for m in elsewhere):
        show([m for m in elsewhere if m[0].source.path == path], path, ":::")
    remarks = [("note", n) for n in diagnostic.notes] + (
        [("help", diagnostic.help)] if diagnostic.help else []
    )
    if remarks:
        lines.append(frame)
    for name, text in remarks:
        lines.append(paint("frame", " " * gutter + " =") + f" {paint(name, name)}: {text}")
    return "\n".join(lines)


def one_line(text: str) -> str:
    """Return a text without control characters and line breaks, for a line on a terminal or in a table.

    >>> one_line("a\\nb")
    'a b'
    """
    return printable(text).replace("\n", " ").replace("\t", " ")


def printable(text: str, colour: bool = False) -> str:
    """Return a text without control characters, which could corrupt terminal output.

    `colour` keeps colour sequences.
    """
    allowed = "\n\t\x1b" if colour else "\n\t"
    return "".join(c if c in allowed or c.isprintable() else "\ufffd" for c in text)
