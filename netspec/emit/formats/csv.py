"""CSV for spreadsheets and scripts: a row for each layer; the columns add up to the network's totals."""

from __future__ import annotations

from collections.abc import Sequence

from netspec.checker import Report
from netspec.emit.formats import Format, Options
from netspec.emit.leaves import columns, leaf_cells
from netspec.tables import comma_separated


def write(reports: Sequence[Report], options: Options) -> str:
    """Return the rows of all networks; if there are several specs, the first column names the spec."""
    nets = [(r.source.path, r.net) for r in reports if r.net]
    first = ["spec"] if len(reports) > 1 else []
    body = [
        [*([path] if first else []), *cells]
        for path, net in nets
        for cells in leaf_cells(net, options.depth, ops=options.ops)
    ]
    return comma_separated([*first, *columns(ops=options.ops)], body)


FORMAT = Format(write)
