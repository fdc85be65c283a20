"""The PyTorch source that plug-ins provide for their layer types."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from netspec.graph import Net
from netspec.plugins import PluginError


@dataclass(frozen=True)
class ForeignSource:
    """The import lines and definitions that a network's plug-in ops need, and the names they define."""

    imports: frozenset[str]
    definitions: tuple[str, ...]
    names: frozenset[str]


def foreign_source(net: Net) -> ForeignSource:
    """Return the merged `torch_source` of all ops in a network; equal definitions are kept once.

    Raises:
        PluginError: a source is not valid Python, or two ops define the same name differently.
    """
    imports: set[str] = set()
    definitions: dict[str, str] = {}
    for op in dict.fromkeys(type(n.op) for n in net.nodes if n.op.torch_source):
        for node in statements(op.keyword, op.torch_source):
            if isinstance(node, ast.Import | ast.ImportFrom):
                imports.update(import_lines(node))
                continue
            text = segment(op.torch_source, node)
            for name in defined_names(node):
                if definitions.setdefault(name, text) != text:
                    message = f"`{op.keyword}` cannot be compiled: another op also defines `{name}`"
                    raise PluginError(message)
    unique_texts = tuple(dict.fromkeys(definitions.values()))
    return ForeignSource(frozenset(imports), unique_texts, frozenset(definitions))


def statements(keyword: str, source: str) -> list[ast.stmt]:
    """Return the statements in the torch source of an op; raises PluginError if it is not valid Python."""
    try:
        return ast.parse(source).body
    except SyntaxError as error:
        message = f"the `torch_source` of the op `{keyword}` is not valid Python: {error.msg}"
        raise PluginError(message) from None


def import_lines(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    """Yield one import statement for each imported name, so that equal imports can be merged."""
    for alias in node.names:
        single = ast.Import([alias])
        if isinstance(node, ast.ImportFrom):
            single = ast.ImportFrom(node.module, [alias], node.level)  # type: ignore[assignment]
        yield ast.unparse(single)


def segment(source: str, node: ast.stmt) -> str:
    """Return the source text of a statement, including its decorators."""
    first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
    return "\n".join(source.splitlines()[first - 1 : node.end_lineno])


def defined_names(node: ast.stmt) -> Iterator[str]:
    """Yield the names that a top-level statement defines."""
    if isinstance(node, ast.ClassDef | ast.FunctionDef):
        yield node.name
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        yield from (n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name))
