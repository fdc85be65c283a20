"""Messages for syntax errors."""

from __future__ import annotations

import re
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
    "STRING": "a string in quotes",
    "SIZE": "a size such as 3x224x224",
    "_SEP": "the end of the line",
    "$END": "",
    "LABEL": "",
    "REFERENCE": "",
}
FOUND = {"$END": "the end of the file", "_SEP": "the end of the line"}


@dataclass(frozen=True)
class Expected:
    """The terminals that the grammar allows next. `statement` is true if a statement can begin here."""

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
            left &= ENDINGS | {
                "STRING"
            }  # an operator could follow any expression, so listing operators is no help
        parts += [WORDS.get(name, f"`{self.spelling.get(name, name)}`") for name in sorted(left)]
        return either([p for p in parts if p] or ["a line break"])


def either(parts: list[str]) -> str:
    """Return words joined by commas and `or`.

    >>> either(["a", "b", "c"])
    'a, b or c'
    """
    return " or ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else parts[0]


def unexpected(
    source: Source, expected: Expected, token: Token, previous: Token | None, brackets: Iterable[Token]
) -> Diagnostic:
    """Return the diagnostic for an unexpected token. `brackets` are the brackets that are still open."""
    opened = list(brackets)
    found = FOUND.get(token.type, f"`{token}`")
    span = Span(source, at(token), max(until(token), at(token) + 1))
    next_line = previous is not None and "\n" in source.text[until(previous) : at(token)]
    ended = token.type == "$END"
    if opened and (ended or (next_line and opened[-1].type != "LBRACE")):
        place = Span(source, at(opened[-1]), until(opened[-1]))
        labels = () if ended else (Label(span, f"found {found} before the closing bracket"),)
        return Diagnostic("syntax", f"`{opened[-1]}` is never closed", place, labels=labels)
    if token.type == "UNKNOWN":
        unclosed = 'this string has no closing `"`'
        message = unclosed if token == '"' else f"unexpected character `{token}`"
        return Diagnostic(
            "syntax", message, span, help="strings must be in double quotes" if token == "'" else None
        )
    message = f"expected {expected}, found {found}"
    if token.type == "RBRACE" and not any(b.type == "LBRACE" for b in opened):
        message = "unexpected `}`: there is no open `{`"
    line = source.text[source.text.rfind("\n", 0, span.start) + 1 :].partition("\n")[0]
    return Diagnostic("syntax", message, span, help=input_advice(line) or advice(token, previous))


def input_advice(line: str) -> str | None:
    """Return a help line with the correct statement, if a line is a wrong `input` statement.

    >>> input_advice("input x (3, 32, 32)")
    'write `input x: 3x32x32`: a name, and channels x height x width'
    """
    found = re.match(r"\s*(?:input\b(?:\s+([A-Za-z_]\w*))?|Input\()(.*)", line)
    if not found or re.match(r"\s*=\s*\d*\s*$", found[2]):  # `input = 4` may be meant as a variable
        return None
    name, sizes = found[1] or "image", re.findall(r"\d+", found[2])
    meaning = {1: "a number of features", 2: "tokens x features"}.get(len(sizes), "channels x height x width")
    shape = "x".join(sizes[-3:]) or "3x224x224"
    return f"write `input {name}: {shape}`: a name, and {meaning}"


def advice(token: Token, previous: Token | None) -> str | None:
    """Return a help line for a common mistake, or None."""
    if previous is None:
        return None
    word, plain = str(previous), ("NUMBER", "NAME", "STRING")
    if token.type == "COLON" and previous.type == word.upper():
        return f'`{word}` is a keyword: put it in quotes to use it as a label, as in `"{word}":`'
    if previous.type == "COLON" and token.type in ("REPEAT", "FOR", "IF"):
        return f"only layers and groups have labels: put the statement in braces, as in `{{ {token} ... }}`"
    if token.type == "DOT":
        return "numbers need digits on both sides of the point, as in 0.5"
    if token.type == "EQUAL" and previous.type == word.upper():
        return f"`{word}` is a keyword, so it cannot be a name"
    if token.type in plain and previous.type in (*plain, "SIZE"):
        return "a comma, a `;` or a line break may be missing before this"
    if token.type == "NAME" and previous.type in ("RPAR", "RBRACE"):
        return "use `;` to separate two statements on one line"
    return None


def at(token: Token) -> int:
    """Return the offset of a token's first character."""
    return token.start_pos or 0


def until(token: Token) -> int:
    """Return the offset after a token's last character."""
    return token.end_pos or 0
