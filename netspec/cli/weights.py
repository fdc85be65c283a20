"""The commands for weights."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from netspec.cli.common import assigned, command, sized


@click.group("weights")
def weights_group() -> None:
    """Transfer weights between networks."""


@command("align")
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option(
    "--weights", metavar="WEIGHTS", help="The weights of A: a file, a run, or a name such as DEFAULT."
)
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The .safetensors file for the weights under the names of B.",
)
@click.option("--input", "inputs", multiple=True, metavar="CxHxW", help="The shape of an input.")
@click.option("--arg", "arguments", multiple=True, metavar="NAME=VALUE", help="An argument for targets.")
def align_command(
    first: str,
    second: str,
    weights: str | None,
    output: Path,
    inputs: Sequence[str],
    arguments: Sequence[str],
) -> None:
    """Write the weights of A under the names of B, an equivalent network.

    A and B are specs, names in the zoo, ONNX files, or PyTorch targets such as timm:resnet18, whose code is
    run. Tensors are matched by their positions in both graphs; the two outputs must then agree.
    """
    from netspec.checkpoint.files import save_weights
    from netspec.convert.align import align, open_side

    shapes, given = sized(inputs), assigned(arguments)
    found = align(open_side(first, shapes, given), open_side(second, shapes, given), weights)
    click.echo(f"{len(found.state)} tensors, {found.renamed} renamed", err=True)
    click.echo(f"outputs: largest difference {found.difference:.3g} on a random batch", err=True)
    if not found.holds:
        click.echo("the outputs differ: nothing was written", err=True)
        sys.exit(1)
    save_weights(output, found.state)


weights_group.add_command(align_command)
