"""Parses tokens to lark's tree and continues after syntax errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lark import Token, Tree, UnexpectedInput

from netspec.diagnostics import Diagnostic, Source, Span
from netspec.language.parser.grammar import ENDS, accepts, choices, expected, load_grammar
from netspec.language.parser.message import at, unexpected, until
from netspec.language.python import is_python, spec_of

OPEN = {"LPAR": "RPAR", "LSQB": "RSQB", "LBRACE": "RBRACE"}
BEGINNINGS = {
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
"""Terminals that begin a statement or close the enclosing braces."""


DEEPEST_MARK = 5000
"""The maximum stack length of a parser state that is saved. Only absurd nesting exceeds it."""

PASTED = "this is Python, not a spec"
KEPT = 4
"""The maximum number of marks that are kept for each bracket depth."""


@dataclass(frozen=True)
class Mark:
    """A saved state of the parser: the bracket depth, its two stacks, and the offset reached."""

    depth: int
    states: list[Any]
    values: list[Any]
    begin: int


class Reader:
    """Feeds tokens to the parser; after an error, skips the current statement."""

    def __init__(self, source: Source, tokens: list[Token]) -> None:
        self.source, self.tokens = source, tokens
        self.state = load_grammar().parse_interactive("", start="file")
        self.brackets: list[Token] = []
        self.faults: list[Diagnostic] = []
        self.previous: Token | None = None
        self.tried = -1
        self.marks: list[Mark] = []
        self.mark()

    def read(self) -> Tree[Token]:
        position = 0
        while position < len(self.tokens):
            token = self.tokens[position]
            fed = self.separate(position) if token.type in ENDS else self.feed(token)
            position = position + 1 if fed else self.recover(position)
        return self.finish()

    def separate(self, position: int) -> bool:
        """Feed a line break or `;` as a separator; ignore it in brackets, after commas and next to braces."""
        following = self.following(position)
        inside = self.brackets and self.brackets[-1].type != "LBRACE"
        idle = self.previous is None or self.previous.type in ("LBRACE", "COMMA", "_SEP")
        if inside or idle or following in ("RBRACE", "ELSE", "$END"):
            return True
        token = self.tokens[position]
        return self.feed(Token("_SEP", str(token), at(token), end_pos=until(token)))

    def following(self, position: int) -> str:
        """Return the type of the next token that is not a line break or `;`."""
        for index in range(position + 1, len(self.tokens)):
            if self.tokens[index].type not in ENDS:
                return self.tokens[index].type
        return "$END"

    def feed(self, token: Token) -> bool:
        """Feed one token; on an error, add the diagnostic and return False."""
        try:
            self.state.feed_token(token)
        except UnexpectedInput:
            self.refuse(token)
            return False
        self.previous = token
        if token.type in OPEN:
            self.brackets.append(token)
        elif token.type in OPEN.values():
            self.brackets.pop()
        if token.type in ("_SEP", "LBRACE", "RBRACE"):
            self.mark()
        return True

    def refuse(self, token: Token) -> None:
        """Add the diagnostic for an unexpected token. Several lines of pasted Python give a single one."""
        text = self.source.text
        begin = text.rfind("\n", 0, at(token)) + 1
        line = text[begin:].partition("\n")[0]
        if token.type in ENDS or not is_python(line):
            fault = unexpected(self.source, expected(self.state), token, self.previous, self.brackets)
            self.faults.append(fault)
        elif not any(f.message == PASTED for f in self.faults):
            span = Span(self.source, begin + len(line) - len(line.lstrip()), begin + len(line.rstrip()))
            self.faults.append(Diagnostic("syntax", PASTED, span, help=spec_of(line)))

    def mark(self) -> None:
        """Save the parser's state as a mark if its tables say that a statement can begin or has just ended.

        The tables also list terminals that the parser rejects, so earlier marks are kept too. Marks inside
        brackets that are now closed are dropped.
        """
        state, depth = self.state.parser_state, len(self.brackets)
        if any(b.type != "LBRACE" for b in self.brackets) or not choices(self.state) & {"BROKEN", "_SEP"}:
            return
        if len(state.state_stack) > DEEPEST_MARK:
            return
        while self.marks and self.marks[-1].depth > depth:
            self.marks.pop()
        if len(self.marks) >= KEPT and self.marks[-KEPT].depth == depth:
            del self.marks[-KEPT]
        begin = until(self.previous) if self.previous else 0
        self.marks.append(Mark(depth, list(state.state_stack), list(state.value_stack), begin))

    def rewind(self) -> Mark:
        """Return the last mark at which the parser accepts a statement; drop all later marks."""
        state = self.state.parser_state
        while True:
            mark = self.marks[-1]
            state.state_stack, state.value_stack = list(mark.states), list(mark.values)
            if accepts(self.state, "BROKEN") or accepts(self.state, "_SEP"):
                return mark
            self.marks.pop()

    def restore(self, mark: Mark, end: int) -> None:
        """Return to the state of a mark and add a `Broken` statement that extends to the offset `end`."""
        del self.brackets[mark.depth :]
        for type_ in ("_SEP", "BROKEN"):
            if accepts(self.state, type_):
                self.previous = Token(type_, "", mark.begin, end_pos=end if type_ == "BROKEN" else mark.begin)
                self.state.feed_token(self.previous)

    def recover(self, position: int) -> int:
        """Skip the statement with the error at `position`; return the index of the token to continue with."""
        mark = self.rewind()
        resumed = self.resume(position, mark.depth)
        end = at(self.tokens[resumed]) if resumed < len(self.tokens) else len(self.source.text)
        self.tried = position
        self.restore(mark, end)
        return resumed

    def resume(self, position: int, outer: int) -> int:
        """Return the index of the first token of the next statement, or of the separator before it."""
        new_line = position > 0 and self.tokens[position - 1].type in ENDS
        if new_line and begins_statement(self.tokens, position) and self.tried != position:
            return position - 1
        depth = len(self.brackets) - outer
        for index in range(position, len(self.tokens)):
            kind = self.tokens[index].type
            if kind in ENDS and (depth <= 0 or begins_statement(self.tokens, index + 1)):
                return index
            if kind == "RBRACE" and depth <= 0 and outer and index > position:
                return index
            depth += (kind in OPEN) - (kind in OPEN.values())
        return len(self.tokens)

    def finish(self) -> Tree[Token]:
        """Close open brackets and return lark's tree."""
        end = len(self.source.text)
        final = Token("$END", "", end, end_pos=end)
        if self.brackets:
            self.faults.append(
                unexpected(self.source, expected(self.state), final, self.previous, self.brackets)
            )
            self.restore(self.rewind(), end)
        while self.brackets:
            self.state.feed_token(Token("RBRACE", "}", end, end_pos=end))
            self.brackets.pop()
        if not self.accepts_end():
            self.faults.append(unexpected(self.source, expected(self.state), final, self.previous, []))
            self.restore(self.rewind(), end)
        tree: Tree[Token] = self.state.feed_token(final)
        return tree

    def accepts_end(self) -> bool:
        return "$END" in expected(self.state).terminals


def begins_statement(tokens: Sequence[Token], index: int) -> bool:
    """Return True if the tokens at `index` look like the beginning of a statement."""
    kinds = [t.type for t in tokens[index : index + 2]]
    return kinds == ["NAME", "COLON"] or (bool(kinds) and kinds[0] in BEGINNINGS)
