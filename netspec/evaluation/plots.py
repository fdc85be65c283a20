"""Figures of learning curves and confusion matrices in one style; drawing them does not need a display."""

from __future__ import annotations

import contextlib
import io
import math
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, TypeAlias

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter
from torch import Tensor

from netspec.errors import FileError, TrainError
from netspec.evaluation.run import history
from netspec.files import write_file, write_text
from netspec.tables import comma_separated

FORMATS = (".svg", ".png", ".pdf")
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
"""The palette of Okabe and Ito (2008) for colour-blind readers, without yellow, which is pale on white."""

STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "axes.titlesize": 9,
    "lines.linewidth": 1.4,
    "legend.frameon": False,
    "text.parse_math": False,  # class names and paths may contain dollar signs
    "pdf.fonttype": 42,
    "svg.hashsalt": "netspec",
}


@contextlib.contextmanager
def new_figure(path: Path, width: float, height: float) -> Iterator[Figure]:
    """Yield a new figure to draw on and write it to a .svg, .png or .pdf file at the end.

    `width` and `height` are in inches.

    Raises:
        TrainError: the file cannot be written; an existing file is then unchanged.
    """
    check_format(path)
    content = io.BytesIO()
    with figure_in(content, path.suffix.lower()[1:], width, height) as figure:
        yield figure
    try:
        write_file(path, lambda file: file.write(content.getvalue()))
    except FileError as error:
        raise TrainError(str(error)) from error


@contextlib.contextmanager
def figure_in(file: IO[bytes], format: str, width: float, height: float) -> Iterator[Figure]:
    """Yield a new figure to draw on and write it to an open file at the end; sizes are in inches.

    The same drawing always gives the same bytes, because the file contains no date.
    """
    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure
        metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(format)
        figure.savefig(file, format=format, dpi=200, metadata=metadata)


def check_format(path: Path) -> None:
    """Raise TrainError if a file name does not have the extension of a known image format."""
    if path.suffix.lower() not in FORMATS:
        message = f"{path} does not end in an image format"
        raise TrainError(f"{message}: use {', '.join(FORMATS)}", wrong_use=True)


TRAINING, VALIDATION, TOP5 = (0, (3, 1.5)), "-", (0, (1, 1.2))
"""The line styles for training, for validation, and for the top-5 validation error."""
WIDTH, HEIGHT = 7.4, 2.5
"""The size in inches of a figure of curves, without the legend of a figure with several runs."""
Points: TypeAlias = list[tuple[float, float]]
History: TypeAlias = Sequence[Mapping[str, Any]]


def draw_curves(runs: Sequence[Path], path: Path) -> None:
    """Draw the loss, error and learning rate of runs side by side, in one colour per run.

    Raises:
        TrainError: a run has no finished epoch or is named twice, or the file cannot be written.
    """
    check_format(path)
    histories = {name: _history(run) for name, run in zip(_names(runs), runs, strict=True)}
    legend = 0.2 * math.ceil(len(histories) / 3) if len(histories) > 1 else 0
    with new_figure(path, WIDTH, HEIGHT + legend) as figure:
        _draw(figure, histories)


def curves_svg(rows: History) -> str:
    """Return the curves of one run as SVG. `rows` are the rows of its log, flattened."""
    content = io.BytesIO()
    with figure_in(content, "svg", WIDTH, HEIGHT) as figure:
        _draw(figure, {"": rows})
    return content.getvalue().decode()


def _draw(figure: Figure, histories: Mapping[str, History]) -> None:
    loss, error, rate = figure.subplots(1, 3)
    for number, rows in enumerate(histories.values()):
        colour = COLOURS[number % len(COLOURS)]
        _line(loss, _points(rows, "loss"), colour, TRAINING)
        _line(loss, _points(rows, "val_loss"), colour, VALIDATION)
        _line(error, [(x, 1 - y) for x, y in _points(rows, "accuracy")], colour, TRAINING)
        _line(error, _points(rows, "val_top1_error"), colour, VALIDATION)
        _line(error, _points(rows, "val_top5_error"), colour, TOP5)
        _line(rate, _points(rows, "lr"), colour, VALIDATION)
    _format_axes(loss, error, rate)
    if len(histories) > 1:
        lines = [_legend_line(COLOURS[k % len(COLOURS)], VALIDATION) for k in range(len(histories))]
        names, columns = list(histories), min(len(histories), 3)
        figure.legend(lines, names, loc="outside lower center", ncols=columns, fontsize=8)


def _history(run: Path) -> History:
    rows = history(run)
    if not rows:
        raise TrainError(f"{run} has no log: name the folder of a run that has finished an epoch")
    return rows


def _names(runs: Sequence[Path]) -> list[str]:
    """Return a unique name for each run: its folder, with as many parent folders as needed."""
    paths = list(dict.fromkeys(Path(os.path.realpath(run)) for run in runs))
    if len(paths) < len(runs):
        raise TrainError("a run is named twice: name each once", wrong_use=True)
    for depth in range(1, max(len(p.parts) for p in paths) + 1):
        short = ["/".join(p.parts[-depth:]) for p in paths]
        if len(set(short)) == len(paths):
            return short
    return [str(p) for p in paths]


def _points(rows: History, name: str) -> Points:
    """Return the epochs and values in a column, skipping rows without a finite value."""
    pairs = [(row.get("epoch"), row.get(name)) for row in rows]
    return [
        (float(x), float(y))
        for x, y in pairs
        if isinstance(x, int | float) and isinstance(y, int | float) and math.isfinite(y)
    ]


def _line(axes: Axes, points: Points, colour: str, style: Any) -> None:
    if points:
        marker = "o" if len(points) < 3 else ""
        axes.plot(*zip(*points, strict=True), color=colour, linestyle=style, marker=marker, ms=3)


def _format_axes(loss: Axes, error: Axes, rate: Axes) -> None:
    """Set the titles, scales and ticks of the axes, and their legends of line styles."""
    loss.set_title("loss")
    error.set_title("error")
    rate.set_title("learning rate")
    error.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g} %"))
    low, high = _positive_range(rate)
    if low > 0 and high / low >= 8:
        rate.set_yscale("log")
        rate.yaxis.set_minor_formatter(NullFormatter())
    rate.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    for axes in (loss, error, *([] if rate.get_yscale() == "log" else [rate])):
        axes.set_ylim(0, 1.06 * _positive_range(axes)[1] or 1)
    for axes in (loss, error, rate):
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 5, 10]))
    _style_legend(loss, {"training": TRAINING, "validation": VALIDATION})
    styles = {"training, top-1": TRAINING, "validation, top-1": VALIDATION, "validation, top-5": TOP5}
    _style_legend(error, styles)


def _positive_range(axes: Axes) -> tuple[float, float]:
    """Return the smallest and largest positive values drawn on an `Axes`, or zeros if there are none."""
    drawn = [np.asarray(line.get_ydata(), dtype=float) for line in axes.lines]
    values = np.concatenate([*drawn, np.zeros(0)])
    values = values[values > 0]
    return (float(values.min()), float(values.max())) if len(values) else (0.0, 0.0)


def _style_legend(axes: Axes, styles: Mapping[str, Any]) -> None:
    lines = [_legend_line("#444444", style) for style in styles.values()]
    axes.legend(lines, list(styles), fontsize=7, handlelength=2.4, loc="best")


def _legend_line(colour: str, style: Any) -> Line2D:
    return Line2D([], [], color=colour, linestyle=style)


MAX_NUMBERED, MAX_NAMED = 20, 60
"""The maximum numbers of classes for which cells show counts, and for which axes show class names."""


def check_confusion_format(path: Path) -> None:
    """Raise TrainError if a confusion matrix cannot be written to a file with this extension."""
    if path.suffix.lower() not in (".csv", *FORMATS):
        message = f"a confusion matrix cannot be written to {path}"
        raise TrainError(f"{message}: use .csv, {', '.join(FORMATS)}", wrong_use=True)


def write_confusion(path: Path, matrix: Tensor, names: Sequence[str]) -> None:
    """Write a confusion matrix, classes x classes, to a .csv file or to an image file.

    Raises:
        TrainError: the file cannot be written.
    """
    check_confusion_format(path)
    if path.suffix.lower() != ".csv":
        draw_confusion(path, matrix, names)
        return
    rows = ([name, *row] for name, row in zip(names, matrix.tolist(), strict=True))
    try:
        write_text(path, comma_separated(["true \\ predicted", *names], rows) + "\n")
    except FileError as error:
        raise TrainError(str(error)) from error


def draw_confusion(path: Path, matrix: Tensor, names: Sequence[str]) -> None:
    """Draw a confusion matrix: rows are true classes, and cells are shaded by their fraction of the row.

    Classes that have no images and are never predicted are left out.

    Raises:
        TrainError: the file cannot be written.
    """
    used = ((matrix.sum(0) + matrix.sum(1)) > 0).nonzero().flatten()
    counts, labels = matrix[used][:, used], [names[int(k)] for k in used]
    shares = counts / counts.sum(1, keepdim=True).clamp(min=1)
    side = min(max(2.6 + 0.32 * len(labels), 3.6), 10.0)
    with new_figure(path, side + 0.5, side) as figure:
        axes = figure.add_subplot()
        axes.grid(False)
        image = axes.imshow(shares.numpy(), cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
        axes.set(xlabel="predicted class", ylabel="true class")
        _label_axes(axes, labels)
        if len(labels) <= MAX_NUMBERED:
            _number_cells(axes, counts, shares)
        figure.colorbar(image, ax=axes, shrink=0.8, label="share of the class's images")


def _label_axes(axes: Axes, labels: Sequence[str]) -> None:
    if len(labels) > MAX_NAMED:
        axes.set(xticks=[], yticks=[])
        return
    size = 8 if len(labels) <= MAX_NUMBERED else 6
    vertical = max(map(len, labels)) > 3
    axes.set_xticks(range(len(labels)), labels, rotation=90 if vertical else 0, fontsize=size)
    axes.set_yticks(range(len(labels)), labels, fontsize=size)
    axes.tick_params(length=0)


def _number_cells(axes: Axes, counts: Tensor, shares: Tensor) -> None:
    for row, values in enumerate(counts.tolist()):
        for column, count in enumerate(values):
            if count:
                colour = "white" if float(shares[row, column]) > 0.5 else "black"
                axes.text(column, row, f"{count}", fontsize=7, color=colour, ha="center", va="center")
