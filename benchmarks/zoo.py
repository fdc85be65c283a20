"""The whole zoo: the time to check it in one process, and its lines of code compared with torchvision's.

    python benchmarks/zoo.py

Targets: under 10 s, no torch imported; fewer than a third of the lines of torchvision's model files.
"""

from __future__ import annotations

import ast
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import netspec
from netspec import zoo
from netspec.library import builtin_folder

FILES = """
    alexnet convnext densenet efficientnet googlenet inception maxvit mnasnet mobilenetv2 mobilenetv3 regnet
    resnet shufflenetv2 squeezenet swin_transformer vgg vision_transformer
""".split()  # noqa: SIM905


def spec_lines() -> int:
    """Count the lines of the specs of torchvision's classifiers, without comments and blank lines."""
    cards = [zoo.card(name) for name in zoo.names()]
    files = [builtin_folder() / f"{stem}.net" for stem in sorted({c.spec for c in cards if c.torchvision})]
    files += sorted((builtin_folder() / "blocks").glob("*.net"))
    lines = [line.strip() for f in files for line in f.read_text("utf-8").splitlines()]
    return sum(bool(line) and not line.startswith("#") for line in lines)


def python_lines(path: Path) -> int:
    """Count the lines of a Python file, without docstrings, comments and blank lines."""
    text = path.read_text("utf-8")
    left_out: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            left_out |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    lines = enumerate(text.splitlines(), 1)
    return sum(
        k not in left_out and bool(line.strip()) and not line.strip().startswith("#") for k, line in lines
    )


def main() -> None:
    """Print time and lines."""
    started = time.perf_counter()
    reports = [netspec.check(name) for name in zoo.names()]
    took = time.perf_counter() - started
    faults = sum(bool(r.diagnostics) for r in reports)
    print(f"{len(reports)} networks checked in {took:.1f} s (target 10), {faults} with errors or warnings")
    print(f"torch imported: {'torch' in sys.modules}")
    found = find_spec("torchvision")
    assert found
    assert found.origin
    models = Path(found.origin).parent / "models"
    ours, theirs = spec_lines(), sum(python_lines(models / f"{name}.py") for name in FILES)
    print(f"{ours:,} lines of spec, {theirs:,} of torchvision's: {ours / theirs:.2f} (target 0.33)")


if __name__ == "__main__":
    main()
