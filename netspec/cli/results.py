"""Commands on trained networks: eval, predict, plot."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

from netspec.cli.common import command

ema = click.option("--ema", is_flag=True, help="Use the averaged weights that the checkpoint keeps.")
published = click.option("--weights", metavar="NAME", help="Published weights, for a network of the zoo.")
device = click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, mps")
workers = click.option("--workers", type=click.IntRange(0), help="Processes that read image files.")
batch = click.option("--batch", type=click.IntRange(1), help="Images in a batch; the recipe's by default.")
crops = click.option(
    "--crops", type=click.Choice(["1", "10"]), help="The centre crop, or ten; the recipe's by default."
)


@command("eval")
@click.argument("networks", nargs=-1, required=True, metavar="CHECKPOINT...")
@click.option("--data", metavar="NAME", help="What to judge by; the data it was trained on by default.")
@click.option("--root", type=click.Path(path_type=Path), help="The folder where the data set lies.")
@crops
@click.option("--per-class", is_flag=True, help="Show the errors of every class.")
@click.option(
    "--confusion",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the confusion matrix as .csv, .png, .svg or .pdf, and show the worst confusions.",
)
@ema
@published
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True)
@device
@workers
@batch
def eval_command(networks: Sequence[str], **options: Any) -> None:
    """Judge trained networks, and the vote of several, by their errors on a data set."""
    from netspec.evaluation.eval_command import eval_networks

    click.echo(eval_networks(networks, **options))


@command("predict")
@click.argument("network", metavar="CHECKPOINT")
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@click.option("--top", type=click.IntRange(1), default=5, show_default=True, help="Classes to name.")
@crops
@ema
@published
@click.option(
    "--format", "form", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True
)
@device
@click.option("--batch", type=click.IntRange(1), default=32, show_default=True, help="Images in a batch.")
def predict_command(network: str, images: Sequence[str], **options: Any) -> None:
    """Name the classes of image files, of folders of them, and of patterns such as 'photos/*.jpg'."""
    from netspec.evaluation.predict_command import predict_images

    sys.exit(predict_images(network, images, say=click.echo, warn=partial(click.echo, err=True), **options))


@command("plot")
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="A .svg, .png or .pdf file.",
)
@click.option("--filters", is_flag=True, help="Draw the filters of the first convolution.")
@click.option(
    "--features", type=click.Path(path_type=Path), metavar="IMAGE", help="Draw what a layer makes of it."
)
@click.option("--layer", metavar="NAME", help="The layer for --features; the first convolution by default.")
@ema
@published
def plot_command(runs: Sequence[str], output: Path, **options: Any) -> None:
    """Draw loss, error and learning rate of runs; or the filters or feature maps of one network."""
    from netspec.evaluation.plots.command import plot

    click.echo(plot(runs, output, **options))
