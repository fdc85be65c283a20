"""The command that prepares photos for training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from netspec.cli.common import command


@command("prepare")
@click.option(
    "--data", metavar="NAME", required=True, help="A set of photos: imagenet, folder:PATH, food101 ..."
)
@click.option("--root", type=click.Path(path_type=Path), help="The folder of a named data set.")
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="The file to write, or its folder."
)
@click.option("--size", type=click.IntRange(1), default=256, show_default=True, help="The short side.")
@click.option("--quality", type=click.IntRange(1, 100), help="Store JPEGs of this quality, not plain pixels.")
@click.option("--val-share", type=click.FloatRange(0, 1, True, True), default=0.2, show_default=True)
def prepare_command(data: str, root: Path | None, out: Path, **options: Any) -> None:
    """Resize a set's photos once into one file, from which training reads several times as fast."""
    from netspec.datasets.prepare import prepare

    prepare(data, root, out, **options)
