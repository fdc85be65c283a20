"""The LALR(1) parser that lark generates from grammar.lark."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from copy import copy
from functools import cache
from importlib.resources import files
from pathlib import Path

from lark import Lark, Token, UnexpectedInput
from lark.lark import PostLex
from lark.parsers.lalr_interactive_parser import InteractiveParser

from netspec.language.parser.message import Expected

ENDS = ("NEWLINE", "SEMICOLON")


class Keep(PostLex):
    """Makes lark keep terminals that no grammar rule uses; the reader handles them."""

    always_accept = (*ENDS, "UNKNOWN", "COMMENT")

    def process(self, stream: Iterator[Token]) -> Iterator[Token]:
        return stream


@cache
def load_grammar() -> Lark:
    """Return the parser. Building its tables takes 0.1 s, so they are cached in the user's cache folder."""
    text = files("netspec.language").joinpath("grammar.lark").read_text("utf-8")
    return Lark(
        text,
        parser="lalr",
        lexer="basic",
        start=["file", "expr"],
        postlex=Keep(),
        keep_all_tokens=True,
        maybe_placeholders=False,
        cache=cache_file(text) or False,
    )


def cache_file(text: str) -> str | None:
    """Return the file that caches the tables of a grammar, or None if the cache folder is not writable."""
    try:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "netspec"
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        return None
    name = f"grammar-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    return str(folder / name) if os.access(folder, os.W_OK) else None


def lex(text: str) -> tuple[list[Token], list[Token]]:
    """Return the tokens of a text, with consecutive separators merged into one, and its comments."""
    tokens: list[Token] = []
    comments: list[Token] = []
    for token in load_grammar().lex(text):
        if token.type == "COMMENT":
            comments.append(token)
        elif not (token.type in ENDS and tokens and tokens[-1].type in ENDS):
            tokens.append(token)
    return tokens, comments


@cache
def words() -> frozenset[str]:
    """Return the keywords of the language; as labels, they must be in quotes."""
    return frozenset(t.pattern.value for t in load_grammar().terminals if t.pattern.value.isalpha())


def choices(state: InteractiveParser) -> set[str]:
    """Return the terminals that the parser's tables list for its state."""
    return set(state.choices())  # type: ignore[no-untyped-call]


def accepts(state: InteractiveParser, terminal: str) -> bool:
    """Return True if the parser accepts a terminal; its tables also list terminals that it rejects."""
    if terminal not in choices(state):
        return False
    trial = state.copy(deepcopy_values=False)  # type: ignore[no-untyped-call]
    trial.parser_state.parse_conf = copy(trial.parser_state.parse_conf)
    trial.parser_state.parse_conf.callbacks = {}
    try:
        trial.feed_token(Token(terminal, ""))
    except UnexpectedInput:
        return False
    return True


def expected(state: InteractiveParser) -> Expected:
    """Return the terminals that the parser accepts as the next token."""
    accepted = frozenset(state.accepts()) - {"BROKEN"}  # type: ignore[no-untyped-call]
    spelling = {t.name: t.pattern.value for t in load_grammar().terminals}
    return Expected(accepted, spelling, "BROKEN" in choices(state))
