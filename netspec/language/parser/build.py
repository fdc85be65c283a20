"""Converts lark's parse tree to netspec's syntax tree. Each grammar rule has a method of the same name."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from lark import Token, Transformer

from netspec.diagnostics import Diagnostic, Source, Span
from netspec.language import ast as t
from netspec.language.parser.message import at, until
from netspec.language.parser.pieces import (
    Children,
    Parameters,
    arguments,
    kind,
    nodes,
    number,
    parameters,
    text,
)

LONGEST_LABEL = 400


class Builder(Transformer[Token, Any]):
    """Creates nodes of the syntax tree. `expression` parses the expressions in braces in labels and sizes."""

    def __init__(self, source: Source, expression: Callable[[int, int], t.Expr | Diagnostic]) -> None:
        super().__init__(visit_tokens=False)
        self.origin, self.expression = source, expression
        self.faults: list[Diagnostic] = []

    def span(self, children: Children) -> Span:
        """Return the span from the first child to the last."""
        placed = [x for x in children if isinstance(x, Token) or hasattr(x, "span")]
        if not placed:
            return Span(self.origin, 0, 0)
        first, last = placed[0], placed[-1]
        start = at(first) if isinstance(first, Token) else first.span.start
        end = until(last) if isinstance(last, Token) else last.span.end
        return Span(self.origin, start, end)

    def within(self, start: int, end: int) -> t.Expr:
        """Return the expression between two offsets, or `Broken` if it has a syntax error."""
        result = self.expression(start, end)
        if isinstance(result, Diagnostic):
            self.faults.append(result)
            return t.Broken(Span(self.origin, start, end))
        return result

    def file(self, c: Children) -> t.Body:
        body: t.Body = c[0]
        return body

    def body(self, c: Children) -> t.Body:
        return t.Body(self.span(c), tuple(x for x in c if not isinstance(x, Token)))

    def network(self, c: Children) -> t.Network:
        citation = next((text(x) for x in c if kind(x) == "STRING"), None)
        return t.Network(self.span(c), str(c[1]), parameters(c), citation)

    def use(self, c: Children) -> t.Use:
        return t.Use(self.span(c), text(c[1]))

    def input(self, c: Children) -> t.Input:
        return t.Input(self.span(c), str(c[1]), c[3], tuple(nodes(c, t.Argument)))

    def block(self, c: Children) -> t.Block:
        return t.Block(self.span(c), str(c[1]), parameters(c), nodes(c, t.Body)[0])

    def binding(self, c: Children) -> t.Bind:
        return t.Bind(self.span(c), str(c[0]), c[2])

    def default(self, c: Children) -> t.Default:
        return t.Default(self.span(c), str(c[1]), c[3])

    def repeat(self, c: Children) -> t.Repeat:
        return t.Repeat(self.span(c), c[1], nodes(c, t.Body)[0])

    def names(self, c: Children) -> tuple[str, ...]:
        return tuple(str(x) for x in c if kind(x) == "NAME")

    def for_(self, c: Children) -> t.For:
        return t.For(self.span(c), c[1], c[3], nodes(c, t.Body)[0])

    def if_(self, c: Children) -> t.If:
        bodies = nodes(c, t.Body)
        return t.If(self.span(c), c[1], bodies[0], bodies[1] if len(bodies) > 1 else None)

    def else_(self, c: Children) -> t.Body:
        inner = c[-1] if isinstance(c[-1], t.If) else c[2]
        return t.Body(inner.span, (inner,)) if isinstance(inner, t.If) else inner

    def output(self, c: Children) -> t.Output:
        paths = tuple(nodes(c, t.Path))
        when, given = next((x for x in c if isinstance(x, tuple)), (None, ()))
        return t.Output(self.span([c[0], *paths]), paths, when, given)

    def when(self, c: Children) -> tuple[str, tuple[t.Argument, ...]]:
        if str(c[1]) != "training":
            message = f"expected `training`, found `{c[1]}`"
            self.faults.append(Diagnostic("syntax", message, self.span([c[1]])))
        return str(c[1]), next((x for x in c if isinstance(x, tuple)), ())

    def expect(self, c: Children) -> t.Expect:
        return t.Expect(self.span(c), tuple(nodes(c, t.Argument)))

    def expectation(self, c: Children) -> t.Argument:
        return t.Argument(self.span(c), str(c[0]), c[2])

    def assert_(self, c: Children) -> t.Assert:
        return t.Assert(self.span(c), c[1], text(c[2]))

    def train(self, c: Children) -> t.Train:
        citation = next((text(x) for x in c if kind(x) == "STRING"), None)
        return t.Train(self.span(c), tuple(nodes(c, t.Setting)), citation)

    def setting(self, c: Children) -> t.Setting | t.Broken:
        return c[0] if isinstance(c[0], t.Broken) else t.Setting(self.span(c), str(c[0]), c[2])

    def broken(self, c: Children) -> t.Broken:
        return t.Broken(self.span(c))

    def parameters(self, c: Children) -> Parameters:
        made = Parameters(nodes(c, t.Parameter))
        made.span = self.span(c)
        return made

    def parameter(self, c: Children) -> t.Parameter:
        return t.Parameter(self.span(c), str(c[0]), c[2] if len(c) > 2 else None)

    # Layers

    def layer(self, c: Children) -> t.Layer:
        claim = nodes(c, t.Size)
        sources = next((x for x in c if isinstance(x, tuple)), ())
        action = next(x for x in c if isinstance(x, t.Apply | t.Join | t.Group))
        label = nodes(c, t.Label)
        span = self.span([x for x in c if not isinstance(x, tuple)])
        return t.Layer(span, label[0] if label else None, action, sources, claim[0] if claim else None)

    layer_claim_first = layer

    def label(self, c: Children) -> t.Label:
        (token,) = c
        span = self.span([token])
        inside, begin = span.text, span.start
        if token.type == "STRING":
            inside, begin = inside[1:-1], begin + 1
        if len(inside) > LONGEST_LABEL:
            long = f"a label can have at most {LONGEST_LABEL} characters, not {len(inside)}"
            self.faults.append(Diagnostic("syntax", long, span))
            return t.Label(span, (t.Broken(span),))
        return t.Label(span, self.braced(inside, begin))

    def braced(self, inside: str, begin: int) -> tuple[str | t.Expr, ...]:
        """Split a text at `{...}` into strings and expressions. `begin` is the offset of the text."""
        parts: list[str | t.Expr] = []
        for match in re.finditer(r"\{([^{}]*)\}|[^{}]+", inside):
            if match[1] is None:
                parts.append(match[0])
            else:
                parts.append(self.within(begin + match.start(1), begin + match.end(1)))
        return tuple(parts)

    def apply(self, c: Children) -> t.Apply:
        return t.Apply(self.span(c), str(c[0]), arguments(c))

    def join(self, c: Children) -> t.Join:
        return t.Join(self.span(c), str(c[0]), arguments(c), nodes(c, t.Body)[0])

    def group(self, c: Children) -> t.Group:
        return t.Group(self.span(c), c[1])

    def source(self, c: Children) -> tuple[t.Path, ...]:
        return tuple(nodes(c, t.Path))

    def claim(self, c: Children) -> t.Size:
        size: t.Size = c[1]
        return size

    def shape(self, c: Children) -> t.Size:
        span = self.span(c)
        if kind(c[0]) == "SIZE":
            return self.size(c)
        part = c[1] if len(c) == 3 else (None if str(c[0]) == "?" else self.number(c))
        return t.Size(span, (part,))

    def path(self, c: Children) -> t.Path:
        parts: list[str | t.Label] = []
        for token in c:
            if kind(token) == "STRING":
                parts.append(self.part(text(token), at(token) + 1))
            elif token != ".":
                pieces = re.finditer(r"([^.{}]|\{[^{}]*\})+", str(token))
                parts += [self.part(m[0], at(token) + m.start()) for m in pieces]
        return t.Path(self.span(c), tuple(parts))

    def part(self, inside: str, begin: int) -> str | t.Label:
        """Return one part of a path, as a label if it contains expressions."""
        if "{" not in inside:
            return inside
        return t.Label(Span(self.origin, begin, begin + len(inside)), self.braced(inside, begin))

    # Expressions

    def arguments(self, c: Children) -> tuple[t.Argument, ...]:
        return tuple(nodes(c, t.Argument))

    def argument(self, c: Children) -> t.Argument:
        return t.Argument(self.span(c), str(c[0]) if len(c) == 3 else None, c[-1])

    def choice(self, c: Children) -> t.Choice:
        return t.Choice(self.span(c), c[2], c[0], c[4])

    def logic(self, c: Children) -> t.Binary:
        return t.Binary(self.span(c), str(c[1]), c[0], c[2])

    binary = logic

    def unary(self, c: Children) -> t.Unary:
        return t.Unary(self.span(c), str(c[0]), c[1])

    def comparator(self, c: Children) -> str:
        return " ".join(map(str, c))

    def compare(self, c: Children) -> t.Compare:
        return t.Compare(self.span(c), c[0], tuple(zip(c[1::2], c[2::2], strict=True)))

    def index(self, c: Children) -> t.Index:
        return t.Index(self.span(c), c[0], c[2])

    def slice(self, c: Children) -> t.Slice:
        colon = next(k for k, x in enumerate(c) if kind(x) == "COLON")
        start, stop = c[2] if colon == 3 else None, c[colon + 1]
        return t.Slice(self.span(c), c[0], start, None if kind(stop) == "RSQB" else stop)

    def attribute(self, c: Children) -> t.Attribute:
        return t.Attribute(self.span(c), c[0], str(c[2]))

    def call(self, c: Children) -> t.CallExpr:
        return t.CallExpr(self.span(c), str(c[0]), arguments(c))

    def number(self, c: Children) -> t.Literal:
        digits = str(c[0])
        if len(digits) > 40:
            message = f"a number can have at most 40 digits, not {len(digits)}"
            self.faults.append(Diagnostic("syntax", message, self.span(c)))
            digits = "0"
        return t.Literal(self.span(c), number(digits), digits)

    def string(self, c: Children) -> t.Literal:
        return t.Literal(self.span(c), text(c[0]), str(c[0]))

    def constant(self, c: Children) -> t.Literal:
        return t.Literal(self.span(c), {"true": True, "false": False, "none": None}[str(c[0])], str(c[0]))

    def size(self, c: Children) -> t.Size:
        span = self.span(c)
        parts: list[t.Expr | None] = []
        for match in re.finditer(r"\{([^{}]*)\}|[0-9]+|\?", span.text):
            begin, end = span.start + match.start(), span.start + match.end()
            if match[0] == "?":
                parts.append(None)
            elif match[1] is None:
                parts.append(self.number([Token("NUMBER", match[0], begin, end_pos=end)]))
            else:
                parts.append(self.within(begin + 1, end - 1))
        return t.Size(span, tuple(parts))

    def name(self, c: Children) -> t.Name:
        return t.Name(self.span(c), str(c[0]))

    def reference(self, c: Children) -> t.Expr:
        """Return a reference such as `up{i}`; in `up{i}.height`, the name after the dot is an attribute."""
        token: Token = c[0]
        named, dot, rest = str(token).rpartition("}")
        tail, *attributes = rest.split(".")
        end = at(token) + len(named) + len(dot) + len(tail)
        head = Token(token.type, named + dot + tail, at(token), end_pos=end)
        made: t.Expr = t.Reference(self.span([head]), self.path([head]))
        for name in attributes:
            made = t.Attribute(self.span([token]), made, name)
        return made

    def list(self, c: Children) -> t.List:
        return t.List(self.span(c), tuple(x for x in c if not isinstance(x, Token)))

    def table(self, c: Children) -> t.Table:
        return t.Table(self.span(c), tuple(x for x in c if isinstance(x, tuple)))

    def pair(self, c: Children) -> tuple[t.Expr, t.Expr]:
        return c[0], c[2]

    def parenthesis(self, c: Children) -> t.Expr:
        inner: t.Expr = c[1]
        return inner
