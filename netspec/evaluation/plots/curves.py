"""Curves of loss, error and learning rate by epoch."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from netspec.errors import TrainError
from netspec.evaluation.plots import COLOURS, check_format, figure_in, new_figure
from netspec.evaluation.run import history

TRAINING, VALIDATION, TOP5 = (0, (3, 1.5)), "-", (0, (1, 1.2))
"""Line styles: of training, of validation, and of validation's top-5 error."""
WIDTH, HEIGHT = 7.4, 2.5
"""The size of a figure in inches, without the legend of several runs."""
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
    """The curves of one run as SVG; `rows` are those of its log, flattened."""
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
    """A name for each run: its folder, with as many parent folders as are needed to make names unique."""
    paths = list(dict.fromkeys(run.resolve() for run in runs))
    if len(paths) < len(runs):
        raise TrainError("a run is named twice: name each once", wrong_use=True)
    for depth in range(1, max(len(p.parts) for p in paths) + 1):
        short = ["/".join(p.parts[-depth:]) for p in paths]
        if len(set(short)) == len(paths):
            return short
    return [str(p) for p in paths]


def _points(rows: History, name: str) -> Points:
    """Epochs and values of a column, skipping rows without a finite value."""
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
    """Set titles, scales, ticks and the legends of line styles."""
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
    """The smallest and the largest positive value of the lines on an axes; zeros where there is none."""
    drawn = [np.asarray(line.get_ydata(), dtype=float) for line in axes.lines]
    values = np.concatenate([*drawn, np.zeros(0)])
    values = values[values > 0]
    return (float(values.min()), float(values.max())) if len(values) else (0.0, 0.0)


def _style_legend(axes: Axes, styles: Mapping[str, Any]) -> None:
    lines = [_legend_line("#444444", style) for style in styles.values()]
    axes.legend(lines, list(styles), fontsize=7, handlelength=2.4, loc="best")


def _legend_line(colour: str, style: Any) -> Line2D:
    return Line2D([], [], color=colour, linestyle=style)
