"""Drawings: their boxes, arrows and frames, and the escaping of all text from a spec."""

from __future__ import annotations

import re
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from places import SPECS

from netspec.checker import check_file, check_source
from netspec.diagnostics import Source
from netspec.emit.dot import dot
from netspec.emit.dot.figure import Box, Cluster, lay_out
from netspec.emit.dot.style import PALETTE
from netspec.emit.dot.text import escape, quote, short, wrap
from netspec.graph import Net, Scope
from netspec.ops import OPS

Parsed = Callable[[str], dict[str, Any]]

HEAD = 'network Net(n = 1) "a paper"\ninput x: 3x16x16\n'
CONV = "conv(3, 3, padding=1)"
BLOCK = f"block B() {{ add {{ {{ {CONV}; relu; {CONV} }}; identity }}; relu }}\n"


def net_of(text: str, head: str = HEAD) -> Net:
    """The network that a few lines describe, `head` before them."""
    return check_source(Source("test.net", head + text), Path()).require()


BOXES = {
    "activations join their layer": (
        f"c: {CONV}; batchnorm; relu; p: maxpool(2)",
        "x | c batchnorm relu | p",
    ),
    "a layer that others take too stays apart": (
        f"c: {CONV}; r: relu; add(c, r)",
        "x | c | r | add",
    ),
    "an output stays apart": (f"c: {CONV}; r: relu; output c; output r", "x | c | r"),
    "no activation joins an input": ("r: relu; d: dropout(0.5)", "x | r d"),
    "a join takes activations, not norms": (
        f"a: {CONV}; add(a, x); relu; mul(a, relu); n: batchnorm",
        "x | a | add relu | mul | n",
    ),
    "identity is an arrow": (f"add {{ identity; c: {CONV} }}", "x | c | add"),
    "a group of one box has no frame": (f"g: {{ {CONV}; relu }}; p: maxpool(2)", "x | g.0 g.1 | p"),
    "a group is a frame": (f"g: {{ {CONV}; {CONV} }}", "x | g( g.0 | g.1 )"),
    "groups lie in groups": (
        f"g: {{ h: {{ {CONV}; {CONV} }}; {CONV} }}",
        "x | g( g.h( g.h.0 | g.h.1 ) | g.1 )",
    ),
    "an activation stays in its group": (f"g: {{ {CONV}; {CONV} }}; relu", "x | g( g.0 | g.1 ) | relu"),
    "weights used again are a box": (f"c: {CONV}; s: share(c)", "x | c | s"),
}


def lay(child: Cluster | Box) -> str:
    """A figure on one line: boxes with the layers in them, frames as brackets."""
    if isinstance(child, Box):
        return " ".join(n.name for n in child.nodes)
    inside = " | ".join(map(lay, child.children))
    return f"{child.scope.path}( {inside} )" if child.scope.path else inside


@pytest.mark.parametrize(("text", "expected"), BOXES.values(), ids=BOXES)
def test_boxes(text: str, expected: str) -> None:
    assert lay(lay_out(net_of(text)).root) == expected


FOLDS = {
    "one level": (BLOCK + "g: { B; B }; p: maxpool(2)", 1, "x | g{12} | p"),
    "equal blocks are one box": (BLOCK + "g: { B; B; B }", 2, "x | g( g.0{6} x 3 )"),
    "unequal blocks are not": (BLOCK + "a: B; b: share(a); c: B", 1, "x | a{6} | b{6} | c{6}"),
    "a value taken from the middle parts a row": (
        BLOCK + "b1: B; b2: B; b3: B; add(b1, b3)",
        1,
        "x | b1{6} | b2{6} x 2 | add",
    ),
    "deep enough to show all": (f"g: {{ h: {{ {CONV}; {CONV} }} }}", 3, "x | g( g.h( g.h.0 | g.h.1 ) )"),
}


def fold(child: Cluster | Box) -> str:
    """As `lay`, with folded boxes as their first scope and their count of layers."""
    if isinstance(child, Box) and child.scopes:
        times = len(child.scopes)
        return f"{child.name}{{{len(child.nodes) // times}}}" + (f" x {times}" if times > 1 else "")
    if isinstance(child, Box):
        return lay(child)
    inside = " | ".join(map(fold, child.children))
    return f"{child.scope.path}( {inside} )" if child.scope.path else inside


@pytest.mark.parametrize(("text", "depth", "expected"), FOLDS.values(), ids=FOLDS)
def test_folded_boxes(text: str, depth: int, expected: str) -> None:
    assert fold(lay_out(net_of(text), depth).root) == expected


ARROWS = {
    "a chain": (f"c: {CONV}; p: maxpool(2)", None, "x>c:3x16x16 c>p:3x16x16 p>output(p):3x8x8"),
    "past an identity": (f"add {{ identity; c: {CONV} }}", None, "x>c:3x16x16 x>add:3x16x16 c>add:3x16x16"),
    "twice the same": ("add(x, x)", None, "x>add:3x16x16 x>add:3x16x16"),
    "into a folded box once": (BLOCK + "b: B", 1, "x>b:3x16x16"),
    "training alone": (
        f"c: {CONV}; h: flatten <- c; p: maxpool(2) <- c; output p; output h when training",
        None,
        "x>c:3x16x16 c>h:3x16x16! c>p:3x16x16 p>output(p):3x8x8 h>output(h):768!",
    ),
}


def test_layers_whose_initializers_have_arguments_are_folded() -> None:
    net = net_of(f"g: {{ conv(3, 3, init=normal(mean=0, std=0.1)); {CONV} }}\n{CONV}")
    assert "g" in dot(net, depth=1)


@pytest.mark.parametrize(("text", "depth", "expected"), ARROWS.values(), ids=ARROWS)
def test_arrows(text: str, depth: int | None, expected: str) -> None:
    drawn = lay_out(net_of(text), depth).arrows()
    ends = [(a, a.target.name if isinstance(a.target, Box) else f"output({a.target.name})") for a in drawn]
    found = [f"{a.source.name}>{end}:{a.value.shape}{'!' * a.aside}" for a, end in ends]
    assert found[: len(expected.split())] == expected.split()


LABELS = {
    "c: conv(96, 11, stride=4)": ["c", "conv 96, 11x11, stride 4", "34.9k params", "MACs"],
    "c: conv(8, 1x3, bias=false, init=normal(0.1))": ["conv 8, 1x3, no bias"],
    "maxpool(2)": ["<b>maxpool</b>", ">2x2<"],
    "c: conv(8, 3); dropout(0.5)": ["<i>dropout 0.5</i>"],
    f"c: {CONV}; s: share(c)": ["weights of c", "rounded,filled,dashed"],
    "add(x, x)": ['label=<<font point-size="12"><b>+</b>', 'shape="ellipse"'],
    "s: param(3x1x1); mul(x, s)": ["param 3x1x1", "3 params"],
    "flatten; linear(5); output linear": ["flatten", "linear"],
    f"a: {CONV}; b: maxpool(2) <- a; output a; output b when training (weight=0.3)": [
        "in training, weight 0.3",
        'style="dashed"',
    ],
}


@pytest.mark.parametrize(("text", "shown"), LABELS.items())
def test_labels(text: str, shown: list[str]) -> None:
    drawing = dot(net_of(text, HEAD.replace("16", "227")))
    assert [s for s in shown if s not in drawing] == []


def test_heading_names_the_network_its_source_and_totals() -> None:
    drawing = dot(net_of("flatten; linear(10)"))
    for part in ("Net(n=1)", "a paper", "x 3x16x16 · 2 layers · 7.69k params · 7.68k MACs"):
        assert part in drawing


def test_the_tooltip_has_all_arguments_shapes_and_counts() -> None:
    drawing = dot(net_of("c: conv(8, 5, stride=2)"))
    for part in (
        "c: conv(channels=8, kernel=5, stride=2, padding=0, dilation=1, groups=1, bias=true",
        r"\n3x16x16 -&gt; 8x6x6\n608 parameters, 21,600 MACs\nreceptive field 5x5, step 2x2",
    ):
        assert part in drawing


EVIL = [
    r"\N \G \E \\ \n \l",
    '"]; evil [label="x"]; "',
    "<script>alert(1)</script><b>",
    "<!-- --> ]]> &lt; &#92;N &bogus;",
    "{a|<p> b} ]; } digraph",
    "ünï → 你好 \u202e\x00\x1b\ufffe",
    "ends in a backslash \\",
]


NET = BLOCK + f"g: {{ B; B }}; s: share(g); p: param(3x1x1); mul(s, p); t: {CONV}; output t; output g"


def poison(net: Net, evil: str) -> Net:
    """A network with hostile text in every string that it has."""
    nodes = tuple(replace(n, name=n.name + evil) for n in net.nodes)
    outputs = tuple(replace(o, name=o.name + evil) for o in net.outputs)
    root = replace(rename(net.root, evil), path="")
    return Net(evil, evil, {"n": evil}, nodes, root, outputs)


def rename(scope: Scope, evil: str) -> Scope:
    children = tuple(c if isinstance(c, int) else rename(c, evil) for c in scope.children)
    return Scope(scope.name, scope.path + evil, children, evil, {"a": evil}, scope.shares and evil)


@pytest.mark.parametrize("depth", [None, 1])
@pytest.mark.parametrize("evil", EVIL)
def test_text_from_a_spec_cannot_change_the_drawing(evil: str, depth: int | None, parsed: Parsed) -> None:
    net = net_of(NET)
    before, after = (parsed(dot(n, depth=depth)) for n in (net, poison(net, evil)))
    assert len(after["objects"]) == len(before["objects"])
    assert len(after["edges"]) == len(before["edges"])
    assert {o["_gvid"] for o in after["objects"]} == {o["_gvid"] for o in before["objects"]}


@pytest.mark.parametrize("evil", EVIL)
def test_svg_contains_no_markup_from_the_spec(evil: str, graphviz: None) -> None:
    run = subprocess.run(
        ["dot", "-Tsvg"], input=dot(poison(net_of(NET), evil)).encode(), capture_output=True, check=True
    )
    assert run.stderr == b""
    tags = {element.tag.rpartition("}")[2] for element in ET.fromstring(run.stdout).iter()}
    assert tags <= {"svg", "g", "a", "title", "text", "path", "polygon", "polyline", "ellipse"}


@pytest.mark.parametrize("evil", ["<script>alert(1)</script>", r"\N \G \\", "]; evil [x]", "{a|b}", "&lt;"])
def test_citation_is_shown_as_written(evil: str, graphviz: None) -> None:
    net = net_of("flatten", f'network Net(n = 1) "{evil}"\ninput x: 3x16x16\n')
    run = subprocess.run(["dot", "-Tsvg"], input=dot(net).encode(), capture_output=True, check=True)
    texts = [e.text for e in ET.fromstring(run.stdout).iter() if e.tag.endswith("}text")]
    assert evil in texts


@pytest.mark.parametrize("evil", EVIL)
def test_escaped_text_is_inert(evil: str) -> None:
    assert re.fullmatch(r'"(?:[^"\\]|\\\\|\\n)*"', quote(evil, evil))
    assert not set(escape(evil)) & set('<>"\x00\x1b\u202e')


@pytest.mark.parametrize("direction", ["TB", "LR", "BT", "RL"])
def test_direction(direction: str) -> None:
    assert f'rankdir="{direction}"' in dot(net_of("flatten"), direction=direction)  # type: ignore[arg-type]


def test_the_drawing_of_alexnet_matches_the_golden_file(golden: Callable[[str, str], None]) -> None:
    golden("alexnet.dot", dot(check_file(SPECS / "alexnet.net").require()))


def test_every_layer_is_drawn_once(parsed: Parsed) -> None:
    net = check_file(SPECS / "vgg.net", {"depth": 19, "norm": True}).require()
    drawing = parsed(dot(net))
    names = [o["name"] for o in drawing["objects"] if "nodes" not in o]
    boxes = list(lay_out(net).root.boxes())
    assert len(names) == len(set(names)) == len(boxes) + 1
    assert sum(len(b.nodes) for b in boxes) == len(net.nodes)


def test_every_kind_has_a_light_fill() -> None:
    for fill, line in PALETTE.values():
        light, dark = (sum(int(c[i : i + 2], 16) for i in (1, 3, 5)) / 3 for c in (fill, line))
        assert light > 180 > 140 > dark


def test_long_lines_break_between_arguments() -> None:
    assert wrap(["a" * 50, "b" * 50], 10) == ["a" * 50 + ",", "b" * 50]
    assert short(999_499) == "999k"


def test_every_kind_of_layer_has_a_colour() -> None:
    assert {op.kind for op in OPS.values()} | {"input"} == PALETTE.keys()


@pytest.mark.parametrize("path", sorted(SPECS.glob("*.net")), ids=lambda p: p.stem)
def test_every_spec_can_be_drawn(path: Path) -> None:
    assert dot(check_file(path).require()).count("->") > 1
