"""The command that trains."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from netspec.cli.common import Plainly, assigned, examine, settings, shape, spec


@click.command("train")
@spec
@click.option(
    "--data", metavar="NAME", help="mnist, digits, imagenet or folder:PATH; the recipe's own by default."
)
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
    default=0.2,
    show_default=True,
    help="What a folder without val/ holds out.",
)
@settings
@shape
def train_command(spec: str, settings: Sequence[str], inputs: Sequence[str], **options: Any) -> None:
    """Train a spec by its own recipe."""
    from netspec.run.command import TROUBLE, train_spec

    arguments = assigned(settings)
    with Plainly(*TROUBLE):
        sys.exit(
            train_spec(lambda **more: examine(spec, settings, inputs, **more), spec, arguments, **options)
        )
