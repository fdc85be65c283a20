"""A confusion matrix as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from torch import Tensor

from netspec.evaluation.plots.sheet import sheet

NUMBERED, NAMED = 20, 60
"""Classes up to which cells show their counts, and up to which the sides show the names."""


def draw_confusion(path: Path, matrix: Tensor, names: Sequence[str]) -> None:
    """Draw classes x classes counts: true classes in rows, each cell dark by its share of its row.

    Classes without images and guesses are left out. Raises TrainError where the file cannot be written.
    """
    seen = ((matrix.sum(0) + matrix.sum(1)) > 0).nonzero().flatten()
    shown, labels = matrix[seen][:, seen], [names[int(k)] for k in seen]
    shares = shown / shown.sum(1, keepdim=True).clamp(min=1)
    side = min(max(2.6 + 0.32 * len(labels), 3.6), 10.0)
    with sheet(path, side + 0.5, side) as figure:
        axes = figure.add_subplot()
        axes.grid(False)
        image = axes.imshow(shares.numpy(), cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
        axes.set(xlabel="taken for", ylabel="true class")
        _name_sides(axes, labels)
        if len(labels) <= NUMBERED:
            _number_cells(axes, shown, shares)
        figure.colorbar(image, ax=axes, shrink=0.8, label="share of the class's images")


def _name_sides(axes: Axes, labels: Sequence[str]) -> None:
    if len(labels) > NAMED:
        axes.set(xticks=[], yticks=[])
        return
    size = 8 if len(labels) <= NUMBERED else 6
    upright = max(map(len, labels)) > 3
    axes.set_xticks(range(len(labels)), labels, rotation=90 if upright else 0, fontsize=size)
    axes.set_yticks(range(len(labels)), labels, fontsize=size)
    axes.tick_params(length=0)


def _number_cells(axes: Axes, counts: Tensor, shares: Tensor) -> None:
    for row, values in enumerate(counts.tolist()):
        for column, count in enumerate(values):
            if count:
                dark = float(shares[row, column]) > 0.5
                axes.text(
                    column,
                    row,
                    f"{count}",
                    ha="center",
                    va="center",
                    fontsize=7,
                    color="white" if dark else "black",
                )
