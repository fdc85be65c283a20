"""Writes nodes of the syntax tree as text on one line."""

from __future__ import annotations

from collections.abc import Iterable

from netspec.language import ast as t
from netspec.language.parser.grammar import words

STEP = "  "
LEVELS = {"or": 1, "and": 2, "+": 5, "-": 5, "*": 6, "/": 6, "//": 6, "%": 6}
"""The precedence of binary operators. `not` has 3, comparisons 4, signs 7, and `**` 8."""


def one_line(s: t.Statement) -> str | None:
    """Return a statement on one line, or None if it always needs several lines."""
    match s:
        case t.Layer(action=t.Apply()):
            return layer_head(s) + layer_tail(s) + (f" -> {shape(s.claim)}" if s.claim else "")
        case t.Layer(action=t.Group() | t.Join() as action):
            inside = group(action.body)
            tail = layer_tail(s) + (f" -> {shape(s.claim)}" if s.claim else "")
            return inside and f"{layer_head(s)} {inside}{tail}".strip()
        case t.Block() | t.Repeat() | t.For():
            inside = group(s.body)
            return inside and f"{head(s)} {inside}"
        case t.If():
            following = chained(s)
            yes = group(s.yes)
            no = one_line(following) if following else group(s.no) if s.no else ""
            if yes is None or no is None:
                return None
            return f"{head(s)} {yes}" + (f" else {no}" if no else "")
        case t.Train():
            return None
    return head(s)


def chained(s: t.If) -> t.If | None:
    """If the `else` of `s` contains only another `if`, return that `if`; otherwise return None.

    Such an `if` is written as `else if`.
    """
    inner = s.no.statements[0] if s.no and len(s.no.statements) == 1 else None
    return inner if isinstance(inner, t.If) else None


def group(body: t.Body) -> str | None:
    texts = [one_line(x) for x in body.statements]
    if not all(texts):
        return None
    return "{ " + "; ".join(str(x) for x in texts) + " }" if texts else "{ }"


def head(s: t.Statement) -> str:
    """Return the text of a statement before its braces, or its whole text if it has no braces."""
    match s:
        case t.Network():
            return f"network {s.name}{parameters(s.parameters)}" + (
                f' "{s.citation}"' if s.citation is not None else ""
            )
        case t.Use():
            return f'use "{s.path}"'
        case t.Input():
            return ", ".join(
                [f"input {s.name}: {shape(s.shape)}", *([arguments(s.arguments)] if s.arguments else [])]
            )
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
            return f"output {', '.join(map(path, s.paths))}{when}" + (
                f" ({arguments(s.arguments)})" if s.arguments else ""
            )
        case t.Expect():
            return "expect " + arguments(s.claims, " = ")
        case t.Assert():
            return f'assert {expression(s.condition)} "{s.message}"'
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
    return text if named and text not in words() else f'"{text}"'


def path(x: t.Path) -> str:
    """Return the text of a path. A number or a keyword other than `in` at its start is quoted."""
    head, *rest = (part(p) for p in x.parts)
    if head.isdigit() or (head in words() and head != "in"):
        head = f'"{head}"'
    return ".".join([head, *(f'"{p}"' if p in words() else p for p in rest)])


def part(x: str | t.Label) -> str:
    """Return one part of a path, quoted if it contains special characters or begins with a brace."""
    if isinstance(x, t.Label):
        text = label(x)
        return f'"{text}"' if text[0] == "{" else text
    return x if all(c.isascii() and (c.isalnum() or c == "_") for c in x) else f'"{x}"'


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
    """Return the text of an expression with as few parentheses as possible.

    `level` is the precedence of the enclosing operator.
    """

    def within(text: str, own: int) -> str:
        return f"({text})" if own < level else text

    match x:
        case t.Literal():
            return x.text
        case t.Name():
            return x.id
        case t.Reference():
            return path(x.path)
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
        case t.Slice():
            start, stop = (expression(b) if b else "" for b in (x.start, x.stop))
            return f"{expression(x.value, 9)}[{start}:{stop}]"
        case t.Attribute():
            return f"{expression(x.value, 9)}.{x.name}"
        case t.CallExpr():
            return f"{x.name}({arguments(x.arguments)})"
        case t.Broken():
            raise TypeError("a broken statement has no text")


def broken(x: t.Expr, indent: str) -> str:
    """Return a long list or table with one item per line."""
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
