"""The rows of a network for CSV and Markdown: one for each layer or folded block, so that columns add up."""

from __future__ import annotations

from collections.abc import Iterator

from netspec.emit.rows import Row, rows
from netspec.emit.summary import BYTES_PER_NUMBER, OPERATIONS
from netspec.graph import Net
from netspec.shape import Cost

COLUMNS = (
    "name",
    "kind",
    "op",
    "input",
    "output",
    "params",
    "buffers",
    "MACs",
    "training MACs",
    "activation",
    "bytes",
    "share",
    "field",
)
"""The columns. `bytes` counts parameters and buffers in float32. `share` is the fraction of all parameters.

`MACs` counts layers that run in evaluation, `training MACs` layers that run only in training.
"""


def columns(*, ops: bool = False) -> list[str]:
    """Return the names of the columns; `ops` adds a column for each kind of operation."""
    return [*COLUMNS, *(OPERATIONS if ops else ())]


def leaf_cells(net: Net, depth: int | None = None, *, ops: bool = False) -> Iterator[list[str | int | float]]:
    """Yield the cells of each row. The counts in each column add up to the network's total."""
    total = net.totals.params
    for row in rows(net, depth):
        folded = row.scope and row.depth + 1 == depth
        if (row.scope and not folded) or row.kind == "input":
            continue
        cost = Cost.sum([Cost(), *(n.cost for n in row.nodes if n.id not in net.training_only)])
        yield [
            *(row.name, row.kind, row.op, inputs(net, row), str(row.shape)),
            *(row.params, row.buffers, cost.macs, row.cost.macs - cost.macs, row.activation),
            *(BYTES_PER_NUMBER * (row.params + row.buffers), row.params / total if total else 0.0, row.field),
            *(getattr(cost, name) for name in (OPERATIONS if ops else ())),
        ]


def inputs(net: Net, row: Row) -> str:
    """Return the input shapes of a layer, or of a folded block or group."""
    own = {n.id for n in row.nodes}
    outer = dict.fromkeys(i for n in row.nodes for i in n.inputs if i not in own)
    return " ".join(str(net.nodes[i].shape) for i in outer)
