"""Classes and functions from netspec.ops.nn that are copied into the generated source."""

from __future__ import annotations

import ast
from functools import cache
from importlib.resources import files


@cache
def definitions() -> dict[str, str]:
    """Return the source of each class and function in netspec.ops.nn by name, in the order of the files."""
    found: dict[str, str] = {}
    paths = [f for f in files("netspec.ops.nn").iterdir() if f.name.endswith(".py")]
    for path in sorted(paths, key=lambda p: p.name):
        text = path.read_text("utf-8")
        for node in ast.parse(text).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef):
                decorators = [str(ast.get_source_segment(text, each)) for each in node.decorator_list]
                lines = [*(f"@{each}" for each in decorators), str(ast.get_source_segment(text, node))]
                found[node.name] = "\n".join(lines)
    return found


def needed(text: str) -> list[str]:
    """Return the definitions that a source uses, directly or indirectly, in the order of `definitions`."""
    used: set[str] = set()
    waiting = [text]
    while waiting:
        words = {n.id for n in ast.walk(ast.parse(waiting.pop())) if isinstance(n, ast.Name)}
        new = words & definitions().keys() - used
        used |= new
        waiting += [definitions()[name] for name in new]
    return [source for name, source in definitions().items() if name in used]
