"""The texts of a drawing: labels of boxes, captions of groups, the heading and the tooltips."""

from __future__ import annotations

from collections.abc import Iterator

from netspec.emit.dot.figure import Box
from netspec.emit.dot.style import BODY, FAINT, SMALL, TITLE
from netspec.emit.dot.text import escape, short, shorten, wrap
from netspec.graph import Net, Node, Scope
from netspec.language.values import spell
from netspec.ops import Op
from netspec.ops.base import single

TIMES = "\N{MULTIPLICATION SIGN}"
SIGNS = {"add": "+", "mul": TIMES}
HIDDEN = ("init", "bias_init")
SHOWN = {"dropout": ("p",)}
"""Arguments that are shown even if they have their default values, by the kind of layer."""
WIDE, LONG = 34, 60
"""The maximum numbers of characters in a line of a box, and in a text; longer texts are truncated."""


def words(op: Op) -> list[str]:
    """Return the texts for the arguments of an op, such as `96`, `11x11`, `stride 4`."""
    given, parts = op.summary(), []
    for name, field in type(op).model_fields.items():
        value = getattr(op, name)
        word = name.replace("_", " ")
        if name in SHOWN.get(op.kind, ()) or field.is_required():
            parts.append(say(value))
        elif name in given and isinstance(value, bool):
            parts.append(word if value else f"no {word}")
        elif name in given and name not in HIDDEN:
            parts.append(f"{word} {say(single(value))}")
    return parts


def phrase(op: Op) -> list[str]:
    """Return the texts for an op and its arguments, such as `conv 96`, `11x11`, `stride 4`."""
    parts = words(op)
    return [" ".join([op.keyword, *parts[:1]]), *parts[1:]]


def say(value: object) -> str:
    """Return an argument's value, truncated to `LONG` characters."""
    text = value if isinstance(value, str) else f"{value:g}" if isinstance(value, float) else spell(value)
    return shorten(text, LONG)


def title(name: str, around: str) -> str:
    """Return a name relative to its group. Numbers keep the group's last name, as in `features.0`."""
    short_name = name.removeprefix(f"{around}.") if around else name
    if short_name[:1].isdigit() and around:
        short_name = f"{around.rpartition('.')[2]}.{short_name}"
    return shorten(short_name, LONG)


def call(scope: Scope) -> str:
    """Return the call of a scope's block, with the values of its arguments."""
    if scope.block is None:
        return ""
    arguments = ", ".join(map(spell, scope.arguments.values()))
    return shorten(f"{scope.block}({arguments})" if arguments else scope.block, 44)


def label(net: Net, box: Box, around: str) -> str:
    """Return the HTML-like label of a box: its name, its layers and its counts."""
    if box.scopes:
        return stack([title_row(box, around), *folded_rows(box), counts(box), *shared(net, box)])
    if box.head.op.kind == "merge":
        sign = SIGNS.get(box.head.op.keyword, box.head.op.keyword)
        return stack([(sign, TITLE, "b"), *after(box)])
    rows = [(line, BODY, "") for line in wrap(doing(box, around), WIDE)]
    return stack([title_row(box, around), *rows, *after(box), counts(box), *shared(net, box)])


def doing(box: Box, around: str) -> list[str]:
    """Return the texts for the first layer of a box. Its op is left out if it equals the layer's name."""
    op = box.head.op
    if op.kind == "input":
        return ["input"]
    return words(op) if title(box.name, around) == op.keyword else phrase(op)


Row = tuple[str, int, str]
"""A line of a label: its text, its size in points, and `b` for bold, `i` for italic, or an empty string."""


def stack(rows: list[Row]) -> str:
    """Return an HTML-like label with these rows; small rows are grey."""
    return "<" + "<br/>".join(row(*r) for r in rows if r[0].strip()) + ">"


def row(text: str, size: int, face: str) -> str:
    body = f"<{face}>{escape(text)}</{face}>" if face else escape(text)
    colour = f' color="{FAINT}"' if size <= SMALL else ""
    return f'<font point-size="{size}"{colour}>{body}</font>'


def title_row(box: Box, around: str) -> Row:
    first = title(box.name, around)
    if len(box.scopes) > 1:
        first += f" … {box.scopes[-1].name}"
    return first, TITLE, "b"


def folded_rows(box: Box) -> list[Row]:
    """Return the rows for a folded box: its block, its repetitions and its number of layers."""
    times, each = len(box.scopes), len(box.nodes) // len(box.scopes)
    block = call(box.scopes[0])
    inside = f"{each} layer{'s' * (each != 1)}"
    if times == 1:
        return [(block, BODY, ""), (inside, BODY, "")]
    return [(f"{block or 'group'} {TIMES} {times}", BODY, ""), (f"{inside} each", BODY, "")]


def after(box: Box) -> list[Row]:
    """Return the rows for the layers in a box after the first."""
    followers = [", ".join(phrase(n.op)) for n in box.nodes[1:]]
    return [(line, BODY, "i") for line in wrap(followers, WIDE, " · ")]


def counts(box: Box) -> Row:
    """Return the row with the parameters and MACs of a box, leaving out zeros."""
    params, macs = sum(n.params for n in box.nodes), sum(n.cost.macs for n in box.nodes)
    parts = [f"{short(params)} param{'s' * (params != 1)}"] if params else []
    parts += [f"{short(macs)} MACs"] if macs else []
    return " · ".join(parts), SMALL, ""


def shared(net: Net, box: Box) -> list[Row]:
    """Return a row with the layer or scope whose weights a box reuses; without reuse, return no row."""
    if not box.shares:
        return []
    owner = box.scopes[0].shares or "" if box.scopes else ""
    if box.head.shares is not None and box.head.tensors and not box.scopes:
        owner = net.nodes[box.head.shares].name
    return [(f"weights of {shorten(owner, LONG)}" if owner else "", SMALL, "i")]


def heading(net: Net) -> str:
    """Return the heading of a drawing: the network, its citation, its inputs and its totals."""
    inputs = ", ".join(f"{n.name} {n.shape}" for n in net.inputs)
    t = net.totals
    parts = [inputs, f"{t.layers} layers", f"{short(t.params)} params", f"{short(t.macs)} MACs"]
    rows = [
        *names(net),
        (shorten(net.citation or "", 2 * LONG), BODY, "i"),
        (" · ".join(shorten(p, LONG) for p in parts), BODY, ""),
    ]
    return stack(rows)


def names(net: Net) -> list[Row]:
    """Return the rows for the network's name and arguments; long arguments get their own row."""
    arguments = [f"{name}={spell(value)}" for name, value in net.arguments.items()]
    whole = f"{net.name}({', '.join(arguments)})" if arguments else net.name
    if len(whole) <= LONG or not arguments:
        return [(shorten(whole, LONG), 16, "b")]
    return [(shorten(net.name, LONG), 16, "b"), (shorten(", ".join(arguments), 2 * LONG), BODY, "")]


def caption(scope: Scope, around: str) -> str:
    """Return the caption of a group; it is left-aligned so that incoming arrows do not cross it."""
    shares = f"weights of {shorten(scope.shares, LONG)}" if scope.shares else ""
    rows = [(title(scope.path, around), 11, "b"), (call(scope), BODY, ""), (shares, SMALL, "i")]
    return "<" + "".join(f'{row(*r)}<br align="left"/>' for r in rows if r[0].strip()) + ">"


def tooltip(net: Net, box: Box) -> Iterator[str]:
    """Yield the lines of a box's tooltip, in plain text."""
    if not box.scopes:
        for node in box.nodes:
            yield from facts(net, node)
        return
    names = [s.path for s in (box.scopes[0], box.scopes[-1])][: len(box.scopes)]
    yield f"{' to '.join(names)} {call(box.scopes[0])}".rstrip() + f": {len(box.nodes)} layers"
    yield f"output shape {box.nodes[-1].shape}"
    yield numbers(sum(n.params for n in box.nodes), sum(n.cost.macs for n in box.nodes))


def facts(net: Net, node: Node) -> Iterator[str]:
    """Yield the lines of a layer's tooltip: all arguments, shapes, counts and the receptive field."""
    fields = node.op.summary() if node.op.kind == "input" else type(node.op).model_fields
    arguments = ", ".join(f"{name}={spell(single(getattr(node.op, name)))}" for name in fields)
    yield shorten(f"{node.name}: {node.op.keyword or node.op.kind}({arguments})", 400)
    if node.inputs:
        yield f"{' and '.join(map(str, net.shapes(node)))} -> {node.shape}"
    if node.params or node.cost.macs:
        yield numbers(node.params, node.cost.macs)
    if node.inputs and max(f.size for f in node.receptive_field) > 1:
        high, wide = node.receptive_field
        yield f"receptive field {high.size}x{wide.size}, step {high.step}x{wide.step}"


def numbers(params: int, macs: int) -> str:
    return f"{params:,} parameters, {macs:,} MACs"
