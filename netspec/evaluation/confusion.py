"""A confusion matrix as a file: a table, or a picture."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from netspec.errors import FileError, TrainError
from netspec.files import write_text


def write_confusion(path: Path, matrix: Tensor, names: Sequence[str]) -> None:
    """Write classes x classes counts, true classes in rows, as .csv, or as a picture of shares.

    Raises:
        TrainError: the file cannot be written.
    """
    if path.suffix != ".csv":
        from netspec.evaluation.plots.confusion import draw_confusion

        draw_confusion(path, matrix, names)
        return
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["true \\ guess", *names])
    writer.writerows([name, *row] for name, row in zip(names, matrix.tolist(), strict=True))
    try:
        write_text(path, text.getvalue())
    except FileError as error:
        raise TrainError(str(error)) from error
