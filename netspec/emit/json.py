"""Report to JSON, a stable contract for machines."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from netspec.checker import Report
from netspec.datasets.info import Samples, figures
from netspec.graph import Net, Node
from netspec.memory import estimate
from netspec.shape import CONVENTION


def reports(many: Sequence[Report], batch: int | None = None, data: Samples | None = None) -> str:
    """One spec gives an object, several give a list of them."""
    made = [report(r, batch) | ({"data": figures(r.net, data)} if data and r.net else {}) for r in many]
    return json.dumps(made[0] if len(made) == 1 else made, indent=2, ensure_ascii=False, default=str)


def report(r: Report, batch: int | None = None) -> dict[str, object]:
    """What a check found: shapes are lists of sizes without the batch, names are state_dict paths."""
    net = r.net
    return {
        "spec": r.source.path,
        "network": r.network,
        "ok": r.ok,
        "arguments": dict(r.arguments),
        "convention": CONVENTION,
        "inputs": [{"name": n.name, "shape": list(n.shape)} for n in net.inputs] if net else [],
        "outputs": outputs(net) if net else [],
        "totals": totals(net, batch) if net else None,
        "layers": [layer(net, n) for n in net.layers] if net else [],
        "remarks": list(r.remarks),
        "plugins": [asdict(p) for p in r.plugins],
        "diagnostics": [d.as_json() for d in r.diagnostics],
    }


def outputs(net: Net) -> list[dict[str, object]]:
    found = ((o, net.nodes[o.node].shape) for o in net.outputs)
    return [{"name": o.name, "shape": list(s), "training": o.training, "weight": o.weight} for o, s in found]


def totals(net: Net, batch: int | None) -> dict[str, object]:
    """Sums for one image, and the bytes of float32 weights, activations and training."""
    t, memory = net.totals, estimate(net, batch)
    return {
        "layers": t.layers,
        "params": t.params,
        "trainable": t.params,
        "buffers": t.buffers,
        **operations(net.totals.cost),
        "activations": t.activations,
        "weight_bytes": 4 * (t.params + t.buffers),
        "activation_bytes": 4 * t.activations,
        "training_bytes": memory.total,
        "training_batch": memory.batch,
    }


def operations(cost: object) -> dict[str, int]:
    names = ("macs", "comparisons", "additions", "multiplications", "divisions", "exponentials")
    return {name: getattr(cost, name) for name in names}


def layer(net: Net, node: Node) -> dict[str, object]:
    return {
        "name": node.name,
        "op": node.op.keyword,
        "arguments": {k: jsonable(v) for k, v in node.op.summary().items()},
        "inputs": [net.nodes[i].name for i in node.inputs],
        "shape": list(node.shape),
        "params": node.params,
        "buffers": node.buffers,
        **operations(node.cost),
        "activations": node.shape.numbers if node.batched else 0,
        "receptive_field": [f.size for f in node.sees],
        "training_only": node.id in net.training_only,
        "shares": net.nodes[node.shares].name if node.shares is not None else None,
        "tensors": {t.name: list(t.shape) for t in node.tensors},
    }


def jsonable(value: object) -> object:
    return (
        value
        if isinstance(value, bool | int | float | str | None)
        else list(value)
        if isinstance(value, tuple)
        else str(value)
    )
