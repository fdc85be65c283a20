"""The documentation of the layer types, docs/ops.md, generated from their classes."""

from __future__ import annotations

import ast
from functools import cache
from inspect import getdoc, getmodule, getsource
from textwrap import dedent, fill, indent
from typing import Any, Literal, get_args, get_origin

from netspec.language.values import spell
from netspec.ops import OPS, Op
from netspec.ops.base import COMMON_ARGUMENTS

HEAD = """# Layer types

Generated from the classes in `netspec/ops/` by `make docs`. Shapes are written without the batch: `3x224x224`
is an image (channels x height x width), `197x768` a sequence (tokens x features), `4096` a feature vector,
`3x16x112x112` a video (channels x depth x height x width), and `1x16000` before a convolution a signal.
Arguments with a default can be omitted.
"""


def ops_manual() -> str:
    """Return docs/ops.md: every op with its description, its arguments and an example, by family."""
    parts = [HEAD]
    for name, ops in families().items():
        parts += [f"## {name}", ""]
        for op in ops:
            parts += [section(op), ""]
    return "\n".join(parts)


def section(op: type[Op]) -> str:
    """Return the section of one op."""
    lines = [f"### `{signature(op)}`", "", getdoc(op) or "", ""]
    for name in op.model_fields:
        lines.append(f"- `{name}`: {argument_text(op, name)}")
    lines += [""] if op.model_fields else []
    return "\n".join([*lines, "```", example(op).rstrip(), "```"])


def explain_op(op: type[Op]) -> str:
    """Return the explanation of an op for a terminal: its arguments, its description and an example."""
    about = [fill(line, 90) for line in (getdoc(op) or "").split("\n\n")]
    fields = [
        fill(argument_text(op, name), 90, initial_indent=f"  {name}: ", subsequent_indent="    ")
        for name in op.model_fields
    ]
    parts = [signature(op), *about, "\n".join(fields), indent(example(op).rstrip(), "    ")]
    return "\n\n".join(part for part in parts if part)


def list_ops() -> str:
    """Return a list of the ops by family, for a terminal: positional arguments and first sentences."""
    parts = []
    for name, ops in families().items():
        width = max(len(short(op)) for op in ops)
        lines = [
            f"  {short(op).ljust(width)}  {(getdoc(op) or '').partition(chr(10))[0].rstrip('.')}".rstrip()
            for op in ops
        ]
        parts.append("\n".join([name, *(clip(line) for line in lines)]))
    return "\n\n".join(parts)


def summary(op: type[Op]) -> str:
    """Return the first sentence of an op's description."""
    return (getdoc(op) or "").partition("\n")[0].rstrip(".")


def short(op: type[Op]) -> str:
    """Return an op with its positional arguments, such as `conv(channels, kernel)`."""
    names = op.by_position()
    return f"{op.keyword}({', '.join(names)})" if names else op.keyword


def clip(line: str, most: int = 110) -> str:
    """Return a line, cut at a space if it has more than `most` characters."""
    return line if len(line) <= most else f"{line[: most - 3].rpartition(' ')[0]} ..."


def families() -> dict[str, list[type[Op]]]:
    """Return the ops of each family, by the family's title."""
    found: dict[str, list[type[Op]]] = {}
    for op in OPS.values():
        found.setdefault(family(op), []).append(op)
    return found


def example(op: type[Op]) -> str:
    """Return the example of an op as statements, starting with the input."""
    shape, *statements = op.example.split("; ")
    return "\n".join([f"input x: {shape}", *statements]) + "\n"


def family(op: type[Op]) -> str:
    """Return the title of an op's family: the first line of its module's docstring."""
    module = getmodule(op)
    return (module.__doc__ or "").partition("\n")[0].rstrip(".") if module else ""


def signature(op: type[Op]) -> str:
    """Return an op as it is written in a spec, with the defaults of its arguments."""
    return f"{op.keyword}({', '.join(argument(op, name) for name in op.model_fields)})"


def argument(op: type[Op], name: str) -> str:
    """Return an argument with its default."""
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
    """Return the description of an argument: from the op's class, or from the arguments that ops share."""
    for cls in op.__mro__:
        if issubclass(cls, Op) and name in (texts := field_texts(cls)):
            return texts[name]
    return COMMON_ARGUMENTS[name]


@cache
def field_texts(cls: type[Op]) -> dict[str, str]:
    """Return the docstrings of the fields of a class, by field name.

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
