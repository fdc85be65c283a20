"""An output format for `netspec check`: one line of totals per network."""

from __future__ import annotations

from collections.abc import Sequence

from netspec.checker import Report
from netspec.emit.formats import Format, Options


def write(reports: Sequence[Report], options: Options) -> str:
    """Return name, parameters and MACs, separated by tabs; specs with errors are left out."""
    nets = [report.net for report in reports if report.net]
    return "\n".join(f"{net.name}\t{net.totals.params}\t{net.totals.macs}" for net in nets)


TOTALS = Format(write)
