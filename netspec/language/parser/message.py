"""A syntax fault in words: what was found, and what could stand there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lark import Token

from netspec.diagnostics import Diagnostic, Label, Source, Span

VALUES = {
    "NUMBER",
    "STRING",
    "SIZE",
    "LSQB",
    "LPAR",
    "MINUS",
    "PLUS",
    "TRUE",
    "FALSE",
    "NONE",
    "NAME",
    "IN",
    "NOT",
    "REFERENCE",
}
OPERATORS = {"STAR", "SLASH", "PERCENT", "IF", "AND", "OR", "DOT", "MORETHAN", "LESSTHAN"}
ENDINGS = {"_SEP", "$END", "RPAR", "RSQB", "RBRACE", "LBRACE", "COMMA", "COLON"}
WORDS = {
    "NAME": "a name",
    "NUMBER": "a number",
    "STRING": "a text in quotes",
    "SIZE": "a size such as 3x224x224",
    "_SEP": "the end of the line",
    "$END": "",
    "LABEL": "",
    "REFERENCE": "",
}
FOUND = {"$END": "the end of the file", "_SEP": "the end of the line"}


@dataclass(frozen=True)
class Expected:
    """The terminals that could stand next, how each is spelled, and whether a statement could begin."""

    terminals: frozenset[str]
    spelling: Mapping[str, str]
    statement: bool

    def __str__(self) -> str:
        left, parts = set(self.terminals), []
        if self.statement:
            parts.append("a layer or another statement")
            left &= {"RBRACE"}
        elif len(left & VALUES) > 6:
            parts.append("a value")
            left -= VALUES | {"LBRACE"}
        if left & OPERATORS:
            parts.append("an operator")
            left &= ENDINGS
        parts += [WORDS.get(name, f"`{self.spelling.get(name, name)}`") for name in sorted(left)]
        return either([p for p in parts if p] or ["the end of the file"])


def either(parts: list[str]) -> str:
    """Join words as a sentence does.

    >>> either(["a", "b", "c"])
    'a, b or c'
    """
    return " or ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else parts[0]


def unexpected(
    source: Source, expected: Expected, token: Token, previous: Token | None, brackets: Iterable[Token]
) -> Diagnostic:
    """The diagnostic for a token that cannot stand where it does; `brackets` are those still open."""
    opened = list(brackets)
    found = FOUND.get(token.type, f"`{token}`")
    span = Span(source, at(token), max(until(token), at(token) + 1))
    next_line = previous is not None and "\n" in source.text[until(previous) : at(token)]
    ended = token.type == "$END"
    if opened and (ended or (next_line and opened[-1].type != "LBRACE")):
        place = Span(source, at(opened[-1]), until(opened[-1]))
        labels = () if ended else (Label(span, f"found {found} before it was closed"),)
        return Diagnostic("syntax", f"`{opened[-1]}` is never closed", place, labels=labels)
    if token.type == "UNKNOWN":
        unclosed = 'this text is never closed: the second `"` is missing'
        return Diagnostic("syntax", unclosed if token == '"' else f"`{token}` has no meaning here", span)
    message = f"found {found}, where {expected} could stand"
    if token.type == "RBRACE" and not any(b.type == "LBRACE" for b in opened):
        message = "`}` closes nothing: no `{` is open here"
    return Diagnostic("syntax", message, span, help=advice(token, previous))


def advice(token: Token, previous: Token | None) -> str | None:
    """The way out of the common slips."""
    if previous is None:
        return None
    word, plain = str(previous), ("NUMBER", "NAME", "STRING")
    if token.type == "COLON" and previous.type == word.upper():
        return f'`{word}` is a word of the language, which can be a label in quotes: `"{word}":`'
    if previous.type == "COLON" and token.type in ("REPEAT", "FOR", "IF"):
        return f"a label names a layer or a group: `{{ {token} ... }}` is one that holds what it makes"
    if token.type == "DOT":
        return "a number has digits on both sides of its point, as in 0.5"
    if token.type == "EQUAL" and previous.type == word.upper():
        return f"`{word}` is a word of the language, so it cannot be a name"
    if token.type in plain and previous.type in (*plain, "SIZE"):
        return "a comma, a `;` or a line's end may be missing between the two"
    return None


def at(token: Token) -> int:
    """The offset where a token begins."""
    return token.start_pos or 0


def until(token: Token) -> int:
    """The offset where a token ends."""
    return token.end_pos or 0
