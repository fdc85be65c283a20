"""The record of a training run: its log, scores and files. Notebooks show it as curves."""

from __future__ import annotations

import html
from collections.abc import Container, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from netspec.checkpoint import BEST, CHECKPOINT, WEIGHTS, best_weights, flatten, read_checkpoint, read_log
from netspec.emit.html import media_types
from netspec.errors import TrainError
from netspec.evaluation.metrics import Score
from netspec.recipe import Recipe
from netspec.tables import percent


@dataclass(frozen=True)
class Run:
    """A training run and its folder.

    `history` has a row for each epoch, as in `log.csv`. `final` is the score after the last epoch, on the
    crops named by `final_view`. `best` is the score of the epoch with the lowest top-1 error, on the centre
    crop. Both are None before the first epoch ends. `seconds` is the time spent training and validating.
    `interrupted` is the number of the signal that ended the run early, or 0.
    """

    folder: Path
    history: tuple[Mapping[str, Any], ...]
    epochs: int
    steps: int
    final: Score | None
    best: Score | None
    best_epoch: int
    seconds: float
    images_per_second: float = 0.0
    final_view: str = "centre crop"
    interrupted: int = 0

    @classmethod
    def open(cls, folder: str | Path) -> Run:
        """Read the record of the run in a folder.

        Raises:
            TrainError: the folder holds no run, or its files are damaged.
        """
        folder = Path(folder)
        path = folder / CHECKPOINT
        if not path.is_file():
            raise TrainError(f"{folder} is not the folder of a run: it has no {CHECKPOINT}")
        content = read_checkpoint(path)
        return cls(
            folder=folder,
            history=history(folder),
            epochs=content.epoch,
            steps=content.step,
            final=Score.of(content.final),
            best=Score.of(content.best),
            best_epoch=content.best.epoch if content.best else 0,
            seconds=content.seconds.training + content.seconds.validation,
        )

    @property
    def weights(self) -> Path:
        """The file with the weights after the last epoch: a state_dict in safetensors format."""
        return self.folder / WEIGHTS

    @property
    def best_weights(self) -> Path | None:
        """The file with the best epoch's weights, a state_dict; None before the first epoch ends."""
        return best_weights(self.folder) or self.folder / BEST if self.best else None

    @property
    def checkpoint(self) -> Path:
        """The checkpoint file, from which the run can be resumed."""
        return self.folder / CHECKPOINT

    @cached_property
    def recipe(self) -> Recipe:
        """The complete recipe of the run, with each `auto` replaced by the value that was used."""
        return read_checkpoint(self.checkpoint).recipe

    def plot(self, path: str | Path) -> None:
        """Draw the loss, error and learning rate of each epoch to a .svg, .png or .pdf file.

        Raises:
            TrainError: no epoch is finished, or the file cannot be written.
        """
        from netspec.evaluation.plots import draw_curves

        draw_curves([self.folder], Path(path))

    def _repr_html_(self) -> str:
        """Return the curves and a table of the epochs, for notebooks."""
        title = f"<p>{html.escape(str(self))}</p>"
        return f"<div>{title}{self._svg() if self.history else ''}{self._table()}</div>"

    def _repr_mimebundle_(
        self, include: Container[str] | None = None, exclude: Container[str] | None = None
    ) -> dict[str, str]:
        """Return the run as text, HTML and SVG for notebooks, by media type."""
        bundle = {"text/plain": str(self), "text/html": self._repr_html_()}
        bundle |= {"image/svg+xml": self._svg()} if self.history else {}
        return media_types(bundle, include, exclude)

    def __str__(self) -> str:
        epochs = f"{self.epochs} epoch{'s' * (self.epochs != 1)}"
        error = f", best top-1 error {percent(self.best.top1_error)}" if self.best else ""
        return f"run in {self.folder}: {epochs}{error}"

    def _svg(self) -> str:
        from netspec.evaluation.plots import curves_svg

        return curves_svg(self.history)

    def _table(self) -> str:
        columns = (
            "epoch",
            "lr",
            "loss",
            "accuracy",
            "val_loss",
            "val_top1_error",
            "val_top5_error",
            "seconds",
        )
        head = "".join(f"<th>{name}</th>" for name in columns)
        rows = "".join(
            "<tr>" + "".join(f"<td>{_number(row.get(name))}</td>" for name in columns) + "</tr>"
            for row in self.history
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def history(folder: Path) -> tuple[dict[str, Any], ...]:
    """Return the rows of a run's log as flat dictionaries, one per epoch."""
    return tuple(flatten(row) for row in read_log(folder))


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else html.escape(str("" if value is None else value))
