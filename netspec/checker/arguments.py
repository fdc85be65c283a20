"""Matches the arguments of ops and blocks to parameters, evaluates and validates them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, get_origin

from pydantic import ValidationError

from netspec.checker.suggestions import advice, suggest
from netspec.checker.symbolic import symbolic
from netspec.diagnostics import Diagnostic, Label, Span
from netspec.language import ast as t
from netspec.language.expressions import evaluate
from netspec.language.names import Fault, Names, Unknown
from netspec.language.values import Call, described, spell
from netspec.ops import OPS, Op
from netspec.ops.arguments import WrongType

MOST_FAULTS = 10
"""The maximum number of diagnostics for the arguments of one statement."""


class Faults(Exception):
    """Several faults in one statement."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        super().__init__()
        self.faults = tuple(faults)


@dataclass(frozen=True)
class Given:
    """The value of an argument and its span."""

    value: object
    span: Span
    symbol: str | None = None
    """The value as a Python expression, if it depends on parameters of the enclosing block."""


def match_op(
    op: type[Op], arguments: Sequence[t.Argument], span: Span, arriving: int | None = None
) -> dict[str, t.Argument]:
    """Return the arguments of an op, keyed by the names of its fields.

    Only the op's sizes can be given by position. `arriving` is the number of channels or features of the
    input. As PyTorch takes it as the first argument, users may write it; the fault's help then says to leave
    it out.
    """
    names, positional = list(op.model_fields), op.by_position()
    surplus = [a for a in arguments if a.name is None][len(positional) :]
    if not surplus or not names:
        return match(op.keyword, names, arguments, span)
    listed = " and ".join((", ".join(positional[:-1]), positional[-1]) if positional[1:] else positional)
    takes = f"only {listed} by position" if positional else "no arguments by position"
    message = f"`{op.keyword}` takes {takes}"
    optional = [name for name in names if name not in positional]
    help = "the sizes of the input are inferred"
    if (op.kind == "pool" or op.keyword in ("upsample", "zeropad")) and all(
        a.name is None for a in arguments
    ):
        raise Fault("too-many-arguments", message, surplus[0].span, by_name(op, positional, arguments))
    if op.kind != "pool" and arguments[0].value.span.text == str(arriving):
        help += f": leave out the {arriving}"
    elif optional:
        help += f", and other arguments are written by name, as in `{op.keyword}({optional[0]}=...)`"
    raise Fault("too-many-arguments", message, surplus[0].span, help)


def by_name(op: type[Op], positional: Sequence[str], arguments: Sequence[t.Argument]) -> str:
    """Return a help line for a call with PyTorch's arguments: name them, or write them as one size."""
    texts = [a.value.span.text for a in arguments]
    rest = [name for name in op.model_fields if name not in positional]
    if not rest or op.keyword == "upsample":
        return f"write one number, or height x width as in `{op.keyword}({'x'.join(texts[:2])})`"
    named = [f"{n}={text}" for n, text in zip(rest, texts[len(positional) :], strict=False)]
    return f"the others are written by name: `{op.keyword}({', '.join([*texts[: len(positional)], *named])})`"


def match(
    what: str, names: Sequence[str], arguments: Sequence[t.Argument], span: Span
) -> dict[str, t.Argument]:
    """Return the arguments keyed by parameter name, matched by position or name as in Python."""
    matched: dict[str, t.Argument] = {}
    faults: list[Fault] = []
    named = False
    for place, argument in enumerate(arguments):
        if len(faults) >= MOST_FAULTS:
            break
        name = argument.name
        named = named or name is not None
        if name is None and named:
            faults.append(
                Fault("bad-argument", "arguments by position must come before those by name", argument.span)
            )
        elif name is None and place >= len(names):
            takes = f"takes {len(names)} arguments: {', '.join(names)}" if names else "takes no arguments"
            faults.append(Fault("too-many-arguments", f"`{what}` {takes}", argument.span))
        elif name is not None and name not in names:
            help = suggest(name, names) or (f"it takes {', '.join(names)}" if names else "it takes none")
            faults.append(
                Fault("unknown-argument", f"`{what}` has no argument `{name}`", argument.span, help)
            )
        elif (key := name or names[place]) in matched:
            faults.append(Fault("duplicate-argument", f"`{key}` of `{what}` is given twice", argument.span))
        else:
            matched[key] = argument
    if faults:
        raise Faults(faults)
    return matched


def values(matched: Mapping[str, t.Argument], names: Names, words: Iterable[str] = ()) -> dict[str, Given]:
    """Return the values of matched arguments; those in `words` can be bare names such as `zeros`."""
    given, faults, unknown = {}, [], False
    for key, argument in matched.items():
        try:
            value = evaluate(argument.value, names, words=key in words)
            given[key] = Given(value, argument.value.span, symbolic(argument.value, names))
        except Fault as fault:
            faults.append(fault)
        except Unknown:
            unknown = True
    if faults:
        raise Faults(faults)
    if unknown:
        raise Unknown
    return given


@cache
def word_fields(op: type[Op]) -> frozenset[str]:
    """Return the fields of an op whose values can be names or calls: modes, and initializers."""
    fields = op.model_fields.items()
    words = {n for n, f in fields if n.endswith("init") or get_origin(f.annotation) is Literal}
    return frozenset(words | ({"padding"} & op.model_fields.keys()))  # padding=same gets its own message


def build(op: type[Op], given: Mapping[str, Given], span: Span) -> Op:
    """Build an op with these arguments.

    Raises:
        Fault: a required argument is missing.
        Faults: values are invalid.
    """
    missing = [n for n, f in op.model_fields.items() if f.is_required() and n not in given]
    if missing:
        needs = " and ".join(f"`{n}`" for n in missing)
        positional = ", ".join(n for n, f in op.model_fields.items() if f.is_required())
        message = f"`{op.keyword}` needs {needs}"
        raise Fault("missing-argument", message, span, f"as in `{op.keyword}({positional})`")
    plain: dict[str, Any] = {}
    for name, g in given.items():
        literal = get_origin(op.model_fields[name].annotation) is Literal
        plain[name] = str(g.value) if literal and isinstance(g.value, Call) else g.value
    try:
        return op(**plain)
    except ValidationError as error:
        raise Faults(translate(op, given, dict(e), span) for e in error.errors()) from None


BOUNDS = {"ge": "at least", "gt": "greater than", "le": "at most", "lt": "less than"}


def translate(op: type[Op], given: Mapping[str, Given], error: dict[str, Any], span: Span) -> Fault:
    """Convert one of pydantic's errors to a fault at the argument that caused it."""
    field = str(error["loc"][0])
    place = given[field].span if field in given else span
    value = given[field].value if field in given else None
    context, kind, help = error.get("ctx", {}), error["type"], None
    code = "argument-range"
    if bound := next((k for k in BOUNDS if k in context), None):
        requirement = f" must be {BOUNDS[bound]} {context[bound]:g}, not {value}"
        if bound == "le" and context[bound] == 1 and isinstance(value, int) and value <= 100:
            help = f"{value} % is {value / 100:g}"
    elif kind == "value_error":
        code = "wrong-type" if isinstance(context["error"], WrongType) else code
        text = str(context["error"])
        requirement = f" {text}" if text.startswith("must") else f": {text}"
    elif kind == "literal_error":
        requirement = f" must be {context['expected'].replace(chr(39), '')}, not {value}"
    else:
        code = "wrong-type"
        types = {"bool": "true or false", "int": "a whole number", "list": "a list", "string": "a string"}
        wanted = types.get(kind.partition("_")[0], "a number")
        requirement = f" must be {wanted}, not {described(value)}"
        if wanted == "a whole number" and isinstance(value, float):
            help = "`/` always gives a fraction; use `//` to divide whole numbers"
        if wanted == "a list" and isinstance(value, int | float):
            number = spell(value)
            help = f"a list is written in brackets, as in `{op.keyword}({field}=[{number}, {number}])`"
    return Fault(code, f"`{field}` of `{op.keyword or op.kind}`{requirement}", place, help)


def unknown_op(name: str, blocks: Iterable[str], span: Span, arriving: int | None = None) -> Fault:
    """Return the fault for a name that is neither an op nor a block. `arriving` is as in `match_op`."""
    help = advice(name, arriving) or suggest(name, [*OPS, *blocks, "share"])
    return Fault("unknown-op", f"there is no layer type or block named `{name}`", span, help)


def duplicates(parameters: Iterable[t.Parameter]) -> Iterator[Diagnostic]:
    """Yield a diagnostic for each parameter that has the same name as an earlier one."""
    first: dict[str, t.Parameter] = {}
    for parameter in parameters:
        if parameter.name in first:
            message = f"there are two parameters named `{parameter.name}`"
            labels = (Label(first[parameter.name].span, "first named here"),)
            yield Diagnostic("duplicate-argument", message, parameter.span, labels=labels)
        first.setdefault(parameter.name, parameter)


def fitting(given: object, default: object, parameter: t.Parameter) -> object:
    """Return the value given for a network parameter, after checking its type against the default.

    Raises:
        Fault: the types differ.
    """
    number = isinstance(given, int | float) and not isinstance(given, bool)
    if isinstance(default, str) and number:
        return str(given)
    yes_or_no = isinstance(default, bool) and not isinstance(given, bool)
    amount = isinstance(default, int | float) and not isinstance(default, bool) and not number
    if yes_or_no or amount:
        kind = "true or false" if yes_or_no else "a number"
        message = f"`{parameter.name}` must be {kind}, not {spell(given)}"
        raise Fault("wrong-setting", message, parameter.span)
    return given
