"""Writes statements as lines of text, with loops for repetitions and without arguments equal to defaults."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isfinite

from netspec.frontends.structure.blocks import Block
from netspec.frontends.structure.statements import Expression, Statement, quoted
from netspec.language.parser.grammar import words
from netspec.language.values import spell
from netspec.ops import OPS
from netspec.ops.base import single

WIDTH = 100
"""The maximum width of a line that joins short statements."""
STARTERS = {"conv", "linear", "deconv", "attention", "param", "buffer"}
"""Ops that begin a new line; norms, activations and the like follow on the same line."""


def value_text(value: object) -> str:
    """Return an argument as it is written in a spec; floats are written with all digits."""
    if isinstance(value, Expression):
        return value.text
    if isinstance(value, float):
        if not isfinite(value):
            return "9e18" if value > 0 else "-9e18"  # the language has no infinity and no larger numbers
        return repr(value) if value != int(value) or abs(value) > 1e15 else str(int(value))
    if isinstance(value, list):
        return f"[{', '.join(map(value_text, value))}]"
    return spell(value)


class Text:
    """Writes statements as lines; arguments equal to those in `defaults`, by op or block, are omitted."""

    def __init__(self, defaults: dict[str, dict[str, object]], parameters: dict[str, list[str]]) -> None:
        self.defaults, self.parameters = defaults, parameters

    def block(self, block: Block, defaults: dict[str, object]) -> list[str]:
        """Return the lines of a block's definition."""
        names = [n for n in block.parameters if n not in defaults] + [
            n for n in block.parameters if n in defaults
        ]
        self.parameters[block.name] = names
        written = [f"{n} = {value_text(defaults[n])}" if n in defaults else n for n in names]
        head = f"block {block.name}" + (f"({', '.join(written)})" if written else "")
        return [f"{head} {{", *self.body(block.statements, 1), "}"]

    def body(self, statements: Sequence[Statement], level: int) -> list[str]:
        """Return the lines of statements; repetitions become loops, and short statements share a line."""
        lines: list[str] = []
        current = ""
        space = "  " * level
        for texts, starts in self.pieces(statements, level):
            if len(texts) > 1:
                lines += [space + current] if current else []
                lines += texts
                current = ""
                continue
            text = texts[0]
            if (
                current
                and "{" not in current
                and not starts
                and len(space) + len(current) + len(text) + 2 <= WIDTH
            ):
                current += f"; {text}"
            else:
                lines += [space + current] if current else []
                current = text
        return lines + ([space + current] if current else [])

    def pieces(self, statements: Sequence[Statement], level: int) -> Iterable[tuple[list[str], bool]]:
        """Yield the lines of each statement, and whether it begins a new line."""
        for run in runs(statements):
            first = run[0]
            if len(run) > 1:
                yield self.loop(run, level), first.label is not None
            elif first.loop:
                count = value_text(first.arguments["count"])
                yield self.braces(f"for i in range({count})", first.body, level), True
            elif first.condition:
                yield self.condition(first, level), True
            elif not first.call:
                yield self.braces(self.label(first), first.body, level, self.tail(first)), True
            else:
                text = self.simple(first)
                block = first.call not in OPS and bool(first.label) and text.endswith(")")
                yield [text], first.call in STARTERS or block

    def loop(self, run: list[Statement], level: int) -> list[str]:
        """Return the lines of a loop for calls that differ at most in one argument and a counted label."""
        first = run[0]
        varying = differing(first, run[-1]) or next((d for r in run if (d := differing(first, r))), "")
        values = [value_text(r.arguments[varying]) for r in run] if varying else []
        name = "value" if varying in words() or varying == "i" else varying
        inside = {**first.arguments, varying: Expression(name)} if varying else first.arguments
        text = self.simple(Statement(first.call, None, inside))
        if first.label is None and not varying:
            return self.braces(f"repeat {len(run)}", [first], level)
        head = f"for {name} in [{', '.join(values)}]"
        if first.label is not None:
            prefix, start = split_number(first.label)
            inner = f"{prefix}{{i{f' + {start}' if start else ''}}}"
            inner = inner if prefix.isidentifier() or not prefix else f'"{inner}"'
            text = f"{inner}: {text}"
            listed = f"for i, {name} in enumerate([{', '.join(values)}])"
            head = listed if varying else f"for i in range({len(run)})"
        return [f"{head} {{ {text} }}"]

    def condition(self, statement: Statement, level: int) -> list[str]:
        """Return the lines of an `if`."""
        lines = self.braces(f"if {statement.condition}", statement.body, level)
        if not statement.otherwise:
            return lines
        other = self.braces("else", statement.otherwise, level)
        if len(lines) == len(other) == 1 and len(lines[0]) + len(other[0]) < WIDTH:
            return [f"{lines[0]} {other[0]}"]
        lines = (
            lines
            if len(lines) > 1
            else self.braces(f"if {statement.condition}", statement.body, level, flat=False)
        )
        other = other if len(other) > 1 else self.braces("else", statement.otherwise, level, flat=False)
        return [*lines[:-1], f"{lines[-1]} {other[0].strip()}", *other[1:]]

    def braces(
        self, head: str, body: Sequence[Statement], level: int, tail: str = "", flat: bool = True
    ) -> list[str]:
        """Return the lines of statements in braces, as a single line if they fit."""
        inner = self.body(body, level + 1)
        short = f"{head} {{ {inner[0].strip()} }}{tail}"
        space = "  " * level
        if flat and len(inner) == 1 and len(space + short) <= WIDTH:
            return [short]
        joined = "; ".join(line.strip() for line in inner)
        if flat and "{" not in joined and len(f"{space}{head} {{ {joined} }}{tail}") <= WIDTH:
            return [f"{head} {{ {joined} }}{tail}"]
        return [f"{space}{head} {{", *inner, f"{space}}}{tail}"]

    def label(self, statement: Statement) -> str:
        return f"{quoted(statement.label)}:" if statement.label else ""

    def tail(self, statement: Statement) -> str:
        return f" <- {', '.join(statement.sources)}" if statement.sources else ""

    def simple(self, statement: Statement) -> str:
        """Return the text of a call of an op or block."""
        label = f"{quoted(statement.label)}: " if statement.label else ""
        merge = statement.call in OPS and OPS[statement.call].kind == "merge"
        given = self.arguments(statement)
        if merge and statement.sources:
            return f"{label}{statement.call}({', '.join([*statement.sources, *given])})"
        brackets = f"({', '.join(given)})" if given else ""
        return f"{label}{statement.call}{brackets}{self.tail(statement)}"

    def arguments(self, statement: Statement) -> list[str]:
        """Return the arguments that differ from their defaults, the first ones by position."""
        defaults = self.defaults.get(statement.call, {})
        if statement.call in OPS:
            op = OPS[statement.call]
            names, positional = list(op.model_fields), op.by_position() if op.kind != "merge" else []
            own = {n: single(f.default) for n, f in op.model_fields.items() if not f.is_required()}
            defaults = {**own, **defaults}
        elif statement.call == "share":
            names = positional = ["layer"]
        else:
            names = self.parameters[statement.call]
            positional = [n for n in names if n not in defaults]
        texts = []
        for name in names:
            value = statement.arguments.get(name)
            if name in defaults and (
                value is None or (type(value) is type(defaults[name]) and value == defaults[name])
            ):
                continue
            if name in defaults and isinstance(defaults[name], float) and value == defaults[name]:
                continue
            texts.append(value_text(value) if name in positional else f"{name}={value_text(value)}")
        return texts


def split_number(label: str) -> tuple[str, int]:
    """Split a label into a prefix and the number at its end; without a number, return -1 for it."""
    digits = len(label) - len(label.rstrip("0123456789"))
    return (label[:-digits], int(label[-digits:])) if digits else (label, -1)


def runs(statements: Sequence[Statement]) -> list[list[Statement]]:
    """Divide statements into runs of repeated calls, either without labels or with labels that count up."""
    result: list[list[Statement]] = []
    for statement in statements:
        if result and repeats(result[-1], statement):
            result[-1].append(statement)
        else:
            result.append([statement])
    return [part for run in result for part in (steady(run) if len(run) < 3 else [run])]


def steady(run: list[Statement]) -> list[list[Statement]]:
    """Keep a short run if its calls are equal; otherwise split it, since a loop would be longer."""
    return [run] if len(run) == 1 or differing(run[0], run[1]) == "" else [[s] for s in run]


def repeats(run: list[Statement], new: Statement) -> bool:
    """Return True if a statement calls the same block as a run, and its label has the next number."""
    first, last = run[0], run[-1]
    plain = new.call and new.call not in OPS and new.call != "share" and not new.condition
    if not plain or new.call != last.call or new.sources or first.sources:
        return False
    changes = {d for s in (*run, new) if (d := differing(first, s)) != ""}
    if len(changes) > 1 or None in changes:
        return False
    if new.label is None or last.label is None:
        return new.label is last.label
    (a, m), (b, n) = split_number(last.label), split_number(new.label)
    return a == b and m >= 0 and n == m + 1


def differing(a: Statement, b: Statement) -> str | None:
    """Return the name of the only argument in which two calls differ.

    Return an empty string if they differ in none, and None if a loop over one argument is not possible.
    """
    pairs = [(n, x, b.arguments[n]) for n, x in a.arguments.items()]
    names = [n for n, x, y in pairs if type(x) is not type(y) or x != y]
    mixed = any(
        x is None or y is None or isinstance(x, Expression | tuple) for n, x, y in pairs if n in names
    )
    return "" if not names else names[0] if len(names) == 1 and not mixed else None
