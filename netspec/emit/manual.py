"""The reference of layer types in Markdown (docs/ops.md), generated from the classes of the ops."""

from __future__ import annotations

from inspect import getdoc, getmodule
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from netspec.language.values import spell
from netspec.ops import OPS, Op


def manual() -> str:
    """Every op under its family: its arguments with their defaults, and what it does."""
    families: dict[str, list[type[Op]]] = {}
    for op in OPS.values():
        if op.keyword != "input":
            families.setdefault(family(op), []).append(op)
    parts = ["# Layer types", "", "Written by `make ops` from the classes in `netspec/ops/`.", ""]
    for name, ops in families.items():
        parts += [f"## {name}", ""]
        for op in ops:
            parts += [f"### `{signature(op)}`", "", getdoc(op) or "", ""]
    return "\n".join(parts)


def family(op: type[Op]) -> str:
    """Return the title of an op's family: the first line of its module's docstring."""
    module = getmodule(op)
    return (module.__doc__ or "").partition("\n")[0].rstrip(".") if module else ""


def signature(op: type[Op]) -> str:
    """An op as a spec calls it, optional arguments with their defaults."""
    arguments = ", ".join(argument(name, field) for name, field in op.model_fields.items())
    return f"{op.keyword}({arguments})"


def argument(name: str, field: FieldInfo) -> str:
    if field.is_required():
        return name
    default: Any = field.default
    if default is None:
        return f"{name}=kernel" if name == "stride" else f"{name}=PyTorch's"
    same = isinstance(default, tuple) and len(set(default)) == 1
    words = get_origin(field.annotation) is Literal
    shown = "|".join(get_args(field.annotation)) if words else spell(default[0] if same else default)
    return f"{name}={shown}"
