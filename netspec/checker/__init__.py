"""Checks a syntax tree and builds the `Net`: expands statements, infers shapes, collects diagnostics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from netspec.checker.analyzer import Analyzer
from netspec.checker.context import deep_recursion
from netspec.checker.files import Root
from netspec.checker.report import Inputs, Report
from netspec.checker.sizes import with_working_sizes
from netspec.diagnostics import Diagnostic, Source
from netspec.frontends import frontend_for, read_source
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

    `arguments` set parameters of the network. Names such as `train.batch` set entries of its recipe.
    `inputs` replace declared shapes. The `train` section in the file `recipe` replaces that of the spec.
    Messages show the path `shown`, by default `path`.

    Raises:
        SpecError: a file cannot be read.
    """
    recipe_source = read(recipe) if recipe else None
    return check_source(read_source(path, shown, inputs or {}), path.parent, arguments, inputs, recipe_source)


def check_source(
    source: Source,
    root: Root,
    arguments: Mapping[str, object] | None = None,
    inputs: Inputs | None = None,
    recipe: Source | None = None,
) -> Report:
    """Check the text of a spec. The extension of its path selects the frontend that parses it.

    `root` is the folder for files named by `use`, or a mapping from their paths to their texts.
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
    """Check a syntax tree from any frontend. `syntax` contains the diagnostics of that frontend."""
    with deep_recursion():
        analyzer_for = partial(Analyzer, tree, syntax, root, arguments or {}, recipe=recipe)
        analyzer = analyzer_for(inputs=inputs or {})
        report = analyzer.run()
        if report.ok:
            return report
        shapes, steps = analyzer.input_shapes, analyzer.steps
        return with_working_sizes(report, shapes, steps, lambda other: analyzer_for(inputs=other).run())
