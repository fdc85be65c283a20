"""Confusion matrices as CSV or as images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from torch import Tensor

from netspec.errors import FileError, TrainError
from netspec.evaluation.plots import FORMATS, new_figure
from netspec.files import write_text
from netspec.tables import comma_separated

MAX_NUMBERED, MAX_NAMED = 20, 60
"""The number of classes up to which cells show counts, and up to which the axes show class names."""


def check_confusion_format(path: Path) -> None:
    """Check that a confusion matrix can be written to a file of this ending; raises TrainError."""
    if path.suffix.lower() not in (".csv", *FORMATS):
        message = f"a confusion matrix cannot be written to {path}"
        raise TrainError(f"{message}: use .csv, {', '.join(FORMATS)}", wrong_use=True)


def write_confusion(path: Path, matrix: Tensor, names: Sequence[str]) -> None:
    """Write a confusion matrix, classes x classes, as .csv, or as an image by `draw_confusion`.

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
    """Draw a confusion matrix: true classes in rows, each cell shaded by its share of the row.

    Classes without images and predictions are left out.

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
