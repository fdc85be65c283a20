"""Layer types as Markdown, read from their classes: docs/ops.md."""

from __future__ import annotations

import ast
from functools import cache
from inspect import getdoc, getmodule, getsource
from textwrap import dedent
from typing import Any, Literal, get_args, get_origin

from netspec.language.values import spell
from netspec.ops import OPS, Op
from netspec.ops.base import COMMON_ARGUMENTS

HEAD = """# Layer types

Written by `make docs` from the classes in `netspec/ops/`. A shape is written without the batch: `3x224x224`
is an image (channels x height x width), `197x768` a sequence (tokens x features), `4096` a feature vector. An
argument with a default can be left out.
"""


def ops_manual() -> str:
    """Every op under its family: what it does, its arguments, and an example."""
    families: dict[str, list[type[Op]]] = {}
    for op in OPS.values():
        families.setdefault(family(op), []).append(op)
    parts = [HEAD]
    for name, ops in families.items():
        parts += [f"## {name}", ""]
        for op in ops:
            parts += [section(op), ""]
    return "\n".join(parts)


def section(op: type[Op]) -> str:
    """One op."""
    lines = [f"### `{signature(op)}`", "", getdoc(op) or "", ""]
    for name in op.model_fields:
        lines.append(f"- `{name}`: {argument_text(op, name)}")
    lines += [""] if op.model_fields else []
    return "\n".join([*lines, "```", example(op).rstrip(), "```"])


def example(op: type[Op]) -> str:
    """The statements of an op's example, the input first."""
    shape, *statements = op.example.split("; ")
    return "\n".join([f"input x: {shape}", *statements]) + "\n"


def family(op: type[Op]) -> str:
    """The title of an op's family: the first line of its module's docstring."""
    module = getmodule(op)
    return (module.__doc__ or "").partition("\n")[0].rstrip(".") if module else ""


def signature(op: type[Op]) -> str:
    """An op as a spec writes it, with the defaults of its arguments."""
    return f"{op.keyword}({', '.join(argument(op, name) for name in op.model_fields)})"


def argument(op: type[Op], name: str) -> str:
    """An argument with its default."""
    field = op.model_fields[name]
    if field.is_required():
        return name
    default: Any = field.default
    if default is None:
        return f"{name}=kernel" if name == "stride" else f"{name}=PyTorch's"
    same = isinstance(default, tuple) and len(set(default)) == 1
    words = get_origin(field.annotation) is Literal
    shown = "|".join(get_args(field.annotation)) if words else spell(default[0] if same else default)
    return f"{name}={shown}"


def argument_text(op: type[Op], name: str) -> str:
    """What an argument means: the string below its field in the class, or what all ops mean by its name."""
    for cls in op.__mro__:
        if issubclass(cls, Op) and name in (texts := field_texts(cls)):
            return texts[name]
    return COMMON_ARGUMENTS[name]


@cache
def field_texts(cls: type[Op]) -> dict[str, str]:
    """The strings below the fields of a class, by the fields' names.

    They are read here and not by pydantic's `use_attribute_docstrings`, which would parse the sources at
    every start.
    """
    (tree,) = ast.parse(dedent(getsource(cls))).body
    assert isinstance(tree, ast.ClassDef)
    texts: dict[str, str] = {}
    for before, node in zip(tree.body, tree.body[1:], strict=False):
        text = node.value if isinstance(node, ast.Expr) else None
        if isinstance(before, ast.AnnAssign) and isinstance(text, ast.Constant):
            texts[ast.unparse(before.target)] = " ".join(str(text.value).split())
    return texts
