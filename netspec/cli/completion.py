"""Completes the names of specs, data sets and recipes in a shell."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


def specs(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete a spec: files, zoo networks, and built-in specs."""
    from netspec import zoo
    from netspec.library import builtin_names

    return _named({*zoo.names(), *builtin_names()}, incomplete)


def data(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the name of a data set, including the colon if a path must follow."""
    from click.shell_completion import CompletionItem

    from netspec.datasets.registry import DATASETS

    rows = ((name, row) for name, row in sorted(DATASETS.items()) if name.startswith(incomplete))
    return [CompletionItem(name + ":" * row.form.startswith(":")) for name, row in rows]


def recipes(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete a recipe: files and built-in recipes."""
    from netspec.library import recipe_names

    return _named(recipe_names(), incomplete)


def cards(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete a zoo network."""
    from netspec import zoo

    return _named(zoo.names(), incomplete)[:-1]


def ops(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete a layer type or the name of a block."""
    from netspec.emit.manual.blocks import builtin_blocks
    from netspec.ops import OPS

    return _named([*OPS, *builtin_blocks()], incomplete)[:-1]


def codes(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete a diagnostic code."""
    from netspec.codes import CODES

    return _named(CODES, incomplete)[:-1]


def _named(names: Iterable[str], incomplete: str) -> list[CompletionItem]:
    """Return the names that begin with the typed text, and an item that makes the shell add files."""
    from click.shell_completion import CompletionItem

    found = [CompletionItem(name) for name in sorted(names) if name.lower().startswith(incomplete.lower())]
    return [*found, CompletionItem(incomplete, type="file")]
