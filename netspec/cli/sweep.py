"""The command `netspec sweep`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from netspec.cli.common import command, examine
from netspec.cli.formats import SWEEP_FORMATS
from netspec.cli.results import format_option
from netspec.cli.train import train_command

if TYPE_CHECKING:
    from netspec.checker import Report
    from netspec.sweep import Point


@command("sweep", context_settings={"ignore_unknown_options": True})
@click.argument("spec")
@click.argument("options", nargs=-1, type=click.UNPROCESSED, metavar="[OPTIONS OF TRAIN]...")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE,VALUE...",
    help="A setting and its values; every combination of settings is trained.",
)
@click.option(
    "--seeds", type=click.IntRange(1), help="The number of seeds with which each combination is trained."
)
@click.option("--seed", type=click.IntRange(0), help="The first seed, or the only one.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="The folder of the runs; by default runs/NAME-sweep."
)
@format_option(SWEEP_FORMATS)
def sweep_command(
    spec: str,
    options: Sequence[str],
    settings: Sequence[str],
    seeds: int | None,
    seed: int | None,
    out: Path | None,
    form: str,
) -> None:
    """Train a spec with every combination of settings, and compare the results.

    Options of `netspec train`, such as --data and --epochs, follow the spec. The same command continues an
    interrupted sweep.
    """
    inputs = inputs_of(spec, options)
    from netspec.sweep import SweepInterrupted, grid, run_sweep

    first = seed or 0
    points = grid(settings, [seed] if seeds is None else list(range(first, first + seeds)))
    check = partial(check_point, spec, inputs)
    for point in points:
        refuse_wrong_settings(check(point))
    folder = out or Path("runs") / f"{Path(spec).stem}-sweep"
    try:
        rows = run_sweep(spec, points, options, folder, check)
    except SweepInterrupted as interrupt:
        click.echo(str(interrupt), err=True)
        sys.exit(128 + interrupt.signal)
    click.echo(SWEEP_FORMATS[form](rows))
    sys.exit(1 if any(row.failed for row in rows) else 0)


def check_point(spec: str, inputs: Sequence[str], point: Point) -> Report:
    """Check the spec with the settings of a combination; `netspec train` checks those of the recipe."""
    return examine(spec, [s for s in point.settings if not s.startswith("train.")], inputs)


def refuse_wrong_settings(report: Report) -> None:
    """End the command if a setting is unknown or invalid."""
    if report.status == 2:
        from netspec.cli.reports import show_diagnostics

        show_diagnostics(report)
        sys.exit(2)


def inputs_of(spec: str, options: Sequence[str]) -> tuple[str, ...]:
    """Check options against those of `netspec train` before the first run, and return the input shapes."""
    if spec.startswith("-"):
        raise click.UsageError("the spec must come before the options of train")
    try:
        context = train_command.make_context("train", [spec, *options])
    except click.UsageError as error:
        raise click.UsageError(f"{error.format_message()} (options after the spec go to train)") from None
    return tuple(context.params["inputs"])
