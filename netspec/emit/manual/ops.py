"""The documentation of the layer types, docs/ops.md, generated from their classes."""

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

Generated from the classes in `netspec/ops/` by `make docs`. Shapes are written without the batch: `3x224x224`
is an image (channels x height x width), `197x768` a sequence (tokens x features), `4096` a feature vector.
Arguments with a default can be omitted.
"""


def ops_manual() -> str:
    """Return docs/ops.md: every op with its description, its arguments and an example, by family."""
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
    """Write the section of one op."""
    lines = [f"### `{signature(op)}`", "", getdoc(op) or "", ""]
    for name in op.model_fields:
        lines.append(f"- `{name}`: {argument_text(op, name)}")
    lines += [""] if op.model_fields else []
    return "\n".join([*lines, "```", example(op).rstrip(), "```"])


def example(op: type[Op]) -> str:
    """Return the example of an op as statements, starting with the input."""
    shape, *statements = op.example.split("; ")
    return "\n".join([f"input x: {shape}", *statements]) + "\n"


def family(op: type[Op]) -> str:
    """Return the title of an op's family: the first line of its module's docstring."""
    module = getmodule(op)
    return (module.__doc__ or "").partition("\n")[0].rstrip(".") if module else ""


def signature(op: type[Op]) -> str:
    """Write an op as in a spec, with the defaults of its arguments."""
    return f"{op.keyword}({', '.join(argument(op, name) for name in op.model_fields)})"


def argument(op: type[Op], name: str) -> str:
    """Write an argument with its default."""
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
    """Return the description of an argument: its own in the class, or the one shared by all ops."""
    for cls in op.__mro__:
        if issubclass(cls, Op) and name in (texts := field_texts(cls)):
            return texts[name]
    return COMMON_ARGUMENTS[name]


@cache
def field_texts(cls: type[Op]) -> dict[str, str]:
    """Return the documentation strings of the fields of a class, by field name.

    pydantic's `use_attribute_docstrings` is not used, since it would parse the sources at every start.
    """
    (tree,) = ast.parse(dedent(getsource(cls))).body
    assert isinstance(tree, ast.ClassDef)
    texts: dict[str, str] = {}
    for before, node in zip(tree.body, tree.body[1:], strict=False):
        text = node.value if isinstance(node, ast.Expr) else None
        if isinstance(before, ast.AnnAssign) and isinstance(text, ast.Constant):
            texts[ast.unparse(before.target)] = " ".join(str(text.value).split())
    return texts
