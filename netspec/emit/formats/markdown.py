"""Markdown for documents and pull requests: a row for each layer; the columns add up to the totals."""

from __future__ import annotations

from collections.abc import Sequence

from netspec.checker import Report
from netspec.datasets.info import params_sentence
from netspec.emit.formats import Format, Options
from netspec.emit.leaves import columns, leaf_cells
from netspec.emit.summary import explain, title, totals
from netspec.graph import Net
from netspec.memory import estimate
from netspec.tables import escape, markdown, percent


def write(reports: Sequence[Report], options: Options) -> str:
    """Return a section for each network."""
    return "\n\n".join(section(r.net, options) for r in reports if r.net)


def section(net: Net, options: Options) -> str:
    """Return the table of one network, its totals, and further parts according to the options."""
    head = columns(ops=options.ops)
    body = [
        [shown(name, cell) for name, cell in zip(head, cells, strict=True)]
        for cells in leaf_cells(net, options.depth, ops=options.ops)
    ]
    facts = [
        *totals(net, estimate(net, options.batch)),
        *([params_sentence(net, options.data)] if options.data else []),
    ]
    parts = [
        f"**{escape(title(net))}**",
        markdown(head, body, words=head.index("output") + 1),
        "\n".join(f"- {line}" for line in facts),
    ]
    return "\n\n".join(parts + ([f"```\n{explain(net)}\n```"] if options.explain else []))


def shown(column: str, cell: str | int | float) -> str:
    """Return the text of a cell: counts with commas, shares in per cent, and nothing for zeros."""
    if isinstance(cell, str):
        return cell
    return "" if not cell else percent(cell) if column == "share" else f"{cell:,}"


FORMAT = Format(write)
