"""Helpers for the methods of grammar rules, which find parts among the children of a lark node."""

from __future__ import annotations

from typing import Any

from lark import Token

from netspec.diagnostics import Span
from netspec.language import ast as t
from netspec.language.values import Rounded

Children = list[Any]


def number(text: str) -> int | float:
    """Return the value of a number token."""
    if text[-1] in "kMGT":
        return Rounded.read(text)
    digits = text.replace("_", "")
    return int(digits) if digits.isdigit() else float(digits)


class Parameters(list[t.Parameter]):
    """The parameters of a network or block, with the span of their brackets."""

    span: Span


def kind(child: object) -> str | None:
    return child.type if isinstance(child, Token) else None


def text(token: Token) -> str:
    """Return the text inside the quotes of a string token."""
    return str(token)[1:-1]


def nodes(children: Children, kind: type[Any]) -> Children:
    return [x for x in children if isinstance(x, kind)]


def arguments(children: Children) -> tuple[t.Argument, ...]:
    return next((x for x in children if isinstance(x, tuple)), ())


def parameters(children: Children) -> tuple[t.Parameter, ...]:
    return tuple(next((x for x in children if isinstance(x, list)), ()))
