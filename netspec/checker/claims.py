"""Compares the shapes and totals that a spec claims (after `->` and `expect`) with the computed ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from netspec.checker.layers import Calls, Layers
from netspec.checker.walk import walk
from netspec.diagnostics import Diagnostic, Label, Source, Span
from netspec.graph import Net, Node
from netspec.language import ast as t
from netspec.language.values import Rounded, spell
from netspec.shape import MOST_AXES, Grid, Shape, ShapeError, has_channels

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
"""The totals that `expect` can name."""


def compare_shape(
    layers: Layers, value: int, sizes: tuple[int | None, ...], span: Span, calls: Calls
) -> Diagnostic | None:
    """Compare a claimed shape with the inferred one; return a diagnostic if they differ.

    None in `sizes` matches any size. If the claim is wrong, the node keeps its inferred shape. A later layer
    is reported only if it is wrong with the claimed shape too, so that one mistake gives one diagnostic.
    """
    node, meant = layers.nodes[value], layers.meant.pop(value, None)
    if meets(node.shape, sizes):
        layers.claimed.add(value)
        return None
    if meant is not None and meets(meant, sizes):
        layers.meant[value] = meant
        return None
    if claimed := completed(sizes, node.shape):
        layers.meant[value] = claimed
    return mismatch(layers, node, sizes, span, calls)


def completed(sizes: tuple[int | None, ...], shape: Shape) -> Shape | None:
    """Replace the unknown sizes of a claim with inferred ones; return None if the shape is impossible."""
    if len(sizes) == len(shape):
        sizes = tuple(n if size is None else size for size, n in zip(sizes, shape, strict=True))
    known = [size for size in sizes if size is not None]
    if len(known) != len(sizes) or min(known) < 1 or len(sizes) > MOST_AXES:
        return None
    return (type(shape) if len(sizes) == len(shape) else Shape)(known)


def independent(
    claim: t.Size, sizes: tuple[int | None, ...], layers: Layers, value: int
) -> tuple[int | None, ...]:
    """Return the claimed sizes, with None in place of those that do not hold for every input.

    The sizes that hold for every input are channels, sizes that the layer alone determines, such as the
    features of `linear(10)`, and sizes computed from other shapes, as in `{in.height}`.
    """
    node = layers.nodes[value]
    if len(sizes) != len(node.shape):
        return (None,) * len(sizes)
    own = determined(node, [layers.nodes[i].shape for i in node.inputs])
    return tuple(
        size if own[place] or (part and computed_from_shapes(part)) else None
        for place, (part, size) in enumerate(zip(claim.parts, sizes, strict=True))
    )


def determined(node: Node, inputs: Sequence[Shape]) -> list[bool]:
    """Return, for each size of an output, whether it stays the same for larger inputs of equal channels."""
    channels = [has_channels(node.shape) and place == 0 for place in range(len(node.shape))]
    if not inputs:
        return channels
    try:
        other = node.op.output(*map(larger, inputs))
    except ShapeError:
        return channels
    if len(other) != len(node.shape):
        return channels
    return [kept or a == b for kept, a, b in zip(channels, node.shape, other, strict=True)]


def larger(shape: Shape) -> Shape:
    """Return a shape with twice the height and width, twice the tokens, or twice the features."""
    channels = len(shape) - 1 if isinstance(shape, Grid) or not has_channels(shape) else 0
    fixed = () if len(shape) == 1 else (channels,)
    return type(shape)(n if place in fixed else 2 * n for place, n in enumerate(shape))


def computed_from_shapes(expr: t.Expr) -> bool:
    """Return True if an expression uses a size of another layer or of the input."""
    return any(isinstance(node, t.Attribute) for node in walk(expr))


def meets(shape: Shape, parts: tuple[int | None, ...]) -> bool:
    """Return True if a shape equals the claimed one; None matches any size."""
    return len(shape) == len(parts) and all(p in (None, n) for p, n in zip(parts, shape, strict=True))


def mismatch(
    layers: Layers, node: Node, parts: tuple[int | None, ...], span: Span, calls: Calls
) -> Diagnostic:
    """Return the diagnostic for a wrong claimed shape, with the layers before it and a correction."""
    message = f"the output of {node.label} is {node.shape}, but {spell(parts)} is claimed"
    labels = layers.origin(node.id, MOST_LABELS, calls)
    help = correction(layers, node, parts)
    story = "".join(layers.origin(node.id, 1, calls)[0].text.partition(": ")[2:]) if node.inputs else ""
    place = layers.place(node, calls)
    if line_of(place.end - 1, place) == line_of(span.start, span):
        labels = [x for x in labels if x.span != place or len(labels) == 1]
    own = "" if any(x.span == place for x in labels) else story
    return Diagnostic("shape-mismatch", message, span, text=own, labels=tuple(labels), help=help)


def correction(layers: Layers, node: Node, parts: tuple[int | None, ...]) -> str | None:
    """Describe a change to earlier layers that gives the claimed shape; return None if there is none."""
    chain = layers.chain(node.id)[-FARTHEST:]
    source = layers.before(chain[0])
    if source is None or any(len(n.inputs) != 1 for n in chain):
        return None
    if padded := padded_run(chain, source.shape, parts):
        return f"{padded}, and then {node.label} gives {spell(parts)}"
    fix = next(fixes(chain, source.shape, parts), None)
    if fix is None:
        return None
    changed, words, reached = fix
    keeps = changed.inputs and reached.spatial == layers.nodes[changed.inputs[0]].shape.spatial
    size = "x".join(map(str, reached.spatial if keeps else reached))
    help = f"{changed.label} with {words} {'keeps' if keeps else 'gives'} {size}"
    return help if changed is chain[-1] else f"{help}, and then {node.label} gives {spell(parts)}"


def padded_run(chain: Sequence[Node], start: Shape, parts: tuple[int | None, ...]) -> str | None:
    """Describe paddings with which several convolutions keep their sizes, if that gives the claimed shape."""
    shape, padded = start, list[tuple[str, str]]()
    for node in chain:
        op = node.op
        if op.kind == "conv" and len(shape) > 1:
            for cost, words, changed in op.variants(shape):
                if cost == 0:
                    op = changed
                    padded.append((words, node.label))
        try:
            shape = op.output(shape)
        except ShapeError:
            return None
    if len(padded) < 2 or not meets(shape, parts):
        return None
    named = [(words, [label for w, label in padded if w == words]) for words in dict.fromkeys(dict(padded))]
    paddings = " and ".join(f"{words} in {listed(labels)}" for words, labels in named)
    return f"with {paddings}, the sizes stay the same"


def listed(names: Sequence[str]) -> str:
    """Return names as a list in a sentence.

    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def line_of(offset: int, span: Span) -> tuple[Source, int]:
    """Return the file and the line number of an offset."""
    return span.source, span.source.place(offset)[0]


Fix = tuple[Node, str, Shape]


def fixes(chain: Sequence[Node], start: Shape, parts: tuple[int | None, ...]) -> Iterator[Fix]:
    """Yield changes to a single argument that give the claimed shape, the most likely first."""
    shapes = [start, *(n.shape for n in chain)]
    found = []
    for place, node in enumerate(chain):
        for cost, words, op in node.op.variants(shapes[place]) if len(shapes[place]) > 1 else ():
            shape = shapes[place]
            try:
                reached = op.output(shape)
                shape = reached
                for later in chain[place + 1 :]:
                    shape = later.op.output(shape)
            except ShapeError:
                continue
            if len(reached) == 3 and meets(shape, parts):
                found.append((cost, -place, words, node, reached))
    for _, _, words, node, reached in sorted(found, key=lambda f: f[:3]):
        yield node, words, reached


FARTHEST = 24
"""Changes are searched for only in the arguments of this many preceding layers."""
MOST_LABELS = 12
"""At most this many of the preceding layers that changed the size are shown."""


def check_totals(net: Net, expectations: Sequence[tuple[str, object, t.Argument]]) -> Iterator[Diagnostic]:
    """Yield a diagnostic for each expected total that differs from the computed one.

    A number written in full must be equal. A rounded one, such as 36.2k, must agree to its precision.
    """
    for name, value, claim in expectations:
        count = COUNTS[name](net)
        agrees = value.agrees(count) if isinstance(value, Rounded) else value == count
        if agrees:
            continue
        written = spell(value) if isinstance(value, Rounded) else f"{value:,}"
        assert isinstance(value, int | float)
        gap = count - value
        message = f"expected {name} = {written}, but the count is {count:,}"
        note = f"the count is {abs(gap):,.0f} {'higher' if gap > 0 else 'lower'}"
        labels = tuple(largest(net, name))
        place = claim.value.span
        yield Diagnostic("expectation", message, place, text=f"{count:,}", labels=labels, notes=(note,))


def largest(net: Net, name: str) -> Iterator[Label]:
    """Yield labels for the three lines of the spec that contribute most to a total."""
    lines: dict[Span, list[int]] = {}
    for node in net.layers:
        if each := {"params": node.params, "macs": node.cost.macs}.get(name):
            lines.setdefault(node.span, []).append(each)
    for span, counts in sorted(lines.items(), key=lambda item: -sum(item[1]))[:3]:
        layers = f" in {len(counts)} layers" if len(counts) > 1 else ""
        yield Label(span, f"{sum(counts):,} {name}{layers}")
