"""Loss, error and learning rate of runs, epoch by epoch, in one picture."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from netspec.checkpoint.log import flat, read_log
from netspec.errors import TrainError
from netspec.evaluation.plots.sheet import COLOURS, check_ending, sheet

TRAINED, VALIDATED, TOP5 = (0, (3, 1.5)), "-", (0, (1, 1.2))
"""How lines are broken: those of training, of validation, and validation's top-5 error."""
Points = list[tuple[float, float]]


def draw_curves(runs: Sequence[Path], path: Path) -> None:
    """Draw the logs of runs, a colour for each, beside each other: loss, error, learning rate.

    Raises:
        TrainError: a run has no log, or the picture cannot be written.
    """
    check_ending(path)
    logs = {name: _rows(run) for name, run in zip(_names(runs), runs, strict=True)}
    several = len(logs) > 1
    with sheet(path, 7.4, 2.5 + (0.2 * math.ceil(len(logs) / 3) if several else 0)) as figure:
        loss, error, rate = figure.subplots(1, 3)
        for number, rows in enumerate(logs.values()):
            colour = COLOURS[number % len(COLOURS)]
            _line(loss, _points(rows, "loss"), colour, TRAINED)
            _line(loss, _points(rows, "val_loss"), colour, VALIDATED)
            _line(error, [(x, 1 - y) for x, y in _points(rows, "accuracy")], colour, TRAINED)
            _line(error, _points(rows, "val_top1_error"), colour, VALIDATED)
            _line(error, _points(rows, "val_top5_error"), colour, TOP5)
            _line(rate, _points(rows, "lr"), colour, VALIDATED)
        _dress(loss, error, rate)
        if several:
            _name_runs(figure, list(logs))


def _rows(run: Path) -> list[dict[str, Any]]:
    rows = [flat(row) for row in read_log(run)]
    if not rows:
        way = "name the folder of a run that has finished an epoch"
        raise TrainError(f"{run} has no log to draw: {way}")
    return rows


def _names(runs: Sequence[Path]) -> list[str]:
    """The runs' folders, with as much of their paths as tells them apart."""
    whole = list(dict.fromkeys(run.resolve() for run in runs))
    if len(whole) < len(runs):
        raise TrainError("a run is named twice: name each once", wrong_use=True)
    for depth in range(1, max(len(p.parts) for p in whole) + 1):
        short = ["/".join(p.parts[-depth:]) for p in whole]
        if len(set(short)) == len(whole):
            return short
    return [str(p) for p in whole]


def _points(rows: Sequence[Mapping[str, Any]], name: str) -> Points:
    """Epochs and values, as far as rows have them."""
    pairs = [(row.get("epoch"), row.get(name)) for row in rows]
    return [
        (float(x), float(y))
        for x, y in pairs
        if isinstance(x, int | float) and isinstance(y, int | float) and math.isfinite(y)
    ]


def _line(axes: Axes, points: Points, colour: str, style: Any) -> None:
    if points:
        few = len(points) < 3
        axes.plot(*zip(*points, strict=True), color=colour, linestyle=style, marker="o" if few else "", ms=3)


def _dress(loss: Axes, error: Axes, rate: Axes) -> None:
    """Titles, scales and what the kinds of line mean."""
    loss.set_title("loss")
    error.set_title("error")
    rate.set_title("learning rate")
    error.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g} %"))
    low, high = _range(rate)
    if low > 0 and high / low >= 8:
        rate.set_yscale("log")
        rate.yaxis.set_minor_formatter(NullFormatter())
    rate.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    for axes in (loss, error, *([] if rate.get_yscale() == "log" else [rate])):
        axes.set_ylim(0, 1.06 * _range(axes)[1] or 1)
    for axes in (loss, error, rate):
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 5, 10]))
    kinds = {"training": TRAINED, "validation": VALIDATED}
    _explain(loss, kinds)
    _explain(error, {"training, top-1": TRAINED, "validation, top-1": VALIDATED, "validation, top-5": TOP5})


def _range(axes: Axes) -> tuple[float, float]:
    """The least and the greatest value of an axes' lines above zero."""
    drawn = [np.asarray(line.get_ydata(), dtype=float) for line in axes.lines]
    values = np.concatenate([*drawn, np.zeros(0)])
    values = values[values > 0]
    return (float(values.min()), float(values.max())) if len(values) else (0.0, 0.0)


def _explain(axes: Axes, kinds: Mapping[str, Any]) -> None:
    lines = [Line2D([], [], color="#444444", linestyle=style) for style in kinds.values()]
    axes.legend(lines, list(kinds), fontsize=7, handlelength=2.4, loc="best")


def _name_runs(figure: Figure, names: Sequence[str]) -> None:
    lines = [Line2D([], [], color=COLOURS[k % len(COLOURS)], linewidth=2) for k in range(len(names))]
    figure.legend(lines, list(names), loc="outside lower center", ncols=min(len(names), 3), fontsize=8)
