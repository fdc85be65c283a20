"""Parses values that are passed to commands as text: settings, counts and input shapes."""

from __future__ import annotations

import re

from netspec.diagnostics import Diagnostic, Source
from netspec.errors import SettingError
from netspec.language.expressions import evaluate
from netspec.language.names import Fault, Names
from netspec.language.parser import parse_expression
from netspec.language.values import Call, Rounded
from netspec.shape import Shape


def read_setting(text: str) -> tuple[str, object]:
    """Return the name and value of a setting such as `depth=50`. A value that is a bare name is a string.

    A name that begins with `train.` stands for an entry of the recipe, or an argument of an entry.

    >>> read_setting("depth=50"), read_setting("pool=max"), read_setting("train.optimizer.lr=0.1")
    (('depth', 50), ('pool', 'max'), ('train.optimizer.lr', 0.1))
    >>> print(read_setting("train.optimizer=sgd(lr=0.1)")[1])
    sgd(lr=0.1)
    """
    name, equals, value = text.partition("=")
    name = name.strip()
    if not equals or not re.fullmatch(r"(train\.([A-Za-z0-9_]+\.)?)?[A-Za-z_][A-Za-z0-9_]*", name):
        raise SettingError(f"a setting must be NAME=VALUE, such as depth=50, not {text!r}")
    expr = parse_expression(Source("<setting>", value), 0, len(value))
    if isinstance(expr, Diagnostic):
        raise SettingError(f"the value of {name}: {expr.message}")
    try:
        result = evaluate(expr, Names(), words=True)
    except Fault as fault:
        raise SettingError(f"the value of {name}: {fault}") from None
    if isinstance(result, Call) and not result.args and not result.kwargs:
        result = {"True": True, "False": False, "None": None}.get(result.name, result.name)
    return name, result


def read_count(text: str) -> float:
    """Return the number in a count such as `30M`. The suffixes k, M, G and T are powers of 1000.

    >>> read_count("30M"), read_count("61_100_840")
    (30000000.0, 61100840.0)
    """
    if not re.fullmatch(r"[0-9][0-9_]*(\.[0-9]+)?[kMGT]?", text):
        raise SettingError(f"a count must be a number such as 30M or 61_100_840, not {text!r}")
    return float(Rounded.read(text)) if text[-1].isalpha() else float(text.rstrip("_"))


def read_shape(text: str) -> tuple[str, Shape]:
    """Return the input's name and shape from `image=3x224x224`. The name is empty for `3x224x224`.

    >>> name, shape = read_shape("image=3x224x224")
    >>> print(name, shape)
    image 3x224x224
    """
    name, equals, sizes = text.rpartition("=")
    if not re.fullmatch(r"[1-9][0-9]{0,8}(x[1-9][0-9]{0,8}){0,3}", sizes) or (equals and not name):
        raise SettingError(
            f"an input shape must have 1 to 4 sizes, such as 3x224x224 or image=3x224x224, not {text!r}"
        )
    return name, Shape(int(part) for part in sizes.split("x"))
