"""The command `netspec convert`, which reads networks from other frameworks."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from netspec.cli.common import assigned, command, sized

if TYPE_CHECKING:
    from netspec.convert import Conversion
    from netspec.convert.onnx import OnnxConversion


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
    metavar="[NAME=]SIZES[:TYPE]",
    help="The shape of an input without the batch, and its type if it is int64. Repeat for each input; write"
    " NAME=SHAPE if they are not in the order of the forward arguments.  [default: 3x224x224]",
)
@click.option(
    "--arg",
    "arguments",
    multiple=True,
    metavar="NAME=VALUE",
    help="An argument for the class or function that creates the module.",
)
@click.option(
    "--weights",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A .safetensors file for the module's weights.",
)
def convert_command(
    target: str, output: Path | None, inputs: Sequence[str], arguments: Sequence[str], weights: Path | None
) -> None:
    """Write a PyTorch module or an ONNX model as a spec and compare both.

    TARGET is FILE.onnx, FILE.pt2 (saved by torch.export), PACKAGE.MODULE:NAME or FILE.py:NAME. NAME is a
    module, or a class or function that creates one, as in torchvision.models:resnet50. Importing such a
    TARGET or loading a .pt2 file can run its code.
    """
    if target.lower().endswith(".onnx"):
        from netspec.convert.onnx import convert_onnx, prove_onnx

        if arguments:
            raise click.UsageError("an ONNX model takes no arguments: leave out --arg")
        model = convert_onnx(Path(target), sized(inputs))
        proof = prove_onnx(model)
        finish(target, model, output, weights, proof.lines(), proof.holds)
        return
    from netspec.convert import convert
    from netspec.convert.inputs import read_inputs
    from netspec.convert.proof import prove
    from netspec.convert.saved import convert_program
    from netspec.convert.target import load_target

    if target.lower().endswith(".pt2"):
        if inputs or arguments:
            raise click.UsageError("a saved program already defines its inputs: leave out --input and --arg")
        conversion = convert_program(Path(target))
    else:
        module = load_target(target, assigned(arguments))
        conversion = convert(module, read_inputs(inputs or ["3x224x224"]))
    found = prove(conversion)
    finish(target, conversion, output, weights, [*found.lines(), *conversion.notes], found.holds)


def write_spec(text: str, output: Path | None) -> None:
    """Write a spec to a file, by default to standard output."""
    from netspec.files import write_text

    if output is None:
        click.echo(text, nl=False)
    else:
        write_text(output, text)


def finish(
    target: str,
    made: Conversion | OnnxConversion,
    output: Path | None,
    weights: Path | None,
    lines: Iterable[str],
    holds: bool,
) -> None:
    """Write the spec and the weights, and report the comparison.

    If the networks differ, nothing is written and the exit status is 1.
    """
    from netspec.checkpoint.files import save_weights

    if holds:
        write_spec(made.text, output)
    if holds and weights is not None:
        save_weights(weights, made.weights())
    count = len(made.text.splitlines())
    click.echo(f"{output or made.network.net.name}: {count} lines, compared with {target}:", err=True)
    for line in lines:
        click.echo(f"  {line}", err=True)
    if not holds:
        click.echo("the networks differ: nothing was written", err=True)
        sys.exit(1)
