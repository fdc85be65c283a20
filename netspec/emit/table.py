"""Net to a table for people: aligned text, Markdown or CSV, with totals and, on request, the arithmetic."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from netspec.emit.rows import Row, describe, rows
from netspec.graph import Net, Node
from netspec.language.values import spell
from netspec.memory import Memory
from netspec.shape import CONVENTION

COLUMNS = ("name", "op", "output", "params", "MACs", "activation", "field")
OPS = ("comparisons", "additions", "multiplications", "divisions", "exponentials")
FLOAT = 4
"""Bytes of a float32 number."""


def cells(row: Row, ops: bool, indent: str = "  ", group: bool = True) -> list[str]:
    """The texts of one row; zeros are left blank, as most layers count nothing."""
    counts = [row.params, row.cost.macs, row.activation]
    texts = [f"{n:,}" if n and group else str(n) if n else "" for n in counts]
    more = [getattr(row.cost, name) for name in OPS] if ops else []
    name = indent * row.depth + (row.name.rpartition(".")[2] if indent else row.name)
    extra = [f"{n:,}" if n and group else str(n) if n else "" for n in more]
    return [name, row.op, str(row.shape), *texts, row.field, *extra]


def text(net: Net, memory: Memory, depth: int | None = None, ops: bool = False) -> str:
    """The table and the totals, aligned for a terminal."""
    head = [*COLUMNS, *(OPS if ops else ())]
    body = [clip(cells(row, ops)) for row in rows(net, depth)]
    widths = [max(len(r[k]) for r in [head, *body]) for k in range(len(head))]
    lines = [title(net), "", aligned(head, widths), "  ".join("-" * w for w in widths)]
    lines += [aligned(r, widths) for r in body]
    return "\n".join([*lines, "", *totals(net, memory)])


def clip(texts: list[str]) -> list[str]:
    """Long arguments are cut, so that a row stays on its line."""
    return [t if len(t) <= 48 else t[:47] + "…" for t in texts]


def aligned(texts: Sequence[str], widths: Sequence[int]) -> str:
    """Words to the left, numbers to the right."""
    padded = [t.ljust(w) if k < 3 else t.rjust(w) for k, (t, w) in enumerate(zip(texts, widths, strict=True))]
    return "  ".join(padded).rstrip()


def markdown(net: Net, memory: Memory, depth: int | None = None, ops: bool = False) -> str:
    """The table and the totals in Markdown."""
    head = [*COLUMNS, *(OPS if ops else ())]
    lines = [
        "| " + " | ".join(head) + " |",
        "| " + " | ".join(["---"] * 3 + ["---:"] * (len(head) - 3)) + " |",
    ]
    for row in rows(net, depth):
        texts = [c.replace("|", "\\|").replace("<", "&lt;") for c in cells(row, ops, indent="")]
        lines.append("| " + " | ".join(texts) + " |")
    return "\n".join([f"**{title(net)}**", "", *lines, "", *(f"- {line}" for line in totals(net, memory))])


def comma_separated(nets: Sequence[tuple[str, Net]], depth: int | None = None, ops: bool = False) -> str:
    """The rows as CSV with plain numbers, those of several specs told apart by their first column.

    ' stands before what a spreadsheet could take for a formula.
    """
    out, several = io.StringIO(), len(nets) > 1
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*(["spec"] if several else []), *COLUMNS, *(OPS if ops else ())])
    for spec, net in nets:
        for row in rows(net, depth):
            texts = [*([spec] if several else []), *cells(row, ops, indent="", group=False)]
            writer.writerow(["'" + t if t[:1] in "=+-@" and t else t for t in texts])
    return out.getvalue().rstrip("\n")


def title(net: Net) -> str:
    arguments = ", ".join(f"{k}={spell(v)}" for k, v in net.arguments.items())
    return f"{net.name}({arguments})" + (f"  {net.citation}" if net.citation else "")


def totals(net: Net, memory: Memory) -> list[str]:
    """The sums, in sentences that name their convention."""
    t = net.totals
    buffers = f", {t.buffers:,} in buffers" if t.buffers else ""
    weights = FLOAT * (t.params + t.buffers) / 1e6
    aside = "; what runs in training alone is left out" if net.training_only else ""
    active = FLOAT * t.activations / 1e6
    return [
        f"{t.layers} layer{'s' * (t.layers != 1)}, {t.params:,} parameters, all trainable{buffers}",
        f"{t.macs:,} MACs ({human(t.macs)}): {CONVENTION}{aside}",
        f"{weights:,.1f} MB of weights, {active:,.1f} MB of activations for one image, in float32",
        f"about {memory.total / 1e9:,.2f} GB to train with {memory.words}",
    ]


def human(count: float) -> str:
    """A count with a unit.

    >>> human(724_406_816), human(431_080)
    ('724.4 M', '431.1 k')
    """
    for scale, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= scale:
            return f"{count / scale:.4g} {unit}"
    return f"{count:.4g}"


def explain(net: Net) -> str:
    """Every layer with the arithmetic of its shape, parameters, MACs and receptive field worked out."""
    return "\n\n".join("\n".join(story(net, n)) for n in net.layers)


def story(net: Net, node: Node) -> list[str]:
    shapes = net.shapes(node)
    lines = [f"{node.name}: {describe(node)}"]
    sums = node.op.explain(*shapes, y=node.shape)
    before = " and ".join(map(str, shapes)) or "nothing"
    lines.append(f"  shape   {before} -> {node.shape}" + (f": {', '.join(sums)}" if sums else ""))
    if node.tensors and node.shares is None:
        parts = [
            f"{t.name or 'value'} {'*'.join(map(str, t.shape)) or '1'}" for t in node.tensors if t.trainable
        ]
        if parts:
            lines.append(f"  params  {' + '.join(parts)} = {node.params:,}")
    if node.cost.macs:
        each, rest = divmod(node.cost.macs, node.shape.numbers)
        how = f"{each:,} for each of {'*'.join(map(str, node.shape))} outputs = " if not rest else ""
        lines.append(f"  MACs    {how}{node.cost.macs:,}")
    if len(node.inputs) == 1 and (reach := node.op.reach(*shapes)) and reach[0][0] > 1:
        old, new = net.nodes[node.inputs[0]].sees[0], node.sees[0]
        lines.append(
            f"  field   {old.size} + ({reach[0][0]} - 1)*{old.step} = {new.size}, every {new.step} pixels"
        )
    return lines
