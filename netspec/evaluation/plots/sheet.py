"""A sheet of paper to draw on: one look for all pictures, and writing them whole."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from netspec.errors import TrainError

ENDINGS = (".svg", ".png", ".pdf")
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
"""Okabe and Ito's (2008), which colour-blind readers tell apart; white paper leaves their yellow out."""

LOOK: Any = {
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
    "text.parse_math": False,  # class names and paths may hold dollars
    "pdf.fonttype": 42,
    "svg.hashsalt": "netspec",
}


@contextlib.contextmanager
def sheet(path: Path, width: float, height: float) -> Iterator[Figure]:
    """Draw on a figure, in inches, and write it to a .svg, .png or .pdf file at the end.

    The file is replaced as a whole or left as it was.

    Raises:
        TrainError: the file cannot be written.
    """
    check_ending(path)
    with matplotlib.rc_context(LOOK), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure
        content = io.BytesIO()
        kind = path.suffix.lower()[1:]
        metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind)
        figure.savefig(content, format=kind, dpi=200, metadata=metadata)
    _write(path, content.getvalue())


def check_ending(path: Path) -> None:
    """Refuse a file name that ends as no picture does; raises TrainError."""
    if path.suffix.lower() not in ENDINGS:
        raise TrainError(f"{path} does not end as a picture does: use {', '.join(ENDINGS)}", wrong_use=True)


def _write(path: Path, content: bytes) -> None:
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            mask = os.umask(0)
            os.umask(mask)
            Path(name).chmod(0o666 & ~mask)
            Path(name).replace(path)
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise TrainError(f"{path} cannot be written: {reason}") from error
