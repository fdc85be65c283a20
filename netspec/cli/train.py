"""The command `netspec train`."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from netspec.cli import completion
from netspec.cli.common import command, examine, settings, shape

RECIPE_OPTIONS = ("data", "epochs", "batch", "lr", "seed", "val_share")
"""The options that each replace one entry of the recipe."""
RECIPE_ENTRIES = {name: f"train.{name}" for name in RECIPE_OPTIONS} | {"lr": "train.optimizer.lr"}
"""The recipe entry that each of these options replaces, as written after `--set`."""
FIXED_OPTIONS = (*(name for name in RECIPE_OPTIONS if name != "epochs"), "out", "weights", "skip_bad")
"""The options that cannot change when a run is resumed."""


@command("train")
@click.argument("spec", required=False, shell_complete=completion.specs)
@click.option(
    "--data",
    metavar="NAME",
    shell_complete=completion.data,
    help="The data set, or folder:PATH; by default the recipe's.",
)
@click.option("--root", type=click.Path(path_type=Path), help="The folder of the data set.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="The folder of the run; by default a new folder in runs."
)
@click.option("--epochs", type=click.IntRange(1), help="The number of passes over the training images.")
@click.option("--batch", type=click.IntRange(1), help="The number of images per step, over all devices.")
@click.option(
    "--lr", type=click.FloatRange(0, min_open=True), help="The base learning rate, which the schedule scales."
)
@click.option("--seed", type=int, help="The seed of all random numbers.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1 or mps.")
@click.option("--workers", type=click.IntRange(0), help="The number of processes that read image files.")
@click.option(
    "--val-share",
    type=click.FloatRange(0, 1, True, True),
    help="The fraction of a folder without val/ that is held out for validation; by default 0.2.",
)
@click.option(
    "--recipe",
    metavar="FILE",
    shell_complete=completion.recipes,
    help="A file whose train section replaces that of the spec.",
)
@click.option(
    "--weights",
    metavar="NAME|RUN",
    help="The initial weights: a published name, the folder of a run, or a file.",
)
@click.option(
    "--resume",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="RUN",
    help="Resume the run in this folder, or train it for more --epochs; replaces SPEC.",
)
@click.option(
    "--save-every",
    type=click.FloatRange(0),
    default=10.0,
    show_default=True,
    metavar="MINUTES",
    help="The time between checkpoints within an epoch; 0 writes them only at the end of each epoch.",
)
@click.option("--skip-bad", is_flag=True, help="Leave out images that cannot be read, and list them.")
@click.option("--shard", is_flag=True, help="Split the weights over torchrun's processes (FSDP).")
@click.option("--tensorboard", is_flag=True, help="Also write TensorBoard event files.")
@settings
@shape
def train_command(
    spec: str | None,
    recipe: str | None,
    resume: Path | None,
    settings: Sequence[str],
    inputs: Sequence[str],
    **options: Any,
) -> None:
    """Train the network in SPEC according to its recipe, or resume a run with --resume.

    `--set train.KEY=VALUE` sets an entry of the recipe, such as train.batch=64 or train.optimizer.lr=0.1.
    When started by torchrun, all processes train together.
    """
    check_options(spec, resume, {"--recipe": recipe, "--set": settings, "--input": inputs, **options})
    for name in (n for n in RECIPE_OPTIONS if options[n] is not None):
        if any(setting.startswith(RECIPE_ENTRIES[name] + "=") for setting in settings):
            raise click.UsageError(
                f"--{name} and --set {RECIPE_ENTRIES[name]} set the same entry: give only one"
            )
    from netspec import training
    from netspec.training.console import console_callback

    if resume is not None:
        kept = {name: value for name, value in options.items() if name not in FIXED_OPTIONS}
        run = training.resume(resume, callbacks=[console_callback()], **kept)
    else:
        report = examine(str(spec), settings, inputs, recipe)
        if os.environ.get("RANK", "0") == "0":
            from netspec.cli.reports import show_diagnostics

            show_diagnostics(report)
        if not report.ok:
            sys.exit(report.status)
        run = training.train(report, name=str(spec), callbacks=[console_callback()], **options)
    sys.exit(128 + run.interrupted if run.interrupted else 0)


def check_options(spec: str | None, resume: Path | None, given: Mapping[str, object]) -> None:
    """Raise a UsageError if SPEC and --resume are both given or both missing, or for fixed options."""
    if (spec is None) == (resume is None):
        raise click.UsageError("give either a SPEC to train, or the run to resume with --resume")
    context = click.get_current_context()
    fixed = [name for name in ("--recipe", "--set", "--input") if given[name]]
    explicit = click.core.ParameterSource.COMMANDLINE
    fixed += [
        f"--{n.replace('_', '-')}" for n in FIXED_OPTIONS if context.get_parameter_source(n) == explicit
    ]
    if resume is not None and fixed:
        raise click.UsageError(f"{fixed[0]} cannot change when a run is resumed: leave it out")
