"""Rolls statements whose labels count up, such as the layers of a DenseNet, into loops."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from netspec.frontends.structure.statements import Expression, Statement

LONGEST, LEAST = 4, 3
"""The maximum number of statements in the body of a loop, and the minimum number of repetitions."""
NUMBER = re.compile(r"(?<=[A-Za-z_])\d+(?=$|\.)")
"""A number at the end of a label, or at the end of a name in a reference."""


def rolled(statements: Sequence[Statement]) -> list[Statement]:
    """Replace repetitions of two or more statements whose labels count up by loops.

    A loop is a statement with an empty `call` and the argument `count`; labels in its body contain `{i}`.
    """
    result: list[Statement] = []
    at = 0
    while at < len(statements):
        for period in range(2, LONGEST + 1):
            count = repetitions(statements, at, period)
            if count >= LEAST:
                body = [templated(s) for s in statements[at : at + period]]
                result.append(Statement("", arguments={"count": count}, body=body, loop=True))
                at += count * period
                break
        else:
            result.append(statements[at])
            at += 1
    return result


def repetitions(statements: Sequence[Statement], at: int, period: int) -> int:
    """Return how often the `period` statements at index `at` occur in a row with labels that count up."""
    count = 1
    while at + (count + 1) * period <= len(statements):
        new = statements[at + count * period : at + (count + 1) * period]
        last = at + (count + 1) * period == len(statements)
        for k, (first, second) in enumerate(zip(statements[at : at + period], new, strict=True)):
            unnamed = last and k == period - 1 and second.label is None
            if not follows(first, second, count, unnamed):
                return count
        count += 1
    return count


def follows(first: Statement, new: Statement, step: int, unnamed: bool) -> bool:
    """Return True if two statements differ only by larger numbers in label and references.

    `new` must have numbers larger by `step`; if `unnamed` is true, it may lack the label.
    """
    counted = first.label is not None and NUMBER.search(first.label) is not None
    if first.call != new.call or not first.call or not counted or (new.label is None and not unnamed):
        return False
    if first.arguments != new.arguments or any(isinstance(v, Expression) for v in new.arguments.values()):
        return False
    if not unnamed and new.label != shifted(str(first.label), step):
        return False
    ours, theirs = first.sources, new.sources
    if ours is None or theirs is None:
        return ours is theirs
    return (
        len(ours) == len(theirs)
        and all(b in (a, shifted(a, step)) for a, b in zip(ours, theirs, strict=True))
        and (all(b == shifted(a, step) for a, b in zip(ours, theirs, strict=True) if NUMBER.search(a)))
    )


def shifted(text: str, step: int) -> str:
    """Return a label or reference whose numbers are larger by `step`."""
    return NUMBER.sub(lambda match: str(int(match[0]) + step), text)


def templated(statement: Statement) -> Statement:
    """Return a statement whose label and references contain the loop variable in place of numbers."""

    def write(match: re.Match[str]) -> str:
        return f"{{i + {match[0]}}}" if int(match[0]) else "{i}"

    sources = statement.sources and tuple(NUMBER.sub(write, s) for s in statement.sources)
    return replace(statement, label=NUMBER.sub(write, str(statement.label)), sources=sources)
