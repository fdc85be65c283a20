"""The command that trains."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

from netspec.cli.common import assigned, command, examine, settings, shape


@command("train")
@click.argument("spec", required=False)
@click.option("--data", metavar="NAME", help="A data set or folder:PATH; the recipe's own by default.")
@click.option("--root", type=click.Path(path_type=Path), help="The folder where the data set lies.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="The folder for weights and logs; runs/NAME by default."
)
@click.option("--epochs", type=click.IntRange(1))
@click.option("--batch", type=click.IntRange(1))
@click.option("--lr", type=click.FloatRange(0, min_open=True), help="The learning rate before the schedule.")
@click.option("--seed", type=int)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, mps")
@click.option("--workers", type=click.IntRange(0), help="Processes that read image files.")
@click.option(
    "--val-share",
    type=click.FloatRange(0, 1, True, True),
    help="What a folder without val/ holds out; 0.2 by default.",
)
@click.option("--recipe", metavar="FILE", help="A file whose train section stands in for the spec's own.")
@click.option(
    "--weights",
    metavar="NAME|RUN",
    help="Start from a zoo network's published weights, a run's or a file's; other classes start anew.",
)
@click.option(
    "--resume",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="RUN",
    help="Go on with the run in a folder; no SPEC then.",
)
@click.option(
    "--save-every",
    type=click.FloatRange(0),
    default=10.0,
    show_default=True,
    metavar="MINUTES",
    help="Save within an epoch too; 0 saves at the end of epochs alone.",
)
@click.option("--shard", is_flag=True, help="Cut the weights over torchrun's processes (FSDP).")
@click.option("--tensorboard", is_flag=True, help="Write TensorBoard's event files too.")
@settings
@shape
def train_command(
    spec: str | None, recipe: str | None, resume: Path | None, settings: Sequence[str], **options: Any
) -> None:
    """Train a SPEC by its own recipe, or go on with a run by --resume.

    `--set train.KEY=VALUE` sets an entry of the recipe, such as train.batch=64 or train.optimizer.lr=0.1.
    With torchrun in front, several processes train together.
    """
    from netspec.training.session import resume_run, train_spec

    inputs = options.pop("inputs")
    refuse_mixture(spec, resume, {"--recipe": recipe, "--set": settings, "--input": inputs, **options})
    overrides = {name: options.pop(name) for name in OVERRIDES}
    for name in (n for n, value in overrides.items() if value is not None):
        if any(setting.startswith(ENTRIES[name] + "=") for setting in settings):
            raise click.UsageError(f"--{name} and --set {ENTRIES[name]} say the same: leave one of them out")
    if resume is not None:
        options = {k: v for k, v in options.items() if k not in ("out", "weights")}
        sys.exit(resume_run(resume, **options))
    check = partial(examine, str(spec), settings, inputs, recipe)
    sys.exit(train_spec(check, str(spec), assigned(settings), overrides, **options))


OVERRIDES = ("data", "epochs", "batch", "lr", "seed", "val_share")
"""The options that stand for entries of the recipe."""
ENTRIES = {name: f"train.{name}" for name in OVERRIDES} | {"lr": "train.optimizer.lr"}
"""What `--set` calls them."""
SETTLED = (*OVERRIDES, "out", "weights")
"""The options that a run which goes on has had."""


def refuse_mixture(spec: str | None, resume: Path | None, given: Mapping[str, object]) -> None:
    """Refuse neither SPEC nor --resume, and with --resume what the run has settled already."""
    if (spec is None) == (resume is None):
        raise click.UsageError("name a SPEC to train, or with --resume a run to go on with")
    context = click.get_current_context()
    settled = [f"--{n.replace('_', '-').lstrip('-')}" for n in ("--recipe", "--set", "--input") if given[n]]
    told = click.core.ParameterSource.COMMANDLINE
    settled += [f"--{n.replace('_', '-')}" for n in SETTLED if context.get_parameter_source(n) == told]
    if resume is not None and settled:
        raise click.UsageError(f"{settled[0]} was settled when the run began: leave it out with --resume")
