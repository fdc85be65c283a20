"""Parses text to a syntax tree with a LALR(1) grammar and error recovery; only this package uses lark."""

from __future__ import annotations

from lark import Token, UnexpectedInput
from lark.exceptions import VisitError

from netspec.diagnostics import Diagnostic, Source, Span, in_order
from netspec.language.ast import Body, Broken, Expr, File
from netspec.language.parser.build import Builder
from netspec.language.parser.grammar import expected, lex, load_grammar
from netspec.language.parser.message import at, unexpected, until
from netspec.language.parser.reader import OPEN, Reader

DEEPEST = 100


def parse(source: Source) -> tuple[File, tuple[Diagnostic, ...]]:
    """Parse a file and return its syntax tree and the diagnostics.

    A statement with a syntax error becomes `Broken`."""
    tokens, remarks = lex(source.text)
    comments = tuple((at(t), str(t)) for t in remarks)
    whole = Span(source, 0, len(source.text))
    unread = File(whole, Body(whole, (Broken(whole),)), comments)
    if deep := too_deep(tokens):
        message = f"brackets are nested more than {DEEPEST} deep"
        return unread, (Diagnostic("syntax", message, Span(source, at(deep), until(deep))),)
    reader = Reader(source, tokens)
    try:
        builder = Builder(source, lambda start, end: parse_expression(source, start, end))
        body = builder.transform(reader.read())
    except (RecursionError, VisitError) as error:
        if isinstance(error, VisitError) and not isinstance(error.orig_exc, RecursionError):
            raise
        message = "an expression or a statement is nested too deeply"
        return unread, (Diagnostic("syntax", message, Span(source, 0, 1)),)
    return File(whole, body, comments), in_order([*reader.faults, *builder.faults])


def too_deep(tokens: list[Token]) -> Token | None:
    """Return the first bracket that is nested too deeply, or None if there is none."""
    depth = 0
    for token in tokens:
        depth += (token.type in OPEN) - (token.type in OPEN.values())
        if depth > DEEPEST:
            return token
    return None


def parse_expression(source: Source, start: int, end: int) -> Expr | Diagnostic:
    """Return the expression between two offsets, such as one in the braces of a label, or a diagnostic."""
    tokens, _ = lex(source.text[start:end])
    for token in tokens:
        token.start_pos, token.end_pos = at(token) + start, until(token) + start
    state = load_grammar().parse_interactive("", start="expr")
    previous: Token | None = None
    for token in [*tokens, Token("$END", "", end, end_pos=end)]:
        try:
            tree = state.feed_token(token)
        except UnexpectedInput:
            return unexpected(source, expected(state), token, previous, [])
        previous = token
    built: Expr = Builder(source, lambda a, b: parse_expression(source, a, b)).transform(tree)
    return built
