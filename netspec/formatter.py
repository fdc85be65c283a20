"""Tree to text in one style: comments, blank lines and one-line groups stay, spacing and quotes are made alike."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from netspec import tree as t
from netspec.diagnostics import Source, SpecError, render
from netspec.files import FileError, write_text
from netspec.parse import parse
from netspec.source import read

WIDTH = 110
FURTHEST = 60
"""A claim behind a longer text is not lined up."""
STEP = "  "
LEVELS = {
    "or": 1,
    "and": 2,
    "not": 3,
    "compare": 4,
    "+": 5,
    "-": 5,
    "*": 6,
    "/": 6,
    "//": 6,
    "%": 6,
    "unary": 7,
    "**": 8,
}


def format_source(source: Source) -> str:
    """Format a spec.

    Raises:
        SpecError: the text has syntax faults, and is left as it is.
    """
    tree, faults = parse(source)
    if faults:
        raise SpecError(faults)
    return Formatter(tree).text()


def format_tree(tree: t.File) -> str:
    """Write a tree without faults as text that parses to an equal tree."""
    return Formatter(tree).text()


def format_files(paths: Sequence[str], only_check: bool, say: Callable[..., None]) -> int:
    """Format files in place, or `-` from standard input to standard output; gives the exit status."""
    status = 0
    for name in paths:
        try:
            source = Source("<stdin>", sys.stdin.read()) if name == "-" else read(Path(name))
            text = format_source(source)
            if name == "-" and not only_check:
                say(text, nl=False)
            elif text != source.text:
                say(f"{name} {'would change' if only_check else 'formatted'}")
                status |= only_check
                if not only_check:
                    write_text(Path(name), text)
        except SpecError as error:
            say("\n\n".join(render(d) for d in error.diagnostics), err=True)
            status = 1
        except FileError as error:
            say(f"error: {error}", err=True)
            status = 1
    return status


@dataclass
class Line:
    """A formatted statement on one line: its text, the claim that is lined up with its neighbours', a comment."""

    text: str
    claim: str = ""
    comment: str = ""
    blank_before: bool = False


class Formatter:
    """Walks a tree beside its source, placing comments where they stood."""

    def __init__(self, tree: t.File) -> None:
        self.tree, self.source = tree, tree.source
        self.comments = list(tree.comments)

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
        """Whether an empty line stands above this place."""
        line = self.line_of(offset)
        return line > 1 and not self.source.line(line - 1).strip()

    def comments_before(self, offset: int, depth: int) -> list[Line]:
        """The comments on lines of their own that stand before an offset."""
        lines = []
        while self.comments and self.comments[0][0] < offset:
            at, text = self.comments.pop(0)
            lines.append(Line(STEP * depth + text.rstrip(), blank_before=self.blank_above(at)))
        return lines

    def comment_on(self, line: int) -> str:
        """The comment at the end of a source line, if it is the next one."""
        if self.comments and self.line_of(self.comments[0][0]) == line:
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
        """Whether two statements stood on one line, so that they stay there."""
        return (
            self.line_of(first.span.end) == self.line_of(second.span.start)
            and self.flat(first)
            and self.flat(second)
        )

    def flat(self, s: t.Statement) -> bool:
        """Whether a statement stood on one line."""
        return self.line_of(s.span.start) == self.line_of(s.span.end)

    def run(self, statements: Sequence[t.Statement], depth: int) -> list[Line]:
        """Statements that stay together on a line, or one statement on its own."""
        indent = STEP * depth
        last = statements[-1]
        texts = [one_line(s) for s in statements]
        if all(texts) and all(self.flat(s) for s in statements):
            text = "; ".join(str(x) for x in texts)
            if len(indent + text) <= WIDTH or len(statements) > 1:
                return [self.finished(Line(indent + text), last)]
        return [x for s in statements for x in self.spread(s, depth)]

    def finished(self, line: Line, last: t.Statement) -> Line:
        """Add the claim of the last layer and the comment behind it."""
        if isinstance(last, t.Layer) and last.claim:
            line.claim = f"-> {shape(last.claim)}"
            line.text = line.text.removesuffix(f" {line.claim}")
        line.comment = self.comment_on(self.line_of(last.span.end))
        return line

    def spread(self, s: t.Statement, depth: int) -> list[Line]:
        """A statement with braces, a line for each statement inside; or a long one, broken at its commas."""
        indent = STEP * depth
        match s:
            case t.Layer(action=t.Group() | t.Join()):
                return self.braces(layer_head(s), s.action.body, depth, s)
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
        indent = STEP * depth
        first = Line(f"{indent}{opening} {{".replace("  {", " {") if opening else f"{indent}{{")
        start = body.statements[0].span.start if body.statements else s.span.end
        first.comment = (
            self.comment_on(self.line_of(s.span.start))
            if self.line_of(start) > self.line_of(s.span.start)
            else ""
        )
        inside = self.body(body, depth + 1)
        inside += self.comments_before(self.closing(s, body), depth + 1)
        tail = Line(f"{indent}}}" + layer_tail(s))
        return [first, *inside, self.finished(tail, s)]

    def closing(self, s: t.Statement, body: t.Body) -> int:
        """Where the brace that closes a body stands."""
        after = body.statements[-1].span.end if body.statements else s.span.start
        inner = [at for at, _ in self.comments if at >= after]
        place = self.source.text.find("}", after)
        for at in inner:
            if at > place:
                break
            place = self.source.text.find("}", self.source.text.find("\n", at))
        return place

    def branches(self, s: t.If, depth: int) -> list[Line]:
        lines = self.braces(head(s), s.yes, depth, s)
        if s.no is None:
            return lines
        inner = s.no.statements[0] if len(s.no.statements) == 1 else None
        chained = isinstance(inner, t.If) and s.no.span == inner.span
        lines.pop()
        rest = (
            self.branches(inner, depth)
            if isinstance(inner, t.If) and chained
            else self.braces("", s.no, depth, s)
        )
        rest[0].text = f"{STEP * depth}}} else {rest[0].text.strip()}"
        return [*lines, *rest]

    def train(self, s: t.Train, depth: int) -> list[Line]:
        indent = STEP * depth
        lines = [Line(f"{indent}train {{")]
        for setting in s.settings:
            lines += self.comments_before(setting.span.start, depth + 1)
            text = f"{indent}{STEP}{setting.name}: {expression(setting.value)}"
            comment = self.comment_on(self.line_of(setting.span.end))
            lines.append(Line(text, comment=comment, blank_before=self.blank_above(setting.span.start)))
        lines += self.comments_before(s.span.end, depth + 1)
        return [*lines, Line(f"{indent}}}", comment=self.comment_on(self.line_of(s.span.end)))]


def align(lines: list[Line]) -> list[Line]:
    """Line up the claims of the whole file, and the comments of neighbouring lines."""
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


def one_line(s: t.Statement) -> str | None:
    """A statement on one line, or None for those that always spread."""
    match s:
        case t.Layer(action=t.Apply()):
            return layer_head(s) + layer_tail(s) + (f" -> {shape(s.claim)}" if s.claim else "")
        case t.Layer():
            inside = group(s.action.body)
            tail = layer_tail(s) + (f" -> {shape(s.claim)}" if s.claim else "")
            return inside and f"{layer_head(s)} {inside}{tail}".strip()
        case t.Block() | t.Repeat() | t.For():
            inside = group(s.body)
            return inside and f"{head(s)} {inside}"
        case t.If():
            yes, no = group(s.yes), group(s.no) if s.no else ""
            if yes is None or no is None:
                return None
            return f"{head(s)} {yes}" + (f" else {no}" if no else "")
        case t.Train():
            return None
    return head(s)


def group(body: t.Body) -> str | None:
    texts = [one_line(x) for x in body.statements]
    if not all(texts):
        return None
    return "{ " + "; ".join(str(x) for x in texts) + " }" if texts else "{ }"


def head(s: t.Statement) -> str:
    """A statement's text up to its braces."""
    match s:
        case t.Network():
            return f"network {s.name}{parameters(s.parameters)}" + (
                f' "{s.citation}"' if s.citation is not None else ""
            )
        case t.Use():
            return f'use "{s.path}"'
        case t.Input():
            return f"input {s.name}: {shape(s.shape)}"
        case t.Block():
            return f"block {s.name}{parameters(s.parameters)}"
        case t.Bind():
            return f"{s.name} = {expression(s.value)}"
        case t.Default():
            return f"default {s.op}({arguments(s.arguments)})"
        case t.Repeat():
            return f"repeat {expression(s.count)}"
        case t.For():
            return f"for {', '.join(s.names)} in {expression(s.values)}"
        case t.If():
            return f"if {expression(s.condition)}"
        case t.Output():
            when = f" when {s.when}" if s.when else ""
            return f"output {path(s.path)}{when}" + (f" ({arguments(s.arguments)})" if s.arguments else "")
        case t.Expect():
            return "expect " + arguments(s.claims, " = ")
        case _:
            raise TypeError(type(s))


def layer_head(s: t.Layer) -> str:
    label_ = f"{label(s.label)}: " if s.label else ""
    match s.action:
        case t.Apply() | t.Join():
            given = f"({arguments(s.action.arguments)})" if s.action.arguments else ""
            return f"{label_}{s.action.name}{given}"
    return label_.rstrip()


def layer_tail(s: t.Statement) -> str:
    return f" <- {', '.join(map(path, s.sources))}" if isinstance(s, t.Layer) and s.sources else ""


def label(x: t.Label) -> str:
    text = "".join(p if isinstance(p, str) else "{" + expression(p) + "}" for p in x.parts)
    plain = all(c.isascii() and (c.isalnum() or c == "_") for p in x.parts if isinstance(p, str) for c in p)
    named = plain and (
        len(x.parts) > 1 or not isinstance(x.parts[0], str) or text.isdigit() or not text[0].isdigit()
    )
    return text if named else f'"{text}"'


def path(x: t.Path) -> str:
    simple = (p if all(c.isascii() and (c.isalnum() or c == "_") for c in p) else f'"{p}"' for p in x.parts)
    return ".".join(simple)


def parameters(items: Iterable[t.Parameter]) -> str:
    texts = [p.name + (f" = {expression(p.default)}" if p.default else "") for p in items]
    return f"({', '.join(texts)})" if texts else ""


def arguments(items: Iterable[t.Argument], equals: str = "=") -> str:
    return ", ".join((f"{a.name}{equals}" if a.name else "") + expression(a.value) for a in items)


def shape(size: t.Size) -> str:
    parts = [
        p.text if isinstance(p, t.Literal) else "?" if p is None else "{" + expression(p) + "}"
        for p in size.parts
    ]
    return "x".join(parts)


def expression(x: t.Expr, level: int = 0) -> str:
    """An expression with the fewest brackets that keep its meaning; `level` is that of what stands around it."""

    def within(text: str, own: int) -> str:
        return f"({text})" if own < level else text

    match x:
        case t.Literal():
            return x.text
        case t.Name():
            return x.id
        case t.List():
            return "[" + ", ".join(map(expression, x.items)) + "]"
        case t.Table():
            return "{" + ", ".join(f"{expression(k)}: {expression(v)}" for k, v in x.pairs) + "}"
        case t.Size():
            return shape(x)
        case t.Unary(op="not"):
            return within(f"not {expression(x.operand, 3)}", 3)
        case t.Unary():
            return within(f"{x.op}{expression(x.operand, 7)}", 7)
        case t.Binary(op="**"):
            return within(f"{expression(x.left, 9)} ** {expression(x.right, 7)}", 8)
        case t.Binary():
            own = LEVELS[x.op]
            return within(f"{expression(x.left, own)} {x.op} {expression(x.right, own + 1)}", own)
        case t.Compare():
            rest = "".join(f" {op} {expression(y, 5)}" for op, y in x.rest)
            return within(expression(x.first, 5) + rest, 4)
        case t.Choice():
            text = f"{expression(x.yes, 1)} if {expression(x.condition, 1)} else {expression(x.no)}"
            return within(text, 0) if level == 0 else f"({text})"
        case t.Index():
            return f"{expression(x.value, 9)}[{expression(x.index)}]"
        case t.Attribute():
            return f"{expression(x.value, 9)}.{x.name}"
        case t.CallExpr():
            return f"{x.name}({arguments(x.arguments)})"
        case t.Broken():
            raise TypeError("a broken statement has no text")


def broken(x: t.Expr, indent: str) -> str:
    """A long list or table with an item a line."""
    match x:
        case t.Index():
            return f"{broken(x.value, indent)}[{expression(x.index)}]"
        case t.List():
            items, ends = [expression(i) for i in x.items], "[]"
        case t.Table():
            items, ends = [f"{expression(k)}: {expression(v)}" for k, v in x.pairs], "{}"
        case _:
            return expression(x)
    inside = "".join(f"{indent}{STEP}{item},\n" for item in items)
    return f"{ends[0]}\n{inside}{indent}{ends[1]}"
