"""The command that reads networks of other programs."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from netspec.cli.common import assigned, command, sized


@command("convert")
@click.argument("target")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The spec to write; by default, it is printed.",
)
@click.option(
    "--input",
    "inputs",
    multiple=True,
    metavar="CxHxW",
    help="The shape of the input without the batch; once for each input.  [default: 3x224x224]",
)
@click.option(
    "--arg",
    "arguments",
    multiple=True,
    metavar="NAME=VALUE",
    help="An argument for the class or function that makes the module.",
)
@click.option(
    "--weights",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A .safetensors file for the module's weights.",
)
def convert_command(
    target: str, output: Path | None, inputs: Sequence[str], arguments: Sequence[str], weights: Path | None
) -> None:
    """Write a PyTorch module or an ONNX model as a spec, and compare both.

    TARGET is a file FILE.onnx; or PACKAGE.MODULE:NAME or FILE.py:NAME, where NAME is a module, or a class or
    function that makes one: torchvision.models:resnet50. Importing such a TARGET runs its code.
    """
    from netspec.checkpoint.files import save_weights

    if target.lower().endswith(".onnx"):
        convert_onnx_file(Path(target), output, sized(inputs), weights)
        return
    from netspec.convert import convert
    from netspec.convert.proof import prove
    from netspec.convert.target import load_target
    from netspec.files import write_text

    shapes = [shape for text in inputs or ["3x224x224"] for shape in sized([text]).values()]
    conversion = convert(load_target(target, assigned(arguments)), shapes)
    if output is None:
        click.echo(conversion.text, nl=False)
    else:
        write_text(output, conversion.text)
    proof = prove(conversion)
    if weights is not None:
        save_weights(weights, conversion.weights())
    lines = len(conversion.text.splitlines())
    title = f"{output or conversion.network.net.name}: {lines} lines, compared with {target}:"
    show_proof(title, [*proof.lines(), *conversion.notes], proof.holds)


def convert_onnx_file(
    path: Path, output: Path | None, shapes: Mapping[str, tuple[int, ...]], weights: Path | None
) -> None:
    """Write an ONNX model as a spec, and compare both."""
    from netspec.checkpoint.files import save_weights
    from netspec.convert.onnx import convert_onnx, prove_onnx
    from netspec.files import write_text

    conversion = convert_onnx(path, shapes)
    if output is None:
        click.echo(conversion.text, nl=False)
    else:
        write_text(output, conversion.text)
    proof = prove_onnx(conversion)
    if weights is not None:
        save_weights(weights, conversion.weights)
    lines = len(conversion.text.splitlines())
    title = f"{output or conversion.network.net.name}: {lines} lines, compared with {path}:"
    show_proof(title, list(proof.lines()), proof.holds)


def show_proof(title: str, lines: Sequence[str], holds: bool) -> None:
    """Show what was compared; exit with status 1 if the networks differ."""
    for line in (title, *(f"  {line}" for line in lines)):
        click.echo(line, err=True)
    if not holds:
        click.echo("the networks differ", err=True)
        sys.exit(1)
