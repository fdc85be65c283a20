"""Shows the diagnostics of a report on standard error."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from netspec.cli.messages import flags_of, with_flags

if TYPE_CHECKING:
    from netspec.checker import Report


def show_diagnostics(report: Report) -> None:
    """Write diagnostics and remarks to standard error, in colour on a terminal."""
    from netspec.diagnostics import printable, render

    flags = flags_of(click.get_current_context().command)
    colour = sys.stderr.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
    for diagnostic in report.diagnostics:
        help = diagnostic.help
        if help and diagnostic.code != "syntax":  # keywords such as `input` are not flags
            help = with_flags(help, flags)
        text = render(replace(diagnostic, help=help), colour)
        click.echo(printable(text, colour) + "\n", err=True, color=colour)
    for remark in report.remarks:
        click.echo(printable(f"note: {report.source.path}: {remark}"), err=True)
