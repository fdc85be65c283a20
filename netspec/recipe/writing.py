"""Writes a recipe as a `train` section that parses to an equal recipe."""

from __future__ import annotations

from netspec.language.values import Call
from netspec.recipe.objective import Start
from netspec.recipe.parts import Part


def write(recipe: Part, citation: str | None = None) -> str:
    """Return a recipe as a `train` section with every entry, including defaults.

    Raises:
        ValueError: a string contains a quote or a newline, which strings in specs cannot contain.
    """
    entries = ((name, getattr(recipe, name)) for name in type(recipe).model_fields if name != "kind")
    lines = [f"  {name}: {text(value)}" for name, value in entries if value is not None]
    head = "train {" if citation is None else f"train {quoted(citation)} {{"
    return "\n".join([head, *lines, "}"]) + "\n"


def text(value: object) -> str:
    """Return a value as written in a spec, with numbers in full precision."""
    match value:
        case Part():
            return part(value)
        case bool():
            return str(value).lower()
        case list() | tuple():
            return "[" + ", ".join(map(text, value)) + "]"
        case str() if value.isidentifier():
            return value
        case str():
            return quoted(value)
    return str(value)


def quoted(value: str) -> str:
    """Return a string in quotes; raises ValueError if it contains quotes or newlines."""
    if '"' in value or "\n" in value:
        raise ValueError(f"a string in a spec cannot contain quotes or newlines: {value!r}")
    return f'"{value}"'


def part(value: Part) -> str:
    """Return a named choice as a call, such as `sgd(lr=0.01, momentum=0.9)`."""
    call = as_call(value)
    spelled = [f"{n}={v if isinstance(v, Raw) else text(v)}" for n, v in call.kwargs.items()]
    return f"{call.name}({', '.join(spelled)})" if spelled else call.name


class Raw(str):
    """Text that is already in the language of specs."""


def as_call(value: Part) -> Call:
    """Return the call that creates a named choice."""
    given = {n: getattr(value, n) for n in type(value).model_fields if n != "kind"}
    given = {n: v for n, v in given.items() if v is not None}
    if isinstance(value, Start):
        given = {n: v if n == "layers" else Raw(v) for n, v in given.items()}
        given["layers"] = Raw(f'"{value.layers}"')
    return Call(type(value).model_fields["kind"].default, (), given)
