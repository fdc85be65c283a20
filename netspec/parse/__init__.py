"""Text to tree, by a LALR(1) grammar that goes on after a fault; the only module that knows lark."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path

from lark import Lark, Token, UnexpectedInput
from lark.lark import PostLex
from lark.parsers.lalr_interactive_parser import InteractiveParser

from netspec.parse.build import Builder
from netspec.diagnostics import Diagnostic, Label, Source, Span, in_order
from netspec.tree import Body, Expr, File

OPEN = {"LPAR": "RPAR", "LSQB": "RSQB", "LBRACE": "RBRACE"}
ENDS = ("NEWLINE", "SEMICOLON")


class Keep(PostLex):
    """Tell lark to keep the terminals that no rule names: this module handles them itself."""

    always_accept = (*ENDS, "UNKNOWN", "COMMENT")

    def process(self, stream: Iterator[Token]) -> Iterator[Token]:
        return stream


@cache
def grammar() -> Lark:
    """The parser, its tables kept in the user's cache folder, since making them takes 0.1 s."""
    text = files("netspec").joinpath("grammar.lark").read_text("utf-8")
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "netspec"
    cached: bool | str = False
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            cached = str(folder / f"grammar-{hashlib.sha256(text.encode()).hexdigest()[:16]}")
    except OSError:
        cached = False
    options = {"parser": "lalr", "lexer": "basic", "start": ["file", "expr"], "cache": cached}
    return Lark(text, postlex=Keep(), keep_all_tokens=True, maybe_placeholders=False, **options)  # type: ignore[arg-type]


def parse(source: Source) -> tuple[File, tuple[Diagnostic, ...]]:
    """Read a file; statements that cannot be read become `Broken` nodes, each with its diagnostic."""
    tokens = list(grammar().lex(source.text))
    comments = tuple((at(t), str(t)) for t in tokens if t.type == "COMMENT")
    reader = Reader(source, [t for t in tokens if t.type != "COMMENT"])
    whole = Span(source, 0, len(source.text))
    try:
        tree = reader.read()
        builder = Builder(source, lambda start, end: parse_expression(source, start, end))
        body = builder.transform(tree)
    except RecursionError:
        message = "an expression or a statement is nested too deeply to be read"
        return File(whole, Body(whole, ()), comments), (Diagnostic("syntax", message, Span(source, 0, 1)),)
    return File(whole, body, comments), in_order([*reader.faults, *builder.faults])


def parse_expression(source: Source, start: int, end: int) -> Expr | Diagnostic:
    """Read the expression that stands between two offsets, such as the braces of a label."""
    tokens = [t for t in grammar().lex(source.text[start:end]) if t.type != "COMMENT"]
    for token in tokens:
        token.start_pos, token.end_pos = at(token) + start, until(token) + start
    state = grammar().parse_interactive("", start="expr")
    previous: Token | None = None
    for token in [*tokens, Token("$END", "", end, end_pos=end)]:
        try:
            tree = state.feed_token(token)
        except UnexpectedInput:
            return unexpected(source, state, token, previous, [])
        previous = token
    built: Expr = Builder(source, lambda a, b: parse_expression(source, a, b)).transform(tree)
    return built


class Reader:
    """Feed tokens to the parser; after a fault, return to the last good statement and skip the bad one."""

    def __init__(self, source: Source, tokens: list[Token]) -> None:
        self.source, self.tokens = source, tokens
        self.state = grammar().parse_interactive("", start="file")
        self.brackets: list[Token] = []
        self.faults: list[Diagnostic] = []
        self.previous: Token | None = None
        self.tried = -1
        self.mark()

    def read(self) -> object:
        position = 0
        while position < len(self.tokens):
            token = self.tokens[position]
            fed = self.separate(position) if token.type in ENDS else self.feed(token)
            position = position + 1 if fed else self.recover(position)
        return self.finish()

    def separate(self, position: int) -> bool:
        """A line's end or `;` ends a statement, but not inside brackets, after a comma or beside a brace."""
        following = self.following(position)
        inside = self.brackets and self.brackets[-1].type != "LBRACE"
        idle = self.previous is None or self.previous.type in ("LBRACE", "COMMA", "_SEP")
        if inside or idle or following in ("RBRACE", "ELSE", "$END"):
            return True
        token = self.tokens[position]
        return self.feed(Token("_SEP", str(token), at(token), end_pos=until(token)))

    def following(self, position: int) -> str:
        """The kind of the next token that is no line's end."""
        for index in range(position + 1, len(self.tokens)):
            if self.tokens[index].type not in ENDS:
                return self.tokens[index].type
        return "$END"

    def feed(self, token: Token) -> bool:
        """Give the parser one token; on a fault, report it and answer False."""
        try:
            self.state.feed_token(token)
        except UnexpectedInput:
            self.faults.append(unexpected(self.source, self.state, token, self.previous, self.brackets))
            return False
        self.previous = token
        if token.type in OPEN:
            self.brackets.append(token)
        elif token.type in OPEN.values():
            self.brackets.pop()
        if token.type in ("_SEP", "LBRACE", "RBRACE"):
            self.mark()
        return True

    def mark(self) -> None:
        """Remember the parser's stacks where a statement may begin or has just been completed."""
        choices, state = self.state.choices(), self.state.parser_state
        if "BROKEN" in choices or "_SEP" in choices:
            self.depth = len(self.brackets)
            self.stacks = list(state.state_stack), list(state.value_stack)

    def restore(self) -> None:
        """Go back to the mark and put a `Broken` statement there."""
        state = self.state.parser_state
        state.state_stack, state.value_stack = list(self.stacks[0]), list(self.stacks[1])
        del self.brackets[self.depth :]
        for type_ in ("_SEP", "BROKEN"):
            if type_ in self.state.choices():
                place = at(self.previous) if self.previous else 0
                self.previous = Token(type_, "", place, end_pos=place)
                self.state.feed_token(self.previous)

    def recover(self, position: int) -> int:
        """Where to go on after the fault at `position`."""
        opened = self.brackets[self.depth :]
        fresh_line = position > 0 and self.tokens[position - 1].type in ENDS
        tried, self.tried = self.tried == position, position
        self.restore()
        if fresh_line and begins_statement(self.tokens, position) and not tried:
            return position - 1
        depth = len(opened)
        for index in range(position, len(self.tokens)):
            kind = self.tokens[index].type
            if kind in ENDS and (depth <= 0 or begins_statement(self.tokens, index + 1)):
                return index
            if kind == "RBRACE" and depth <= 0 and self.brackets and index > position:
                return index
            depth += (kind in OPEN) - (kind in OPEN.values())
        return len(self.tokens)

    def finish(self) -> object:
        """Close what is still open and return lark's tree."""
        end = len(self.source.text)
        final = Token("$END", "", end, end_pos=end)
        if self.brackets:
            self.faults.append(unexpected(self.source, self.state, final, self.previous, self.brackets))
            self.restore()
        while self.brackets:
            self.state.feed_token(Token("RBRACE", "}", end, end_pos=end))
            self.brackets.pop()
        if not self.accepts_end():
            self.faults.append(unexpected(self.source, self.state, final, self.previous, []))
            self.restore()
        return self.state.feed_token(final)

    def accepts_end(self) -> bool:
        return "$END" in self.state.accepts()


def at(token: Token) -> int:
    return token.start_pos or 0


def until(token: Token) -> int:
    return token.end_pos or 0


def begins_statement(tokens: Sequence[Token], index: int) -> bool:
    """Whether what stands at `index` looks like the beginning of a statement."""
    kinds = [t.type for t in tokens[index : index + 2]]
    return kinds == ["NAME", "COLON"] or bool(kinds) and kinds[0] in STATEMENT_WORDS


STATEMENT_WORDS = {
    "NETWORK",
    "USE",
    "INPUT",
    "BLOCK",
    "DEFAULT",
    "REPEAT",
    "FOR",
    "OUTPUT",
    "EXPECT",
    "TRAIN",
    "RBRACE",
}
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
}
OPERATORS = {"STAR", "SLASH", "PERCENT", "IF", "AND", "OR", "DOT", "MORETHAN", "LESSTHAN"}


def unexpected(
    source: Source, state: InteractiveParser, token: Token, previous: Token | None, brackets: list[Token]
) -> Diagnostic:
    """Say what was found and what could stand there."""
    found = {"$END": "the end of the file", "_SEP": "the end of the line"}.get(token.type, f"`{token}`")
    span = Span(source, at(token), max(until(token), at(token) + 1))
    expected = listing(state)
    message = f"found {found}, where {expected} could stand"
    late = previous is not None and "\n" in source.text[until(previous) : at(token)]
    if brackets and (token.type == "$END" or (late and brackets[-1].type != "LBRACE")):
        opener = Span(source, at(brackets[-1]), until(brackets[-1]))
        message = f"`{brackets[-1]}` is never closed"
        return Diagnostic(
            "syntax",
            message,
            opener,
            labels=(Label(span, f"found {found} before it was closed"),) if token.type != "$END" else (),
        )
    if token.type == "UNKNOWN":
        fact = (
            'this text is never closed: the second `"` is missing'
            if token == '"'
            else f"`{token}` has no meaning here"
        )
        return Diagnostic("syntax", fact, span)
    if token.type == "RBRACE" and not any(b.type == "LBRACE" for b in brackets):
        message = "`}` closes nothing: no `{` is open here"
    return Diagnostic("syntax", message, span, help=advice(token, previous))


def listing(state: InteractiveParser) -> str:
    """What could stand next, in words."""
    accepts = set(state.accepts()) - {"BROKEN"}
    choices = state.choices()
    names = {t.name: t.pattern.value for t in grammar().terminals}
    parts = []
    if "BROKEN" in choices:
        parts.append("a layer or another statement")
        accepts &= {"RBRACE"}
    elif len(accepts & VALUES) > 6:
        parts.append("a value")
        accepts -= VALUES | {"LBRACE"}
    if accepts & OPERATORS:
        parts.append("an operator")
        accepts -= {
            n
            for n in accepts
            if n not in ("_SEP", "$END", "RPAR", "RSQB", "RBRACE", "LBRACE", "COMMA", "COLON")
        }
    words = {
        "NAME": "a name",
        "_SEP": "the end of the line",
        "NUMBER": "a number",
        "STRING": "a text in quotes",
    }
    words |= {"SIZE": "a size such as 3x224x224", "$END": "", "LABEL": ""}
    parts += [w for w in (words.get(n, f"`{names.get(n, n)}`") for n in sorted(accepts)) if w]
    return (
        " or ".join([", ".join(parts[:-1]), parts[-1]])
        if len(parts) > 1
        else (parts or ["the end of the file"])[0]
    )


def advice(token: Token, previous: Token | None) -> str | None:
    """The way out of the common slips."""
    if previous is None:
        return None
    word = str(previous)
    if token.type == "COLON" and previous.type == word.upper():
        return f"`{word}` is a word of the language, so it cannot be a label; `{word}_` can"
    if token.type == "EQUAL" and previous.type == word.upper():
        return f"`{word}` is a word of the language, so it cannot be a name"
    if token.type in ("NUMBER", "NAME", "STRING") and previous.type in ("NUMBER", "NAME", "STRING", "SIZE"):
        return "a comma, a `;` or a line's end may be missing between the two"
    return None
