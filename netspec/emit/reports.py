"""Showing the diagnostics of a report on standard error."""

from __future__ import annotations

import os
import sys

from netspec.checker import Report
from netspec.diagnostics import printable, render


def show_diagnostics(report: Report) -> None:
    """Write diagnostics and remarks to standard error, in colour on a terminal."""
    colour = sys.stderr.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
    for diagnostic in report.diagnostics:
        print(printable(render(diagnostic, colour), colour), end="\n\n", file=sys.stderr)
    for remark in report.remarks:
        print(f"note: {report.source.path}: {remark}", file=sys.stderr)
    sys.stderr.flush()
