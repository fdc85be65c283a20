"""The command `netspec sweep`."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from netspec.cli import completion
from netspec.cli.common import command, examine
from netspec.cli.formats import SWEEP_FORMATS
from netspec.cli.results import format_option
from netspec.cli.train import train_command

if TYPE_CHECKING:
    from netspec.checker import Report
    from netspec.sweep import Point


CURVES = "curves.svg"
"""The name of the file in a sweep's folder that shows the learning curves."""


@command("sweep", context_settings={"ignore_unknown_options": True})
@click.argument("spec", shell_complete=completion.specs)
@click.argument("options", nargs=-1, type=click.UNPROCESSED, metavar="[OPTIONS OF TRAIN]...")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE,VALUE...",
    help="A setting and the values to try; every combination of settings is trained.",
)
@click.option(
    "--seeds",
    type=click.IntRange(1),
    help="The number of seeds; each combination is trained with each of them.",
)
@click.option("--seed", type=click.IntRange(0), help="The first seed; without --seeds, the only one.")
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
    """Train a spec with every combination of settings and compare the results.

    Options of `netspec train`, such as --data and --epochs, follow the spec. The same command continues an
    interrupted sweep.
    """
    given = options_of_train(spec, options)
    from netspec.sweep import SweepInterrupted, grid, run_sweep

    first = seed or 0
    points = grid(settings, [seed] if seeds is None else list(range(first, first + seeds)))
    check = partial(check_point, spec, tuple(given["inputs"]))
    refuse_common_faults([check(point) for point in points], given)
    folder = out or Path("runs") / f"{Path(spec).stem}-sweep"
    try:
        rows = run_sweep(spec, points, options, folder, check)
    except SweepInterrupted as interrupt:
        click.echo(str(interrupt), err=True)
        sys.exit(128 + interrupt.signal)
    click.echo(SWEEP_FORMATS[form](rows))
    if finished := [folder / result.point.folder for row in rows for result in row.results]:
        from netspec.evaluation.plots import draw_curves

        draw_curves(finished, folder / CURVES)
        click.echo(f"the curves of all runs are in {folder / CURVES}", err=True)
    sys.exit(1 if any(row.failed for row in rows) else 0)


def check_point(spec: str, inputs: Sequence[str], point: Point) -> Report:
    """Return the report of the spec with the settings of one combination."""
    return examine(spec, point.settings, inputs)


def refuse_common_faults(reports: Sequence[Report], options: Mapping[str, Any]) -> None:
    """Show the errors and exit if a setting is invalid or no combination can be trained.

    Raises:
        DataError: the data set does not exist, or its folder cannot be read.
    """
    faulty = [report for report in reports if not report.ok]
    wrong = [report for report in faulty if report.status == 2]
    if wrong or len(faulty) == len(reports):
        from netspec.cli.reports import show_diagnostics

        first = (wrong or faulty)[0]
        show_diagnostics(first)
        sys.exit(first.status)
    if options["data"] and options["root"] is None:
        from netspec.datasets.info import dataset_info
        from netspec.datasets.registry import find_row

        if find_row(options["data"])[0].counter:
            dataset_info(options["data"])


def options_of_train(spec: str, options: Sequence[str]) -> Mapping[str, Any]:
    """Return the parsed options of `netspec train`, so that errors appear before the first run."""
    if spec.startswith("-"):
        raise click.UsageError("the spec must come before the options of train")
    try:
        context = train_command.make_context("train", [spec, *options])
    except click.UsageError as error:
        raise click.UsageError(f"{error.format_message()} (options after the spec are for train)") from None
    params: Mapping[str, Any] = context.params
    return params
