"""The command line: arguments in, text out; what a command needs is imported inside it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from netspec import __version__

if TYPE_CHECKING:
    from netspec.check import Report
    from netspec.shape import Shape

HELP = {"help_option_names": ["-h", "--help"]}
settings = click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", help="Set a parameter of the network."
)
shape = click.option(
    "--input",
    "inputs",
    multiple=True,
    metavar="[NAME=]CxHxW",
    help="Replace the shape of the input, or of one of several.",
)
spec = click.argument("spec")


@click.group(context_settings=HELP)
@click.version_option(__version__, prog_name="netspec")
def main() -> None:
    """Check, count, draw, compile and train networks written as short specs."""


@main.command("check")
@click.argument("specs", nargs=-1, required=True, metavar="SPEC...")
@settings
@shape
@click.option("--batch", type=click.IntRange(1), help="Images in a training batch, for the memory estimate.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "sarif", "csv", "markdown"]),
    default="table",
    show_default=True,
)
@click.option("--explain", is_flag=True, help="Work out the arithmetic of every layer.")
@click.option(
    "--ops", is_flag=True, help="Count comparisons, additions, multiplications, divisions, exponentials."
)
@click.option("--depth", type=click.IntRange(1), help="Fold blocks and groups deeper than this.")
@click.option("--strict", is_flag=True, help="Let warnings fail the check too.")
def check_command(
    specs: Sequence[str], settings: Sequence[str], inputs: Sequence[str], strict: bool, **options: Any
) -> None:
    """Check specs: shapes, claims and counts, with every fault at its place."""
    from netspec.emit.reports import write_reports

    reports = [examine(s, settings, inputs) for s in specs]
    write_reports(reports, **options)
    sys.exit(max(1 if strict and r.ok and r.diagnostics else r.status for r in reports))


@main.command("draw")
@spec
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="A .svg, .png, .pdf or .dot file.",
)
@click.option("--direction", type=click.Choice(["TB", "LR", "BT", "RL"]), default="TB", show_default=True)
@click.option("--depth", type=click.IntRange(0), help="Fold blocks and groups deeper than this.")
@settings
@shape
def draw_command(
    spec: str, output: Path, direction: Any, depth: int | None, settings: Sequence[str], inputs: Sequence[str]
) -> None:
    """Draw a spec with Graphviz."""
    from netspec.emit.dot import dot
    from netspec.emit.picture import PictureError, picture

    net = examined(spec, settings, inputs).require()
    with Plainly(PictureError):
        picture(dot(net, direction=direction, depth=depth), output)
    click.echo(f"{output}: {net.name}, {net.totals.layers} layers")


@main.command("export")
@spec
@click.option("--to", "target", type=click.Choice(["pytorch"]), default="pytorch", show_default=True)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file to write; without it, the text is printed.",
)
@settings
@shape
def export_command(
    spec: str, target: str, output: Path | None, settings: Sequence[str], inputs: Sequence[str]
) -> None:
    """Compile a spec to PyTorch source that needs torch alone."""
    from netspec.emit.torch import source
    from netspec.files import FileError, write_text

    text = source(examined(spec, settings, inputs).require())
    with Plainly(FileError):
        write_text(output, text) if output else click.echo(text, nl=False)


@main.command("fmt")
@click.argument("specs", nargs=-1, required=True, metavar="SPEC...")
@click.option(
    "--check", "only_check", is_flag=True, help="Change nothing; fail where something would change."
)
def fmt_command(specs: Sequence[str], only_check: bool) -> None:
    """Format specs in place, `-` from standard input to standard output."""
    from netspec.formatter import format_files

    sys.exit(format_files(specs, only_check, click.echo))


@main.command("train")
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


@main.command("prepare")
@click.option("--data", metavar="NAME", required=True, help="imagenet or folder:PATH.")
@click.option("--root", type=click.Path(path_type=Path), help="The folder where imagenet lies.")
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="The file to write, or its folder."
)
@click.option("--size", type=click.IntRange(1), default=256, show_default=True, help="The short side.")
@click.option("--quality", type=click.IntRange(1, 100), help="Store JPEGs of this quality, not plain pixels.")
@click.option("--val-share", type=click.FloatRange(0, 1, True, True), default=0.2, show_default=True)
def prepare_command(data: str, root: Path | None, out: Path, **options: Any) -> None:
    """Resize a set's photos once into one file, from which training reads several times as fast."""
    from netspec.run.data.prepare import DataError, prepare

    with Plainly(DataError):
        prepare(data, root, out, **options)


class Listing(click.Group):
    """A group whose command `list` goes without its name."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        plain = not args or args[0] not in {*self.commands, *ctx.help_option_names}
        return super().parse_args(ctx, ["list", *args] if plain else args)


@main.group("zoo", cls=Listing)
def zoo_group() -> None:
    """List the published networks that specs are known for; `netspec zoo list -h` has the filters."""


@zoo_group.command("list")
@click.argument("pattern", default="*")
@click.option("--family", help="Such as resnet.")
@click.option("--max-params", metavar="COUNT", help="Such as 30M.")
@click.option(
    "--sort",
    type=click.Choice(["name", "params", "macs", "top1", "year"]),
    default="name",
    show_default=True,
    help="The smallest, the oldest or the most accurate first.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "csv", "markdown"]),
    default="table",
    show_default=True,
)
def zoo_list_command(pattern: str, max_params: str | None, form: str, **filters: Any) -> None:
    """List the networks whose names match a PATTERN, such as 'resnet*'."""
    from netspec.emit.cards import listing
    from netspec.zoo import ZooError, select

    with Plainly(ZooError):
        click.echo(listing(select(pattern, max_params=counted(max_params), **filters), form))


@zoo_group.command("show")
@click.argument("name")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
def zoo_show_command(name: str, form: str) -> None:
    """Show one card in full: paper, figures, weights and how they want their images."""
    from netspec.emit.cards import as_json, full
    from netspec.zoo import ZooError, card

    with Plainly(ZooError):
        click.echo({"text": full, "json": as_json}[form](card(name)))


def examine(spec: str, settings: Sequence[str], inputs: Sequence[str], **more: object) -> Report:
    """Check a spec; a file that cannot be read gives a report of that."""
    from netspec.check import Report, check_file
    from netspec.diagnostics import SpecError
    from netspec.source import locate

    try:
        found = locate(spec)
        return check_file(found.path, {**found.arguments, **more, **assigned(settings)}, sized(inputs))
    except SpecError as error:
        return Report(error.diagnostics[0].span.source, None, error.diagnostics)


def examined(spec: str, settings: Sequence[str], inputs: Sequence[str]) -> Report:
    """Check a spec, and end the command where it has faults."""
    from netspec.emit.reports import show_diagnostics

    report = examine(spec, settings, inputs)
    show_diagnostics(report)
    if not report.ok:
        sys.exit(report.status)
    return report


def assigned(settings: Sequence[str]) -> dict[str, object]:
    """Read `name=value` pairs; values are expressions of the language, other words are texts."""
    from netspec.settings import SettingError, read_setting

    try:
        return dict(read_setting(s) for s in settings)
    except SettingError as error:
        raise click.UsageError(str(error)) from None


def sized(shapes: Sequence[str]) -> dict[str, Shape]:
    """Read `3x256x256` or `image=3x256x256`."""
    from netspec.settings import SettingError, read_shape

    try:
        return dict(read_shape(s) for s in shapes)
    except SettingError as error:
        raise click.UsageError(str(error)) from None


def counted(text: str | None) -> float | None:
    """Read a count, such as `30M`."""
    from netspec.settings import SettingError, read_count

    try:
        return None if text is None else read_count(text)
    except SettingError as error:
        raise click.UsageError(str(error)) from None


class Plainly:
    """Show known errors as one sentence, with exit status 1, or 2 where the command was used wrongly."""

    def __init__(self, *kinds: type[Exception]) -> None:
        self.kinds = kinds

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, self.kinds):
            click.echo(f"error: {error}", err=True)
            sys.exit(2 if getattr(error, "wrong_use", False) else 1)
        if isinstance(error, KeyboardInterrupt):
            click.echo("interrupted", err=True)
            sys.exit(130)
