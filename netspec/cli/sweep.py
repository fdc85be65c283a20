"""The command that trains a spec with many settings."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

from netspec.cli.common import command, examine
from netspec.cli.train import train_command


@command("sweep", context_settings={"ignore_unknown_options": True})
@click.argument("spec")
@click.argument("options", nargs=-1, type=click.UNPROCESSED, metavar="[OPTIONS OF TRAIN]...")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE,VALUE...",
    help="A setting and its values: every combination is trained.",
)
@click.option(
    "--seeds", type=click.IntRange(1), help="Train each combination so many times, with other seeds."
)
@click.option("--seed", type=click.IntRange(0), help="The first seed, or the only one.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="The folder for the runs; runs/NAME-sweep by default."
)
@click.option(
    "--format", "form", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True
)
def sweep_command(spec: str, options: Sequence[str], **more: Any) -> None:
    """Train a spec with every combination of settings, and compare; started again, it goes on.

    Options of `netspec train`, such as --data and --epochs, stand behind the spec.
    """
    from netspec.sweep.command import sweep

    inputs = inputs_of(spec, options)
    check = partial(examine, spec, inputs=inputs)
    sys.exit(sweep(spec, options, check=check, say=click.echo, warn=partial(click.echo, err=True), **more))


def inputs_of(spec: str, options: Sequence[str]) -> tuple[str, ...]:
    """Hold options against those of `netspec train`, before the first run, and find the input shapes."""
    if spec.startswith("-"):
        raise click.UsageError("the spec stands before the options of train")
    try:
        context = train_command.make_context("train", [spec, *options])
    except click.UsageError as error:
        raise click.UsageError(f"{error.format_message()} (options behind the spec go to train)") from None
    return tuple(context.params["inputs"])
