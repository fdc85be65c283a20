"""The language: names of layers, where values flow, blocks, defaults, shared weights, inputs and outputs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from accepted import accepted

import netspec
from netspec.checker import Report, check_source
from netspec.diagnostics import Source
from netspec.shape import Shape


def check(text: str, head: str = "network Net\ninput image: 3x16x16\n") -> Report:
    return check_source(Source("test.net", head + text + "\n"), Path())


def codes(report: Report) -> list[str]:
    return [d.code for d in report.diagnostics]


# Names

NAMES = [
    ("relu; tanh; relu; relu", "relu tanh relu_2 relu_3"),
    ("a: relu; relu; a2: relu; relu", "a relu a2 relu_2"),
    ("relu: tanh; relu", "relu relu_2"),
    ("g: { conv(4, 1); relu; conv(4, 1) }", "g.0 g.1 g.2"),
    ("g: { h: { relu; relu }; relu }", "g.h.0 g.h.1 g.1"),
    ("g: { { relu; relu }; relu }", "g.0 g.1 g.2"),
    ("{ relu; { relu } }; relu", "relu relu_2 relu_3"),
    ("g: { repeat 2 { relu; tanh } }", "g.0 g.1 g.2 g.3"),
    ("g: { if true { relu } else { tanh }; relu }", "g.0 g.1"),
    ("for i in range(2) { layer{i + 1}: { relu } }", "layer1.0 layer2.0"),
    ('for i in range(2) { "block{i}-{i * i}": relu }', "block0-0 block1-1"),
    ("for i in range(2) { a{i}_{i + 1}b: relu }", "a0_1b a1_2b"),
    ("g: { 3: relu; 10: tanh }", "g.3 g.10"),
    ('"conv2/3x3": conv(4, 3)', "conv2/3x3"),
    ("block B { relu; x: relu; relu }\nB; B", "b.relu b.x b.relu_2 b_2.relu b_2.x b_2.relu_2"),
    (
        "block ConvBN { relu }\nConvBN; ConvBN\ng: { ConvBN; ConvBN }",
        "conv_bn.relu conv_bn_2.relu g.0.relu g.1.relu",
    ),
    ("add { relu; tanh }; add { identity; relu }", "relu tanh add identity relu_2 add_2"),
    ("m: add { relu; tanh }", "m.0 m.1 m.add"),
]
CLASHES = [
    ("a: relu; a: tanh", "duplicate-label"),
    ("for i in range(2) { a: relu }", "duplicate-label"),
    ("image: relu", "duplicate-label"),
    ("g: { a: relu }; g: { b: relu }", "duplicate-label"),
    ("forward: relu", "bad-label"),
    ("class: relu", "bad-label"),
    ("block B { relu }\nB; b: B", "duplicate-label"),
    ('"a.": relu', "bad-label"),
    ('"a.train": relu', "bad-label"),
    ('a: relu\n"a.b": relu', "duplicate-label"),
    ('"a.b": relu\na: relu', "duplicate-label"),
    ('"": relu', "bad-label"),
]


@pytest.mark.parametrize(("text", "names"), NAMES)
def test_names_of_layers(text, names):
    assert [n.name for n in check(text).require().layers] == names.split()


@pytest.mark.parametrize(("text", "code"), CLASHES)
def test_names_that_are_refused(text, code):
    assert codes(check(text)) == [code]


# Flow

FLOWS = [
    ("a: relu; b: tanh; c: relu <- a; add(b, c)", {"c": "a", "add": "b c"}),
    ("a: relu; b: tanh; c: add <- a, b", {"c": "a b"}),
    ("a: relu; b: tanh; c: concat(a, b)", {"c": "a b"}),
    ("a: relu; b: tanh; c: concat(a, b, image)", {"c": "a b image"}),
    ("a: relu; b: tanh <- in; add(a, b)", {"b": "image"}),
    ("a: relu; b: tanh <- image; add(a, b)", {"b": "image"}),
    ("g: { relu; tanh }; h: relu <- g; k: relu <- g.0; add(h, k)", {"h": "g.1", "k": "g.0"}),
    ("g: { h: { relu }; tanh }; k: relu <- g.h; add(g, k)", {"k": "g.h.0", "add": "g.1 k"}),
    ("g: { h: { relu }; tanh }; k: add(g.h.0, g)", {"k": "g.h.0 g.1"}),
    ("g: { a: relu; b: tanh <- a; c: relu <- a; add(b, c) }", {"g.b": "g.a", "g.c": "g.a"}),
    ("a: relu; g: { tanh; relu <- a }; add(g, g.0)", {"g.0": "a", "g.1": "a", "add": "g.1 g.0"}),
    ("a: relu; { b: tanh; c: relu } <- a; d: tanh <- b; add(c, d)", {"b": "a", "d": "b"}),
    ("a: relu; add { identity; { relu; tanh } }", {"identity": "a", "relu": "a", "add": "identity tanh"}),
    (
        "a: relu; add { relu; tanh } <- image; add(a, add)",
        {"relu": "image", "tanh": "image", "add_2": "a add"},
    ),
    (
        "block B { a: relu; b: relu <- in; add(a, b) }\nx: tanh; B",
        {"b.a": "x", "b.b": "x", "b.add": "b.a b.b"},
    ),
    ("block B { x: relu; y: tanh }\nB; z: relu <- b.x; add(z, b)", {"z": "b.x", "add": "z b.y"}),
    ('"a-b": relu; c: tanh; d: relu <- "a-b"; add(c, d)', {"d": "a-b"}),
    ('"a-b": relu; c: tanh; d: add("a-b", c)', {"d": "a-b c"}),
    ("add { relu; if 1 < 2 { tanh } else { identity } }", {"add": "relu tanh"}),
    ("add { for i in range(2) { relu }; identity }", {"add": "relu relu_2 identity"}),
]
ASTRAY = [
    ("a: relu <- b; b: tanh", "unknown-layer"),
    ("a: relu <- a", "unknown-layer"),
    ("g: { a: relu }; b: tanh <- a", "unknown-layer"),
    ("block B { relu <- x }\nx: tanh; B", "unknown-layer"),
    ("a: relu; b: relu <- a, a", "wrong-arity"),
    ("add { relu }", "wrong-arity"),
    ("relu({}=4)", "syntax"),
    ("relu({}", "syntax"),
]


@pytest.mark.parametrize(("text", "inputs"), FLOWS)
def test_where_values_come_from(text, inputs):
    net = check(text).require()
    taken = {n.name: " ".join(net.nodes[i].name for i in n.inputs) for n in net.layers}
    assert taken | inputs == taken


@pytest.mark.parametrize(("text", "code"), ASTRAY)
def test_references_that_are_refused(text, code):
    assert code in codes(check(text))


# Blocks, defaults, counts

COUNTS = [
    ("conv(4, 1)", 16),
    ("default conv(bias=false)\nconv(4, 1); conv(4, 1, bias=true)", 12 + 20),
    ("{ default conv(bias=false); conv(4, 1) }\nconv(4, 1)", 12 + 20),
    ("g: { default conv(bias=false); conv(4, 1) }\nconv(4, 1)", 12 + 20),
    ("if true { default conv(bias=false); conv(4, 1) }\nconv(4, 1)", 12 + 20),
    ("repeat 1 { default conv(bias=false); conv(4, 1) }\nconv(4, 1)", 12 + 20),
    ("default conv(bias=false)\ndefault conv(kernel=1)\nconv(4)", 12),
    ("block B { default conv(bias=false); conv(4, 1) }\nB; conv(4, 1)", 12 + 20),
    ("default conv(bias=false)\nblock B { conv(4, 1) }\nB", 12),
    ("block B { conv(4, 1) }\ndefault conv(bias=false)\nB", 16),
    ("block B(c = 4, k = c // 2) { conv(c, k) }\nB", 4 * 3 * 4 + 4),
    ("block B(c = 4, k = c // 2) { conv(c, k) }\nB(6); B(k=1, c=2)", 6 * 3 * 9 + 6 + 2 * 6 + 2),
    ("block B(c = 4) { conv(c, 1) }\ndefault B(c=2)\nB; B(5)", 8 + 15),
    ("block B { conv(2 * in.channels, 1) }\nB; B", 6 * 3 + 6 + 12 * 6 + 12),
    ("block A { conv(in.channels, 1) }\nblock B { A; A }\nconv(2, 1); B", 8 + 6 + 6),
    ("a: conv(5, 1)\nconv(a.channels, a.height // 8)", 20 + 5 * 5 * 4 + 5),
    ("conv(in.channels, 1)\nconv(image.height, 1)", 12 + 64),
    ("conv(3, 1)\nmul { identity; param({in.channels}x1x1) }", 12 + 3),
    ("a: conv(3, 1); b: share(a)", 12),
    ("g: { conv(3, 1); prelu }; h: share(g); k: share(h)", 13),
    ("mul { identity; param(3x1x1, init=1) }; add { identity; buffer(3x1x1) }", 3),
    ("flatten; linear(4); mul { identity; param(4) }", 768 * 4 + 4 + 4),
]


@pytest.mark.parametrize(("text", "params"), COUNTS)
def test_parameters(text, params):
    net = check(text).require()
    module = netspec.Network(net).module()
    assert net.totals.params == params == sum(p.numel() for p in module.parameters())


def test_shared_weights_are_one_module():
    text = "g: { conv(3, 3, padding=1); tanh; batchnorm }\na: conv(3, 1)\nh: share(g)\nb: share(a)"
    net = check(text).require()
    module, x = netspec.Network(net).module().eval(), torch.rand(2, 3, 16, 16)
    assert torch.equal(module(x), module.a(module.g(module.a(module.g(x)))))
    assert {k.partition(".")[0] for k in module.state_dict()} == {"g", "a"}


INPUTS = "network Net\ninput left: 3x8x8\ninput right: 3x8x8\n"


OUTPUTS = """a: conv(4, 1) <- left
b: conv(4, 1) <- right
add(a, b)
c: relu
output b
output c
output a when training (weight=0.3)"""


def test_several_inputs_and_outputs():
    net = check(OUTPUTS, INPUTS).require()
    assert [(o.name, o.weight) for o in net.outputs if o.training] == [("a", 0.3)]
    module, left, right = netspec.Network(net).module(), torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 8)
    a, b = module.a(left), module.b(right)
    training, evaluation = module.train()(left, right), module.eval()(left, right)
    assert all(map(torch.equal, training, (b, torch.relu(a + b), a)))
    assert all(map(torch.equal, evaluation, (b, torch.relu(a + b))))
    assert (len(training), len(evaluation)) == (3, 2)


REFERENCES = [
    ("for i in range(2) { a{i}: relu }; for i in range(2) { tanh <- a{1 - i} }", ["a1", "a0"]),
    ("for i in range(2) { a{i}: relu }; add(a{0}, a{1})", ["a0", "a1"]),
    ("for i in range(2) { a{i}: { b: relu } }; concat(a{0}.b, a{1})", ["a0.b", "a1.b"]),
    ("for i in range(2) { a{i}: { b{i}: relu } }; tanh <- a{1}.b{1}", ["a1.b1"]),
    ('"a-b": { "c d": relu }; tanh <- "a-b"."c d"', ["a-b.c d"]),
    ('"a-b": { "c d": relu }; add("a-b.c d", "a-b")', ["a-b.c d", "a-b.c d"]),
    ('for i in range(2) { "a-{i}": relu }; tanh <- "a-{0}"', ["a-0"]),
    ("a0: conv(4, 1); b: conv(a{0}.channels, 1)", ["a0"]),
    ("g: { a: relu; b: { c: elu } }; h: share(g); add(h.a, h.b.c)", ["h.a", "h.b.c"]),
]


@pytest.mark.parametrize(("text", "sources"), REFERENCES)
def test_references_find_their_layers(text, sources):
    net = check(text).require()
    users = [n for n in net.nodes if n.op.keyword == "tanh"] or net.nodes[-1:]
    assert [net.nodes[i].name for n in users for i in n.inputs] == sources


TWICE = [
    ("block B { relu }\nblock B { tanh }\nB", ["duplicate-block"]),
    ("block B(c, c) { conv(c, 3) }\nB(4)", ["duplicate-argument"]),
    ("block B { relu }\ng: { block B { tanh }; B }; B", []),
]


@pytest.mark.parametrize(("text", "expected"), TWICE)
def test_what_is_defined_twice(text, expected):
    assert codes(check(text)) == expected


def test_parameters_of_a_network_are_named_once():
    assert codes(check("relu", "network A(n = 2, n = 3)\ninput x: 3x8x8\n_ = n\n")) == ["duplicate-argument"]


def test_an_input_declared_in_two_branches_is_one():
    text = "if true { input x: 3x8x8 } else { input x: 1x8x8 }\nrelu\n"
    source = Source("test.net", "network A\n" + text)
    assert accepted(check_source(source, Path(), {}, {"": Shape((1, 4, 4))}))


def test_outputs_of_a_loop_are_those_of_each_round():
    net = check("for i in range(3) { a{i}: relu; output a{i} }\noutput a1, a{0} when training").require()
    assert [(o.name, o.training) for o in net.outputs] == [
        ("a0", False),
        ("a1", False),
        ("a2", False),
        ("a1", True),
        ("a0", True),
    ]


TWO = """network Net
input left: 3x16x16
input right: 3x16x16
a: conv(4, 3) <- left
b: conv(4, 3) <- right
add(a, b)
"""


def test_inputs_are_resized_by_name():
    shapes = {"left": Shape((3, 8, 8)), "right": Shape((3, 8, 8))}
    net = check_source(Source("two.net", TWO), Path(), {}, shapes).require()
    assert [str(n.shape) for n in net.inputs] == ["3x8x8", "3x8x8"]


@pytest.mark.parametrize("name", ["", "image", "rigth"])
def test_an_input_that_is_not_there_cannot_be_resized(name):
    report = check_source(Source("two.net", TWO), Path(), {}, {name: Shape((3, 8, 8))})
    assert (codes(report), report.status) == (["unknown-setting"], 2)


def test_a_recipe_without_an_input_is_one_fault():
    text = "network A\nrelu\ntrain { crop: 32 }\n"
    report = check_source(Source("test.net", text), Path(), {}, {"": Shape((3, 8, 8))})
    assert "no-input" in codes(report)


def test_crops_follow_an_input_given_from_outside():
    report = netspec.check("alexnet_paper", input=(3, 67, 67))
    recipe = report.require().recipe
    assert (recipe["crop"].value, recipe["resize"].value) == (67, 76)
    assert any("crops to 67 instead of 227" in r for r in report.remarks)


GATE = "{ adaptive_avgpool(1); conv(8, 1); sigmoid }"
FIELDS = [
    (f"mul {{ identity; {GATE} }}", [16, 20, 24]),
    (f"mul {{ {GATE}; identity }}", [16, 20, 24]),
    ("add { identity; param(8x1x1) }", [3, 7, 11]),
    ("add { param(8x1x1); identity }", [3, 7, 11]),
    ("add { conv(8, 3, padding=1); identity }", [7, 11, 15]),
]


@pytest.mark.parametrize(("text", "sizes"), FIELDS)
def test_a_join_sees_what_its_widest_branch_sees_in_steps_of_its_finest(text, sizes):
    net = check(f"conv(8, 3, stride=2, padding=1)\n{text}\nrepeat 2 {{ conv(8, 3, padding=1) }}").require()
    joined = next(n for n in net.nodes if n.op.kind == "merge")
    assert [net.nodes[i].receptive_field[0].size for i in (joined.id, joined.id + 1, joined.id + 2)] == sizes
