"""Drawing a network as DOT, the language of Graphviz."""

from __future__ import annotations

from collections.abc import Iterator

from netspec.emit.dot import labels, style
from netspec.emit.dot.figure import Arrow, Box, Cluster, lay_out
from netspec.emit.dot.style import Attributes, Direction, colours
from netspec.emit.dot.text import quote
from netspec.graph import Net, Output


def dot(net: Net, *, direction: Direction = "TB", depth: int | None = None) -> str:
    """Draw a network as DOT text: layers are boxes, groups are frames, and arrows carry shapes.

    `direction` is the direction of the data flow, such as `TB` for top to bottom. A block or group nested
    deeper than `depth` levels is drawn as a single box.
    """
    drawing = lay_out(net, depth)
    looks = listed({**style.GRAPH, "rankdir": direction})
    lines = [
        f"graph [{looks}, label={labels.heading(net)}, tooltip={quote(net.name)}]",
        f"node [{listed(style.NODE)}]",
        f"edge [{listed(style.EDGE)}]",
        *children(net, drawing.root, 0),
        *(terminal(net, output) for output in net.outputs),
        *(arrow(a) for a in drawing.arrows()),
    ]
    return "\n".join([f"digraph {quote(net.name)} {{", *(f"  {line}" for line in lines), "}", ""])


def listed(attributes: Attributes) -> str:
    """Return attributes in DOT's syntax."""
    return ", ".join(f"{k}={quote(v) if isinstance(v, str) else v}" for k, v in attributes.items())


def children(net: Net, cluster: Cluster, level: int) -> Iterator[str]:
    """Yield the DOT statements of the boxes and frames inside a frame."""
    for child in cluster.children:
        if isinstance(child, Box):
            yield statement(net, child, cluster.scope.path)
        else:
            yield from frame(net, child, cluster.scope.path, level)


def frame(net: Net, cluster: Cluster, around: str, level: int) -> Iterator[str]:
    """Yield a group or block as a frame with a caption."""
    scope = cluster.scope
    looks: Attributes = {
        "style": "rounded,filled,dashed" if scope.shares else "rounded,filled",
        "fillcolor": style.GROUNDS[min(level, len(style.GROUNDS) - 1)],
        "color": "#b0b0b0",
        "labeljust": "l",
        "margin": 10,
    }
    tip = quote(f"{scope.path} {labels.call(scope)}".rstrip())
    yield f"subgraph {quote(f'cluster_{scope.path}')} {{"
    yield f"  graph [{listed(looks)}, label={labels.caption(scope, around)}, tooltip={tip}]"
    yield from (f"  {line}" for line in children(net, cluster, level + 1))
    yield "}"


def statement(net: Net, box: Box, around: str) -> str:
    """Return the DOT node of a box."""
    kind = box.head.op.kind
    looks: dict[str, str | int | float] = {}
    if not box.scopes:
        looks |= {"merge": style.JOIN, "tensor": style.TENSOR, "input": style.TERMINAL}.get(kind, {})
    if box.shares:
        looks["style"] = f"{looks.get('style', style.NODE['style'])},dashed"
    looks |= colours(style.FOLDED if box.scopes else style.PALETTE[kind])
    tip = quote(*labels.tooltip(net, box))
    return f"{quote(box.name)} [label={labels.label(net, box, around)}, {listed(looks)}, tooltip={tip}]"


def terminal(net: Net, output: Output) -> str:
    """Return the DOT node of an output. It is dashed if the output is used only in training."""
    rows = [(output.name if len(net.outputs) > 1 else "", style.TITLE, "b"), ("output", style.BODY, "")]
    if output.training:
        rows.append((f"in training, weight {output.weight:g}", style.SMALL, "i"))
    looks = {**style.TERMINAL, **colours(style.PALETTE["input"])}
    looks["style"] = "rounded,filled,dashed" if output.training else "rounded,filled"
    tip = quote(f"{output.name}: {net.nodes[output.node].shape}")
    return f"{end(output)} [label={labels.stack(rows)}, {listed(looks)}, tooltip={tip}]"


def end(output: Output) -> str:
    """Return the name of an output's node. Its parentheses keep it distinct from every layer's name."""
    return quote(f"output({output.name})")


def arrow(a: Arrow) -> str:
    """Return the DOT edge of an arrow, labelled with the shape that it carries."""
    target = quote(a.target.name) if isinstance(a.target, Box) else end(a.target)
    tip = quote(f"{a.value.name}: {a.value.shape}")
    looks = {"label": f" {a.value.shape} ", **({"style": "dashed"} if a.aside else {})}
    return f"{quote(a.source.name)} -> {target} [{listed(looks)}, tooltip={tip}, labeltooltip={tip}]"
