"""Figures of runs, networks and results, drawn by matplotlib in one style and written without a display."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import matplotlib
from matplotlib.figure import Figure

from netspec.errors import FileError, TrainError
from netspec.files import write_file

FORMATS = (".svg", ".png", ".pdf")
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
"""The palette of Okabe and Ito (2008) for colour-blind readers, without its yellow, too pale on white."""

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
    """Draw on a new figure, sizes in inches, and write it to a .svg, .png or .pdf file at the end.

    Raises:
        TrainError: the file cannot be written; a previous version is then unchanged.
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
    """Draw on a new figure, sizes in inches, and write it to an open file at the end.

    The same drawing gives the same bytes: nothing depends on the date.
    """
    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure
        metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(format)
        figure.savefig(file, format=format, dpi=200, metadata=metadata)


def check_format(path: Path) -> None:
    """Check that a file name has the ending of a known image format; raises TrainError."""
    if path.suffix.lower() not in FORMATS:
        message = f"{path} has no ending of an image format"
        raise TrainError(f"{message}: use {', '.join(FORMATS)}", wrong_use=True)
