"""What a spec claims, shapes and totals, held against what was found."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from netspec.checker.naming import UNKNOWN
from netspec.diagnostics import Diagnostic, Label, Source, Span
from netspec.graph import Net, Node
from netspec.language import ast as t
from netspec.language.expressions import evaluate
from netspec.language.values import Rounded, spell
from netspec.ops import Op
from netspec.shape import Shape, ShapeError

if TYPE_CHECKING:
    from netspec.checker.context import Context
    from netspec.checker.expand import Expander

COUNTS: Mapping[str, Callable[[Net], int]] = {
    "params": lambda net: net.totals.params,
    "buffers": lambda net: net.totals.buffers,
    "macs": lambda net: net.totals.macs,
    "layers": lambda net: net.totals.layers,
    "activations": lambda net: net.totals.activations,
    "comparisons": lambda net: net.totals.cost.comparisons,
    "additions": lambda net: net.totals.cost.additions,
    "multiplications": lambda net: net.totals.cost.multiplications,
    "divisions": lambda net: net.totals.cost.divisions,
    "exponentials": lambda net: net.totals.cost.exponentials,
    "receptive_field": lambda net: net.nodes[net.outputs[0].node].receptive_field[0].size,
}
"""What `expect` can name."""


def check_shape(expander: Expander, claim: t.Size, value: int, span: Span, ctx: Context) -> None:
    """Hold a shape claim against the shape found; after a refuted one, go on with what was claimed."""
    parts = evaluate(claim, ctx.names)
    assert isinstance(parts, tuple)
    if value == UNKNOWN or expander.shapes_given:
        return
    layers = expander.layers
    node = layers.nodes[value]
    if meets(node.shape, parts):
        layers.held.add(value)
        return
    expander.note(refuted(expander, node, parts, claim.span, ctx), ctx)
    if 0 in parts:
        pass  # no value has such a shape: what follows takes the one found
    elif len(parts) == len(node.shape):
        known = (n if p is None else p for p, n in zip(parts, node.shape, strict=True))
        layers.nodes[value] = replace(node, shape=type(node.shape)(known))
    elif None not in parts and len(parts) <= 3:
        layers.nodes[value] = replace(node, shape=Shape(parts))
    layers.held.add(value)
    layers.unsure.add(value)


def meets(shape: Shape, parts: tuple[int | None, ...]) -> bool:
    """Whether a shape is as claimed; None matches any size."""
    return len(shape) == len(parts) and all(p in (None, n) for p, n in zip(parts, shape, strict=True))


def refuted(
    expander: Expander, node: Node, parts: tuple[int | None, ...], span: Span, ctx: Context
) -> Diagnostic:
    """The diagnostic of a refuted shape claim: the layers that led there, and a change that would meet it."""
    layers = expander.layers
    message = f"{node.label} gives {node.shape}, but {spell(parts)} is claimed"
    chain = layers.chain(node.id)[-FARTHEST:]
    labels = layers.origin(node.id, 4, ctx.calls)
    source = layers.before(chain[0])
    simple = all(len(n.inputs) == 1 for n in chain)
    fix = next(fixes(chain, source.shape, parts), None) if source and simple else None
    help = None
    if fix:
        changed, words, reached = fix
        verb = (
            "keeps" if changed.inputs and reached.hw == layers.nodes[changed.inputs[0]].shape.hw else "gives"
        )
        size = "x".join(map(str, reached.hw if verb == "keeps" else reached))
        help = f"{changed.label} with {words} {verb} {size}"
        help += "" if changed is chain[-1] else f", and then {node.label} gives {spell(parts)}"
    story = "".join(layers.origin(node.id, 1, ctx.calls)[0].text.partition(": ")[2:]) if node.inputs else ""
    place = layers.place(node, ctx.calls)
    if line_of(place.end - 1, place) == line_of(span.start, span):
        labels = [x for x in labels if x.span != place or len(labels) == 1]
    own = "" if any(x.span == place for x in labels) else story
    return Diagnostic("shape-mismatch", message, span, text=own, labels=tuple(labels), help=help)


def line_of(offset: int, span: Span) -> tuple[Source, int]:
    """The file and line of an offset."""
    return span.source, span.source.place(offset)[0]


Fix = tuple[Node, str, Shape]


def fixes(chain: Sequence[Node], start: Shape, parts: tuple[int | None, ...]) -> Iterator[Fix]:
    """Changes of one argument of one layer that would meet the claim, the most natural first."""
    shapes = [start, *(n.shape for n in chain)]
    found = []
    for place, node in enumerate(chain):
        for cost, words, op in variants(node.op, shapes[place]):
            shape = shapes[place]
            try:
                reached = op.infer(shape)
                shape = reached
                for later in chain[place + 1 :]:
                    shape = later.op.infer(shape)
            except ShapeError:
                continue
            if len(reached) == 3 and meets(shape, parts):
                found.append((cost, -place, words, node, reached))
    for _, _, words, node, reached in sorted(found, key=lambda f: f[:3]):
        yield node, words, reached


FARTHEST = 12
"""How many layers back a suggestion looks."""

LIKELY = 16
"""The most padding that a suggestion looks at."""


def variants(op: Op, x: Shape) -> Iterator[tuple[int, str, Op]]:
    """Other arguments that a window might have been meant to have, and how far-fetched each is."""
    axes = op.axes(x) if len(x) == 3 else ()
    if not axes:
        return
    current = {name: getattr(op, name) for name in type(op).model_fields}
    reach = axes[0].reach
    same = (reach - 1) // 2
    for padding in range(min(reach // 2, LIKELY) + 1):
        if (padding, padding) != current["padding"]:
            cost = 0 if padding == same and axes[0].stride == 1 else 2 if padding else 3
            yield cost, f"padding={padding}", op.model_copy(update={"padding": (padding, padding)})
    if "ceil" in current:
        yield 1, f"ceil={spell(not current['ceil'])}", op.model_copy(update={"ceil": not current["ceil"]})
    for stride in range(1, 5):
        if (stride, stride) != (axes[0].stride, axes[1].stride):
            yield 4, f"stride={stride}", op.model_copy(update={"stride": (stride, stride)})
    for kernel in (1, 2, 3, 5, 7, 11):
        if (kernel, kernel) != current["kernel"]:
            yield 5, f"kernel={kernel}", op.model_copy(update={"kernel": (kernel, kernel)})


def check_totals(net: Net, expectations: Sequence[tuple[str, object, t.Argument]]) -> Iterator[Diagnostic]:
    """Hold expected totals against the counts: exactly, or to the digits of a rounded number."""
    for name, value, claim in expectations:
        count = COUNTS[name](net)
        agrees = value.agrees(count) if isinstance(value, Rounded) else value == count
        if agrees:
            continue
        written = spell(value) if isinstance(value, Rounded) else f"{value:,}"
        assert isinstance(value, int | float)
        gap = count - value
        message = f"{name} = {written} is expected, but {count:,} are counted"
        note = f"that is {abs(gap):,.0f} {'more' if gap > 0 else 'fewer'}"
        labels = tuple(largest(net, name))
        place = claim.value.span
        yield Diagnostic("expectation", message, place, text=f"{count:,}", labels=labels, notes=(note,))


def largest(net: Net, name: str) -> Iterator[Label]:
    """The three lines of the spec that most of a total comes from."""
    lines: dict[Span, list[int]] = {}
    for node in net.layers:
        if each := {"params": node.params, "macs": node.cost.macs}.get(name):
            lines.setdefault(node.span, []).append(each)
    for span, counts in sorted(lines.items(), key=lambda item: -sum(item[1]))[:3]:
        layers = f" in {len(counts)} layers" if len(counts) > 1 else ""
        yield Label(span, f"{sum(counts):,} {name}{layers}")
