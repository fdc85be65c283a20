"""The texts around a network's table: its title, its totals, and the arithmetic of each layer."""

from __future__ import annotations

from netspec.emit.rows import describe
from netspec.graph import Net, Node
from netspec.language.values import spell
from netspec.memory import Memory
from netspec.shape import CONVENTION

OPERATIONS = ("comparisons", "additions", "multiplications", "divisions", "exponentials")
BYTES_PER_NUMBER = 4
"""The size of a float32."""


def title(net: Net) -> str:
    """Return the network's name, arguments and citation."""
    arguments = ", ".join(f"{k}={spell(v)}" for k, v in net.arguments.items())
    return f"{net.name}({arguments})" + (f"  {net.citation}" if net.citation else "")


def totals(net: Net, memory: Memory) -> list[str]:
    """Return the totals as sentences, with units and with the convention for counting MACs."""
    t = net.totals
    buffers = f", {t.buffers:,} in buffers" if t.buffers else ""
    weights = BYTES_PER_NUMBER * (t.params + t.buffers) / 1e6
    aside = "; layers used only in training are not counted" if net.training_only else ""
    active = BYTES_PER_NUMBER * t.activations / 1e6
    return [
        f"{t.layers} layer{'s' * (t.layers != 1)}, {t.params:,} parameters, all trainable{buffers}",
        f"{t.macs:,} MACs ({human(t.macs)}): {CONVENTION}{aside}",
        f"{weights:,.1f} MB of weights, {active:,.1f} MB of activations for one image, in float32",
        f"about {memory.total / 1e9:,.2f} GB to train with {memory.conditions}",
    ]


def human(count: float) -> str:
    """Return a count with a unit.

    >>> human(724_406_816), human(431_080)
    ('724.4 M', '431.1 k')
    """
    for scale, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= scale:
            return f"{count / scale:.4g} {unit}"
    return f"{count:.4g}"


def explain(net: Net) -> str:
    """Return how the shape, parameters, MACs and receptive field of each layer are computed."""
    return "\n\n".join("\n".join(arithmetic(net, n)) for n in net.layers)


def arithmetic(net: Net, node: Node) -> list[str]:
    """Return how the counts of one layer are computed, with a line for each count."""
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
        old, new = net.nodes[node.inputs[0]].receptive_field[0], node.receptive_field[0]
        lines.append(
            f"  field   {old.size} + ({reach[0][0]} - 1)*{old.step} = {new.size}, every {new.step} pixels"
        )
    return lines
