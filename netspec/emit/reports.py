"""What `check` prints for one spec or many, in each format."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from netspec.checker import Report
from netspec.datasets.info import Samples, sentence
from netspec.diagnostics import printable, render
from netspec.emit import json, sarif, table
from netspec.memory import estimate


def write_reports(
    reports: Sequence[Report],
    *,
    form: str,
    explain: bool,
    ops: bool,
    depth: int | None,
    batch: int | None,
    data: Samples | None = None,
) -> None:
    """Write results to standard output; for people, diagnostics go to standard error."""
    if form == "json":
        emit(json.reports(reports, batch, data))
    elif form == "sarif":
        emit(sarif.sarif(reports))
    elif form == "csv":
        emit(table.comma_separated([(r.source.path, r.net) for r in reports if r.net], depth, ops))
        for report in reports:
            show_diagnostics(report)
    else:
        for place, report in enumerate(reports):
            show_diagnostics(report)
            if report.net:
                emit(("\n" if place else "") + shown(report, form, explain, ops, depth, batch))
                if data:
                    emit(("\n" if form == "markdown" else "") + sentence(report.net, data))
        if form == "table":
            emit_verdicts(reports)


def shown(report: Report, form: str, explain: bool, ops: bool, depth: int | None, batch: int | None) -> str:
    """One network as a table in its format, its arithmetic below it if that is asked for."""
    assert report.net is not None
    memory = estimate(report.net, batch)
    text = (table.markdown if form == "markdown" else table.text)(report.net, memory, depth, ops)
    if not explain:
        return text
    fence = "```\n" if form == "markdown" else ""
    return f"{text}\n\n{fence}{table.explain(report.net)}" + ("\n```" if fence else "")


def emit_verdicts(reports: Sequence[Report]) -> None:
    """Say of each spec whether it holds, after the tables."""
    lines = []
    for report in reports:
        errors = sum(d.severity == "error" for d in report.diagnostics)
        warnings = len(report.diagnostics) - errors
        counts = [
            f"{n} {word}{'s' * (n != 1)}" for n, word in ((errors, "error"), (warnings, "warning")) if n
        ]
        lines.append(f"{report.source.path}: {', '.join(counts) or 'ok'}")
    emit("\n" + "\n".join(lines) if any(r.net for r in reports) else "\n".join(lines))


def show_diagnostics(report: Report) -> None:
    """Show faults and remarks on standard error, in colour on a terminal."""
    colour = sys.stderr.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
    for diagnostic in report.diagnostics:
        print(printable(render(diagnostic, colour), colour), end="\n\n", file=sys.stderr)
    for remark in report.remarks:
        print(f"note: {report.source.path}: {remark}", file=sys.stderr)
    sys.stderr.flush()


def emit(text: str) -> None:
    print(printable(text))
