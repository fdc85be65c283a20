"""JSON with every layer and diagnostic; later versions add fields but never rename or remove any."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from netspec.checker import Report
from netspec.datasets.info import DatasetInfo
from netspec.emit.formats import Format, Options
from netspec.graph import Net, Node
from netspec.memory import estimate
from netspec.shape import CONVENTION


def write(reports: Sequence[Report], options: Options) -> str:
    """Return a JSON object for one spec, or a list of objects for several."""
    made = [as_dict(r, options.batch, options.data) for r in reports]
    return json.dumps(made[0] if len(made) == 1 else made, indent=2, ensure_ascii=False, default=str)


def as_dict(report: Report, batch: int | None = None, data: DatasetInfo | None = None) -> dict[str, object]:
    """Return a report as JSON values: shapes are lists without the batch, names as in the state_dict."""
    net = report.net
    made: dict[str, object] = {
        "spec": report.source.path,
        "network": report.network,
        "ok": report.ok,
        "arguments": dict(report.arguments),
        "convention": CONVENTION,
        "inputs": [{"name": n.name, "shape": list(n.shape)} for n in net.inputs] if net else [],
        "outputs": outputs(net) if net else [],
        "totals": totals(net, batch) if net else None,
        "layers": [layer(net, n) for n in net.layers] if net else [],
        "remarks": list(report.remarks),
        "plugins": [asdict(p) for p in report.plugins],
        "diagnostics": [d.as_json() for d in report.diagnostics],
    }
    return made | {"data": data.to_dict(net)} if data and net else made


def outputs(net: Net) -> list[dict[str, object]]:
    found = ((o, net.nodes[o.node].shape) for o in net.outputs)
    return [{"name": o.name, "shape": list(s), "training": o.training, "weight": o.weight} for o, s in found]


def totals(net: Net, batch: int | None) -> dict[str, object]:
    """Return the totals for one image, and the bytes of weights, activations and training in float32."""
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
        "receptive_field": [f.size for f in node.receptive_field],
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


FORMAT = Format(write, holds_diagnostics=True)
