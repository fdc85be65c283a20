"""The commands for trained networks: eval, predict, plot."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from netspec.cli import completion
from netspec.cli.common import command
from netspec.cli.formats import EVALUATION_FORMATS, PREDICTION_FORMATS

ema = click.option("--ema", is_flag=True, help="Use the averaged weights of the checkpoint.")
published = click.option(
    "--weights", metavar="NAME", help="The name of published weights, for a zoo network."
)
device = click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1 or mps.")
workers = click.option(
    "--workers", type=click.IntRange(0), help="The number of processes that read image files."
)
batch = click.option("--batch", type=click.IntRange(1), help="The batch size; by default the recipe's.")
crops = click.option(
    "--crops",
    type=click.Choice(["1", "10"]),
    callback=lambda context, option, value: value and int(value),
    help="One centre crop or ten crops of each image; by default the recipe's choice.",
)


def format_option(formats: Iterable[str]) -> Callable[[Any], Any]:
    """Return a decorator that adds the option --format, whose choices are the keys of `formats`."""
    choice = click.Choice(list(formats))
    return click.option("--format", "form", type=choice, default="table", show_default=True)


@command("eval")
@click.argument("networks", nargs=-1, required=True, metavar="CHECKPOINT...")
@click.option(
    "--data",
    metavar="NAME",
    shell_complete=completion.data,
    help="The data set; by default that of the training run.",
)
@click.option("--root", type=click.Path(path_type=Path), help="The folder of the data set.")
@crops
@click.option("--per-class", is_flag=True, help="Show the error of each class.")
@click.option(
    "--confusion",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the confusion matrix as .csv, .png, .svg or .pdf, and show the worst confusions.",
)
@ema
@published
@format_option(EVALUATION_FORMATS)
@device
@workers
@batch
def eval_command(
    networks: Sequence[str], per_class: bool, confusion: Path | None, form: str, **options: Any
) -> None:
    """Evaluate trained networks on a data set, individually and as an ensemble."""
    from netspec.evaluation import evaluate
    from netspec.evaluation.plots import check_confusion_format, write_confusion

    if confusion is not None:
        check_confusion_format(confusion)
    with progress_bar() as on_batch:
        evaluation = evaluate(networks, on_batch=on_batch, **options)
    if confusion is not None:
        write_confusion(confusion, evaluation.confusion, evaluation.class_names)
    click.echo(EVALUATION_FORMATS[form](evaluation, per_class, confusion is not None))


@contextmanager
def progress_bar() -> Iterator[Callable[[str, int, int], object]]:
    """Yield a callback that shows a progress bar for each network if standard error is a terminal."""
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import Progress, TaskID

    console = Console(stderr=True)
    tasks: dict[str, TaskID] = {}
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:

        def on_batch(title: str, done: int, total: int) -> None:
            if title not in tasks:
                tasks[title] = bar.add_task(escape(title), total=total)
            bar.update(tasks[title], completed=done)

        yield on_batch


@command("predict")
@click.argument("network", metavar="CHECKPOINT")
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@click.option(
    "--top",
    type=click.IntRange(1),
    default=5,
    show_default=True,
    help="The number of classes shown for each image.",
)
@crops
@ema
@published
@format_option(PREDICTION_FORMATS)
@device
@click.option("--batch", type=click.IntRange(1), default=32, show_default=True, help="The batch size.")
def predict_command(network: str, images: Sequence[str], form: str, **options: Any) -> None:
    """Predict the classes of images: files, folders, or patterns such as 'photos/*.jpg'."""
    from netspec.diagnostics import printable
    from netspec.evaluation import predict

    predictions = predict(network, images, **options)
    if text := PREDICTION_FORMATS[form](predictions):
        click.echo(text)
    changed = [p for p in predictions if p.change]
    if changed:
        first = printable(f"{changed[0].path} was {changed[0].change}")
        others = f"; {len(changed) - 1} more were changed too" if len(changed) > 1 else ""
        click.echo(f"note: {first}, to match the training images{others}", err=True)
    failed = [p for p in predictions if p.error]
    for prediction in failed:
        click.echo(f"error: {printable(f'{prediction.path} cannot be read: {prediction.error}')}", err=True)
    sys.exit(1 if failed else 0)


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
    "--features",
    type=click.Path(path_type=Path),
    metavar="IMAGE",
    help="Draw the feature maps of a layer for an image.",
)
@click.option("--layer", metavar="NAME", help="The layer for --features; by default the first convolution.")
@ema
@published
def plot_command(
    runs: Sequence[str],
    output: Path,
    filters: bool,
    features: Path | None,
    layer: str | None,
    ema: bool,
    weights: str | None,
) -> None:
    """Plot the loss, error and learning rate of runs, or the filters or feature maps of one network."""
    if filters and features:
        raise click.UsageError("--filters and --features cannot be combined: give one of them")
    if layer and not features:
        raise click.UsageError("--layer requires an image: give one with --features")
    if not filters and not features:
        if ema or weights:
            raise click.UsageError("curves do not depend on weights: leave out --ema and --weights")
        from netspec.evaluation.plots import draw_curves

        folders = [path.parent if path.is_file() else path for path in map(Path, runs)]
        draw_curves(folders, output)
        click.echo(f"{output}: {len(runs)} run{'s' * (len(runs) != 1)}")
        return
    if len(runs) != 1:
        raise click.UsageError(f"--filters and --features draw one network, found {len(runs)}")
    from netspec.evaluation.load import open_model
    from netspec.evaluation.maps import draw_features, draw_filters

    model = open_model(runs[0], weights, ema=ema)
    drawn = draw_filters(model, output) if features is None else draw_features(model, features, layer, output)
    click.echo(f"{output}: {drawn}")
