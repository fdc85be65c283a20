"""Syntax tree to Net: statements are expanded, shapes and counts inferred, every diagnostic collected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from netspec.checker.analyzer import Analyzer
from netspec.checker.context import deep_recursion
from netspec.checker.files import Root
from netspec.checker.report import Inputs, Report
from netspec.diagnostics import Diagnostic, Source
from netspec.frontends import frontend_for
from netspec.language.ast import File
from netspec.library import read

__all__ = ["Inputs", "Report", "Root", "check_file", "check_source", "check_tree"]


def check_file(
    path: Path,
    arguments: Mapping[str, object] | None = None,
    inputs: Inputs | None = None,
    shown: str | None = None,
    recipe: Path | None = None,
) -> Report:
    """Check a spec file.

    `arguments` set parameters of the network, or by names such as `train.batch` entries of its recipe.
    `inputs` replace declared shapes. `recipe` is a file whose `train` section replaces that of the spec.
    `shown` is the path in messages, by default `path`.

    Raises:
        SpecError: a file cannot be read.
    """
    recipe_source = read(recipe) if recipe else None
    return check_source(read(path, shown), path.parent, arguments, inputs, recipe_source)


def check_source(
    source: Source,
    root: Root,
    arguments: Mapping[str, object] | None = None,
    inputs: Inputs | None = None,
    recipe: Source | None = None,
) -> Report:
    """Check the text of a spec, which the frontend for its path parses.

    `root` is the folder that used files lie in, or a mapping of their paths to their texts.
    """
    with deep_recursion():
        tree, syntax = frontend_for(source.path)(source)
        return check_tree(tree, root, arguments, inputs, recipe, syntax=syntax)


def check_tree(
    tree: File,
    root: Root,
    arguments: Mapping[str, object] | None = None,
    inputs: Inputs | None = None,
    recipe: Source | None = None,
    *,
    syntax: Sequence[Diagnostic] = (),
) -> Report:
    """Check a syntax tree, whichever frontend made it; `syntax` is what that frontend reported."""
    with deep_recursion():
        return Analyzer(tree, syntax, root, arguments or {}, inputs or {}, recipe).run()
