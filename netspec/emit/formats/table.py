"""A table for a terminal: the sums of each block or group, followed by its layers, and the totals."""

from __future__ import annotations

from collections.abc import Sequence

from netspec.checker import Report
from netspec.datasets.info import params_sentence
from netspec.emit.formats import Format, Options
from netspec.emit.rows import Row, rows
from netspec.emit.summary import OPERATIONS, explain, title, totals
from netspec.graph import Net
from netspec.memory import estimate
from netspec.tables import align

COLUMNS = ("name", "op", "output", "params", "MACs", "activation", "field")
WIDEST_CELL = 48


def write(reports: Sequence[Report], options: Options) -> str:
    """Return the table of each network, then a line for each spec with the result of its check."""
    parts = [network_table(r.net, options) for r in reports if r.net]
    return "\n\n".join([*parts, "\n".join(map(verdict, reports))])


def network_table(net: Net, options: Options = Options()) -> str:  # noqa: B008 - a frozen value
    """Return the table of one network, its totals, and further parts according to the options."""
    head = [*COLUMNS, *(OPERATIONS if options.ops else ())]
    body = [cells(row, ops=options.ops) for row in rows(net, options.depth)]
    memory = estimate(net, options.batch)
    parts = [title(net), align(head, body, words=3), "\n".join(totals(net, memory))]
    parts += [explain(net)] if options.explain else []
    text = "\n\n".join(parts)
    return f"{text}\n{params_sentence(net, options.data)}" if options.data else text


def cells(row: Row, *, ops: bool) -> list[str]:
    """Return the cells of one row; zeros are left blank, and long arguments are truncated."""
    counts = [row.params, row.cost.macs, row.activation]
    more = [getattr(row.cost, name) for name in OPERATIONS] if ops else []
    numbers = [f"{n:,}" if n else "" for n in counts]
    name = "  " * row.depth + row.label
    texts = [name, row.op, str(row.shape), *numbers, row.field, *(f"{n:,}" if n else "" for n in more)]
    return [t if len(t) <= WIDEST_CELL else t[: WIDEST_CELL - 1] + "…" for t in texts]


def verdict(report: Report) -> str:
    """Return the result of a check in one line: ok, or the numbers of errors and warnings."""
    errors = sum(d.severity == "error" for d in report.diagnostics)
    counts = ((errors, "error"), (len(report.diagnostics) - errors, "warning"))
    parts = [f"{n} {word}{'s' * (n != 1)}" for n, word in counts if n]
    return f"{report.title or report.source.path}: {', '.join(parts) or 'ok'}"


FORMAT = Format(write)
