"""The commands for specs: check, draw, export, fmt, explain, ops."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from netspec.cli import completion
from netspec.cli.choices import Named, builtin_check_formats, check_formats, export_targets
from netspec.cli.common import command, examine, examined, settings, shape, spec


@command("check")
@click.argument("specs", nargs=-1, required=True, metavar="SPEC...", shell_complete=completion.specs)
@settings
@shape
@click.option("--batch", type=click.IntRange(1), help="The batch size for the estimate of training memory.")
@click.option(
    "--data",
    shell_complete=completion.data,
    metavar="NAME",
    help="Compare the network with a data set: its channels, its classes, and parameters per image.",
)
@click.option(
    "--format", "form", type=Named(check_formats, builtin_check_formats), default="table", show_default=True
)
@click.option("--explain", is_flag=True, help="Show the arithmetic of every layer.")
@click.option(
    "--ops",
    is_flag=True,
    help="Also count comparisons, additions, multiplications, divisions and exponentials.",
)
@click.option(
    "--depth",
    type=click.IntRange(1),
    help="Fold blocks and groups nested deeper than this level.",
)
@click.option("--strict", is_flag=True, help="Also fail on warnings.")
def check_command(
    specs: Sequence[str],
    settings: Sequence[str],
    inputs: Sequence[str],
    data: str | None,
    strict: bool,
    form: str,
    **options: Any,
) -> None:
    """Check the shapes and expected totals of specs and report every error with its location."""
    from netspec.cli.reports import show_diagnostics
    from netspec.datasets.info import dataset_info, with_data_warnings
    from netspec.diagnostics import printable
    from netspec.emit.formats import Options, find

    output = find(form)
    counts = dataset_info(data) if data else None
    reports = [examine(s, settings, inputs) for s in specs]
    reports = [with_data_warnings(r, counts) for r in reports] if counts else reports
    for report in () if output.holds_diagnostics else reports:
        show_diagnostics(report)
    click.echo(printable(output.write(reports, Options(data=counts, **options))))
    sys.exit(max(1 if strict and r.ok and r.diagnostics else r.status for r in reports))


@command("draw")
@spec
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="A .svg, .png, .pdf or .dot file.",
)
@click.option("--direction", type=click.Choice(["TB", "LR", "BT", "RL"]), default="TB", show_default=True)
@click.option(
    "--depth",
    type=click.IntRange(0),
    help="Fold blocks and groups nested deeper than this level.",
)
@settings
@shape
def draw_command(
    spec: str, output: Path, direction: Any, depth: int | None, settings: Sequence[str], inputs: Sequence[str]
) -> None:
    """Draw a spec with Graphviz."""
    from netspec.emit.dot import dot
    from netspec.emit.picture import write_picture

    net = examined(spec, settings, inputs).require()
    write_picture(dot(net, direction=direction, depth=depth), output)
    click.echo(f"{output}: {net.name}, {net.totals.layers} layers")


@command("export")
@spec
@click.option("--to", "target", type=Named(export_targets), default="pytorch", show_default=True)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file to write; by default, the text is printed.",
)
@click.option(
    "--weights",
    metavar="WEIGHTS",
    help="For ONNX: a file, the folder of a run, or a name such as DEFAULT; random weights if omitted.",
)
@settings
@shape
def export_command(
    spec: str,
    target: str,
    output: Path | None,
    weights: str | None,
    settings: Sequence[str],
    inputs: Sequence[str],
) -> None:
    """Compile a spec to PyTorch source, which imports only torch, or write an ONNX model."""
    from netspec.emit.targets import TARGETS
    from netspec.errors import NetspecError
    from netspec.files import write_file
    from netspec.library import locate
    from netspec.network import Network, state_arrays

    writer = TARGETS[target]
    if weights is not None and not writer.weighted:
        message = f"{target} is source code without weights: leave out `weights`, or use `to=onnx`"
        raise NetspecError(message, wrong_use=True)
    if writer.weighted and output is None:
        raise NetspecError(f"{target} is not text: name a file with `output`", wrong_use=True)
    report = examined(spec, settings, inputs)
    network = Network(report.require(), locate(spec).card, report, spec)
    content = writer.write(network.net, state_arrays(network, weights) if writer.weighted else {})
    data = content if isinstance(content, bytes) else content.encode()
    if output is None:
        click.echo(data, nl=False)
    else:
        write_file(output, lambda file: file.write(data))


@command("explain")
@click.argument("code", required=False, shell_complete=completion.codes)
def explain_command(code: str | None) -> None:
    """Explain a diagnostic CODE such as shape-mismatch, with an example; without CODE, list all codes."""
    from netspec.codes import CODES
    from netspec.emit.manual.diagnostics import explain_code, list_codes
    from netspec.errors import NetspecError

    if code is None:
        click.echo(list_codes())
        return
    found = CODES.find(code)
    if found is None:
        raise NetspecError(f"there is no diagnostic code `{code}`: {CODES.suggest(code)}", wrong_use=True)
    click.echo(explain_code(found))


@command("ops")
@click.argument("name", required=False, shell_complete=completion.ops)
def ops_command(name: str | None) -> None:
    """Explain the layer type or block NAME, with its arguments and an example; without NAME, list all."""
    from netspec.checker.arguments import unknown_op
    from netspec.diagnostics import Source, Span
    from netspec.emit.manual.blocks import builtin_blocks, explain_block, list_blocks
    from netspec.emit.manual.ops import explain_op, list_ops
    from netspec.errors import NetspecError
    from netspec.ops import OPS

    if name is None:
        click.echo(f"{list_ops()}\n\n{list_blocks()}\n\n`netspec ops NAME` explains one of them.")
        return
    op, block = OPS.find(name), builtin_blocks().get(name)
    if block is not None:
        click.echo(explain_block(block))
        return
    if op is None:
        fault = unknown_op(name, (), Span(Source("", ""), 0, 0)).diagnostic
        help = f": {fault.help}" if fault.help else ": `netspec ops` lists them"
        raise NetspecError(f"there is no layer type or built-in block named `{name}`{help}", wrong_use=True)
    click.echo(explain_op(op))


@command("fmt")
@click.argument("specs", nargs=-1, required=True, metavar="SPEC...")
@click.option("--check", "only_check", is_flag=True, help="Change nothing; fail if a file is not formatted.")
def fmt_command(specs: Sequence[str], only_check: bool) -> None:
    """Format specs in place; `-` formats standard input to standard output."""
    from netspec.language.formatter import format_files

    sys.exit(format_files(specs, only_check, click.echo))
