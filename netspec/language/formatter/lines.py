"""Writes statements as lines: those that share a source line stay together, and comments stay in place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from netspec.language import ast as t
from netspec.language.formatter.write import (
    STEP,
    broken,
    chained,
    expression,
    head,
    layer_head,
    layer_tail,
    one_line,
    shape,
)

WIDTH = 110
FURTHEST = 60
"""The maximum column of a `->` that is aligned with others."""


@dataclass
class Line:
    """One line of output: its text, the claimed shape after it (`-> 96x55x55`), and its comment."""

    text: str
    claim: str = ""
    comment: str = ""
    blank_before: bool = False


class Formatter:
    """Writes a syntax tree with the comments of its source."""

    def __init__(self, tree: t.File) -> None:
        self.tree, self.source = tree, tree.source
        self.comments = list(tree.comments)
        self.limits = [len(self.source.text) + 1]
        """The offsets of the closing braces around the current statement, the innermost last."""

    def text(self) -> str:
        lines = self.body(self.tree.body, 0)
        lines += self.comments_before(len(self.source.text) + 1, 0)
        while lines and not lines[0].text:
            lines.pop(0)
        if lines:
            lines[0].blank_before = False
        out: list[str] = []
        for line in align(lines):
            out += [""] * line.blank_before
            out.append(line.text)
        return "\n".join(out) + "\n" if out else ""

    def line_of(self, offset: int) -> int:
        return self.source.place(min(offset, len(self.source.text)))[0]

    def blank_above(self, offset: int) -> bool:
        """Return True if the line above an offset is empty."""
        line = self.line_of(offset)
        return line > 1 and not self.source.line(line - 1).strip()

    def comments_before(self, offset: int, depth: int) -> list[Line]:
        """Return the comment lines before an offset."""
        lines = []
        while self.comments and self.comments[0][0] < offset:
            at, text = self.comments.pop(0)
            lines.append(Line(STEP * depth + text.rstrip(), blank_before=self.blank_above(at)))
        return lines

    def comment_on(self, line: int, before: int | None = None) -> str:
        """Return the comment at the end of a source line, or "" if it is outside the current braces."""
        limit = self.limits[-1] if before is None else before
        if self.comments and self.comments[0][0] < limit and self.line_of(self.comments[0][0]) == line:
            return self.comments.pop(0)[1].rstrip()
        return ""

    def body(self, body: t.Body, depth: int) -> list[Line]:
        lines: list[Line] = []
        statements = list(body.statements)
        while statements:
            run = [statements.pop(0)]
            while statements and self.together(run[-1], statements[0]):
                run.append(statements.pop(0))
            start = run[0].span.start
            lines += self.comments_before(start, depth)
            made = self.run(run, depth)
            made[0].blank_before = self.blank_above(start)
            lines += made
        return lines

    def together(self, first: t.Statement, second: t.Statement) -> bool:
        """Return True if two statements are on the same source line."""
        return (
            self.line_of(first.span.end) == self.line_of(second.span.start)
            and self.flat(first)
            and self.flat(second)
        )

    def flat(self, s: t.Statement) -> bool:
        """Return True if a statement is on a single source line."""
        return self.line_of(s.span.start) == self.line_of(s.span.end)

    def run(self, statements: Sequence[t.Statement], depth: int) -> list[Line]:
        """Return the lines of one statement, or of several that share a source line."""
        indent = STEP * depth
        last = statements[-1]
        texts = [one_line(s) for s in statements]
        if all(texts) and all(self.flat(s) for s in statements):
            text = "; ".join(str(x) for x in texts)
            if len(indent + text) <= WIDTH or len(statements) > 1:
                return [self.finished(Line(indent + text), last)]
        return [x for s in statements for x in self.spread(s, depth)]

    def finished(self, line: Line, last: t.Statement) -> Line:
        """Return a line with the claimed shape of its last layer and the comment after the source line."""
        if isinstance(last, t.Layer) and last.claim:
            line.claim = f"-> {shape(last.claim)}"
            line.text = line.text.removesuffix(f" {line.claim}")
        line.comment = self.comment_on(self.line_of(last.span.end))
        return line

    def spread(self, s: t.Statement, depth: int) -> list[Line]:
        """Return the lines of a statement that needs several: one with braces, or a long list or table."""
        indent = STEP * depth
        match s:
            case t.Layer(action=t.Group() | t.Join() as action):
                return self.braces(layer_head(s), action.body, depth, s)
            case t.Block() | t.Repeat() | t.For():
                return self.braces(head(s), s.body, depth, s)
            case t.If():
                return self.branches(s, depth)
            case t.Train():
                return self.train(s, depth)
        text = one_line(s)
        assert text is not None
        if len(indent + text) > WIDTH and isinstance(s, t.Bind):
            text = f"{s.name} = {broken(s.value, indent)}"
        return [self.finished(Line(x if k else indent + x), s) for k, x in enumerate([text])]

    def braces(self, opening: str, body: t.Body, depth: int, s: t.Statement) -> list[Line]:
        """Return the lines of a statement with one body in braces."""
        lines = self.opened(opening, body, depth, s.span.start)
        return [*lines, self.finished(Line(STEP * depth + "}" + layer_tail(s)), s)]

    def opened(self, opening: str, body: t.Body, depth: int, start: int) -> list[Line]:
        """Return the line that opens braces and the lines inside. `start` is the offset of the statement."""
        end = self.closing(body.statements[-1].span.end if body.statements else start)
        first = Line(f"{STEP * depth}{opening} {{" if opening else f"{STEP * depth}{{")
        inner = body.statements[0].span.start if body.statements else end
        if self.line_of(inner) > self.line_of(start):
            first.comment = self.comment_on(self.line_of(start))
        self.limits.append(end)
        inside = [*self.body(body, depth + 1), *self.comments_before(end, depth + 1)]
        self.limits.pop()
        return [first, *inside]

    def closing(self, offset: int) -> int:
        """Return the offset of the next closing brace outside comments."""
        place = self.source.text.find("}", offset)
        for at, text in self.tree.comments:
            if at <= place < at + len(text):
                place = self.source.text.find("}", at + len(text))
        return place

    def branches(self, s: t.If, depth: int) -> list[Line]:
        """Return the lines of an `if` with its `else if` and `else` parts."""
        indent, opening, start = STEP * depth, head(s), s.span.start
        lines: list[Line] = []
        part: t.If | None = s
        while part:
            opened = self.opened(opening, part.yes, depth, start)
            lines += opened
            start = self.closing(part.yes.statements[-1].span.end if part.yes.statements else start)
            following = chained(part)
            if following:
                opening = f"}} else {head(following)}"
            elif part.no:
                lines += self.opened("} else", part.no, depth, start)
            part = following
        return [*lines, self.finished(Line(f"{indent}}}"), s)]

    def train(self, s: t.Train, depth: int) -> list[Line]:
        indent, end = STEP * depth, s.span.end - 1
        source = "" if s.citation is None else f' "{s.citation}"'
        first = Line(f"{indent}train{source} {{")
        if not s.settings or self.line_of(s.settings[0].span.start) > self.line_of(s.span.start):
            first.comment = self.comment_on(self.line_of(s.span.start), end)
        lines = [first]
        self.limits.append(end)
        for setting in s.settings:
            lines += self.comments_before(setting.span.start, depth + 1)
            text = f"{indent}{STEP}{setting.name}: {expression(setting.value)}"
            comment = self.comment_on(self.line_of(setting.span.end))
            lines.append(Line(text, comment=comment, blank_before=self.blank_above(setting.span.start)))
        lines += self.comments_before(end, depth + 1)
        self.limits.pop()
        return [*lines, Line(f"{indent}}}", comment=self.comment_on(self.line_of(s.span.end)))]


def align(lines: list[Line]) -> list[Line]:
    """Return the lines with all `->` of the file aligned, and with comments of consecutive lines aligned."""
    column = max((len(x.text) for x in lines if x.claim and len(x.text) <= FURTHEST), default=0)
    for line in lines:
        if line.claim:
            line.text = f"{line.text.ljust(column)} {line.claim}"
    group: list[Line] = []
    for line in [*lines, Line("", blank_before=True)]:
        if line.blank_before:
            column = max((len(x.text) for x in group if x.comment), default=0)
            for x in group:
                x.text = f"{x.text.ljust(column)}  {x.comment}" if x.comment else x.text
            group = []
        group.append(line)
    return lines
