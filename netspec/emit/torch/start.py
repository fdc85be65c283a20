"""How the weights start: the lines at the end of the network's `__init__`."""

from __future__ import annotations

from collections.abc import Mapping

from netspec.emit.torch.names import TENSORS, reach
from netspec.graph import Net, Node
from netspec.ops.start import INITS, Weighted
from netspec.values import Call, python


def start(net: Net) -> list[str]:
    """Set every tensor whose start the spec states; one loop where all modules of a type start alike."""
    stated = {n.id: n.op.starts() for n in net.nodes if isinstance(n.op, Weighted) and n.shares is None}
    kinds: dict[str, list[Node]] = {}
    for i in stated:
        node = net.nodes[i]
        made = node.op.module(*net.shapes(node))
        if node.op.kind != "tensor" and made:
            kinds.setdefault(made.function, []).append(node)
    looped: dict[str, Mapping[str, Call]] = {}
    for function, nodes in kinds.items():
        alike = {
            t: c for t, c in stated[nodes[0].id].items() if all(same(stated[n.id], t, c, n) for n in nodes)
        }
        if len(nodes) > 2 and alike:
            looped[function] = alike
    lines = loop(looped, kinds)
    for i, calls in stated.items():
        node = net.nodes[i]
        made = node.op.module(*net.shapes(node))
        done = looped.get(made.function, {}) if made else {}
        target = reach(node.name, TENSORS.get(node.op.keyword, "submodule"))
        for tensor, call in calls.items():
            if tensor not in done and not (node.op.kind == "tensor" and call.name == "zeros"):
                lines.append(fill(call, f"{target}.{tensor}" if tensor else target))
    return lines


def same(stated: Mapping[str, Call], tensor: str, call: Call, node: Node) -> bool:
    """Whether a layer starts this tensor so, or has no such tensor."""
    return stated.get(tensor) == call or tensor not in {t.name for t in node.tensors}


def loop(looped: Mapping[str, Mapping[str, Call]], kinds: Mapping[str, list[Node]]) -> list[str]:
    if not looped:
        return []
    lines = ["for module in self.modules():"]
    for k, (function, calls) in enumerate(looped.items()):
        lines.append(f"    {'if' if k == 0 else 'elif'} isinstance(module, {function}):")
        for tensor, call in calls.items():
            somewhere = all(tensor in {t.name for t in n.tensors} for n in kinds[function])
            deeper = "        " if somewhere else "            "
            if not somewhere:
                lines.append(f"        if module.{tensor} is not None:")
            lines.append(deeper + fill(call, f"module.{tensor}"))
    return lines


def fill(call: Call, target: str) -> str:
    """The call of torch.nn.init that fills a tensor."""
    options = [f"{k}={python(call.kwargs[k])}" for k in INITS[call.name] if k in call.kwargs]
    return f"nn.init.{call.name}_({', '.join([target, *options])})"
