"""Options and helpers shared by the commands."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import click

from netspec.cli import completion
from netspec.cli.messages import Command

if TYPE_CHECKING:
    from netspec.checker import Report
    from netspec.shape import Shape

HELP = {"help_option_names": ["-h", "--help"]}
command = partial(click.command, cls=Command)
"""Like `click.command`, for commands that show errors as single sentences."""
settings = click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", help="Set a parameter of the network."
)
shape = click.option(
    "--input",
    "inputs",
    multiple=True,
    metavar="[NAME=]CxHxW",
    help="Replace the declared shape of the input, or of the input NAME.",
)
spec = click.argument("spec", shell_complete=completion.specs)


def examine(
    spec: str, settings: Sequence[str], inputs: Sequence[str], recipe: str | None = None, **more: object
) -> Report:
    """Check a spec with its own recipe or another one and return the report.

    If a file cannot be read, the report contains the error.
    """
    from netspec.checker import Report, check_file
    from netspec.diagnostics import SpecError
    from netspec.library import locate, locate_recipe

    try:
        found, recipe_path = locate(spec), locate_recipe(recipe) if recipe else None
        arguments = {**found.arguments, **more, **assigned(settings)}
        report = check_file(found.path, arguments, sized(inputs), recipe=recipe_path)
        return replace(report, title=spec)
    except SpecError as error:
        return Report(error.diagnostics[0].span.source, None, error.diagnostics)


def examined(spec: str, settings: Sequence[str], inputs: Sequence[str]) -> Report:
    """Check a spec and show its diagnostics. If it has errors, exit; otherwise return the report."""
    from netspec.cli.reports import show_diagnostics

    report = examine(spec, settings, inputs)
    show_diagnostics(report)
    if not report.ok:
        sys.exit(report.status)
    return report


def assigned(settings: Sequence[str]) -> dict[str, object]:
    """Return the values of `name=value` pairs, keyed by name."""
    from netspec.errors import SettingError
    from netspec.language.settings import read_setting

    try:
        return dict(read_setting(s) for s in settings)
    except SettingError as error:
        raise click.UsageError(str(error)) from None


def sized(shapes: Sequence[str]) -> dict[str, Shape]:
    """Return the shapes in texts such as `3x256x256` or `image=3x256x256`, keyed by the input's name."""
    from netspec.errors import SettingError
    from netspec.language.settings import read_shape

    try:
        return dict(read_shape(s) for s in shapes)
    except SettingError as error:
        raise click.UsageError(str(error)) from None


def counted(text: str | None) -> float | None:
    """Return the number in a count such as `30M`, or None if no count was given."""
    from netspec.errors import SettingError
    from netspec.language.settings import read_count

    try:
        return None if text is None else read_count(text)
    except SettingError as error:
        raise click.UsageError(str(error)) from None
