"""The command `netspec prepare`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from netspec.cli import completion
from netspec.cli.common import command


@command("prepare")
@click.option(
    "--data",
    metavar="NAME",
    required=True,
    shell_complete=completion.data,
    help="A data set of image files, such as imagenet or folder:PATH.",
)
@click.option("--root", type=click.Path(path_type=Path), help="The folder of the data set.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    help="The file to write, or the folder for it.",
)
@click.option(
    "--size",
    type=click.IntRange(1),
    default=256,
    show_default=True,
    help="The length of each image's shorter side in pixels.",
)
@click.option("--quality", type=click.IntRange(1, 100), help="Store JPEGs of this quality, not raw pixels.")
@click.option(
    "--val-share",
    type=click.FloatRange(0, 1, True, True),
    default=0.2,
    show_default=True,
    help="The fraction of a folder without val/ that is held out for validation.",
)
def prepare_command(data: str, root: Path | None, out: Path, **options: Any) -> None:
    """Resize the images of a data set and write them to one file that training reads much faster."""
    from netspec.datasets.prepare import prepare

    prepare(data, root, out, **options)
