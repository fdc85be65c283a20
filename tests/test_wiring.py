"""The generated `forward` against a walk over the graph's nodes: the same values, whatever the wiring."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from networks import network
from torch import Tensor, nn

from netspec import Network
from netspec.checker import check_source
from netspec.diagnostics import Source
from netspec.graph import Net, Node

HEAD = "network Net\ninput image: 3x8x8\n"


def compiled(text: str, head: str = HEAD) -> Network:
    return Network(check_source(Source("test.net", head + text + "\n"), Path()).require())


def value(net: Net, node: Node, module: nn.Module, xs: list[Tensor]) -> Tensor:
    """What one node gives, its weights taken from the compiled module by name."""
    name = (net.nodes[node.shares] if node.shares is not None else node).name
    if node.op.kind == "merge":
        many = {"add": torch.add, "mul": torch.mul, "concat": lambda a, b: torch.cat([a, b], 1)}[
            node.op.keyword
        ]
        result = xs[0]
        for x in xs[1:]:
            result = many(result, x)
        return result
    if node.op.kind == "tensor":
        return module.state_dict()[name]
    if node.op.keyword in ("identity", "flatten"):
        return xs[0].flatten(1) if node.op.keyword == "flatten" else xs[0]
    if node.op.keyword == "tanh":
        return node.op.scale * torch.tanh(node.op.slope * xs[0])
    part = module.get_submodule(name)
    if hasattr(part, "inplace"):
        part.inplace = False
    return part(xs[0])


def walk(net: Net, module: nn.Module, inputs: list[Tensor]) -> list[Tensor]:
    """The values of all nodes."""
    values: list[Tensor] = list(inputs[:0])
    waiting = list(inputs)
    for node in net.nodes:
        xs = [values[i] for i in node.inputs]
        values.append(waiting.pop(0) if node.op.kind == "input" else value(net, node, module, xs))
    return values


def assert_forward_is_the_graph(made: Network) -> None:
    net, module = made.net, made.module()
    for k, tensor in enumerate(module.state_dict().values()):
        if tensor.is_floating_point():
            tensor.uniform_(0.2, 1.2, generator=torch.Generator().manual_seed(k))
    inputs = [torch.rand(2, *n.shape) for n in net.inputs]
    with torch.no_grad():
        for training in (True, False):
            kept = {k: v.clone() for k, v in module.state_dict().items()}
            torch.manual_seed(0)
            result = module.train(training)(*inputs)
            module.load_state_dict(kept)
            flags = {m: m.inplace for m in module.modules() if hasattr(m, "inplace")}
            torch.manual_seed(0)
            values = walk(net, module, inputs)
            module.load_state_dict(kept)
            for part, flag in flags.items():
                part.inplace = flag
            expected = [values[o.node] for o in net.outputs if training or not o.training]
            outputs = [result] if isinstance(result, Tensor) else list(result)
            assert len(outputs) == len(expected)
            assert all(map(torch.equal, outputs, expected))


WIRINGS = [
    "relu\noutput image\noutput relu",
    "a: relu\noutput a\noutput a",
    "a: relu; b: identity\noutput a\noutput b",
    "g: { conv(3, 1); tanh }\noutput g.0\noutput g",
    "g: { conv(3, 1); tanh; conv(3, 1) }\noutput g\noutput g.1 when training",
    "g: { a: conv(3, 1); b: tanh }\noutput g.a\noutput g.b when training",
    "g: { a: conv(3, 1); h: { b: tanh; conv(3, 1) <- a } }\noutput g.h.b\noutput g",
    "a: conv(3, 1); b: tanh\noutput a\noutput b when training",
    "a: conv(3, 1); b: conv(3, 1); c: add(a, b)\noutput a\noutput b when training\noutput c when training",
    "a: conv(3, 1)\nx: { conv(3, 1); tanh } <- a\ny: { conv(3, 1) } <- a\noutput y\noutput x when training",
    "a: conv(3, 1)\nx: { b: relu; tanh } <- a\ny: { tanh } <- x.b\noutput y\noutput x when training",
    "block B { identity }\na: conv(3, 1); B; add(a, b)",
    "block B { }\na: conv(3, 1); B; add(a, b)",
    "g: { }; conv(3, 1); add(g, conv)",
    "g: { identity }; conv(3, 1); add(g, conv)",
    "g: { identity; { identity }; tanh }; add(g.0, g)",
    "block B { a: tanh; b: conv(3, 1); mul(a, b) }\nB; B; c: add(b, b_2, b.a)",
    "block B { a: tanh; b: conv(3, 1) <- in }\nB; add(b.a, b)",
    "block B { x: tanh; y: conv(3, 1); z: add(x, y) }\np: B; q: B; mul(p.x, p.y, q.z, q.x)",
    "block B { x: tanh; y: conv(3, 1) }\np: B; q: B; mul(p.x, q.y)",
    "block A { conv(3, 1); tanh }\nblock B { u: A; v: A; add(u, v, u.conv) }\nB; w: A; mul(b.u, w)",
    "a: relu; g: { b: conv(3, 1); add(a, b) }",
    "a: relu; c: tanh; g: { b: conv(3, 1) <- a; add(a, b, c) }; h: { add(a, c); tanh }; mul(g, h)",
    "a: relu; g: { s: param(3x1x1, init=2); mul(s, a) }",
    "g: { mul { identity; param(3x1x1, init=2) }; tanh }; h: { add { identity; buffer(3x8x8, init=1) } }",
    "a: conv(3, 1); add(a, a)",
    "a: conv(3, 1); mul(a, a, a); concat(mul, mul)",
    "a: conv(3, 1); b: tanh; mul(b, a); add(a, mul); mul(b, mul)",
    "a: conv(3, 1); b: add(a, image); c: mul(b, image); d: add(c, b); e: mul(d, c, a)",
    "add { mul { identity; tanh }; mul { relu; conv(3, 1) } }",
    "mul { add { identity; tanh }; add { relu; conv(3, 1) } }",
    "mul { add { identity; tanh }; identity }; add { mul { identity; relu }; identity }",
    "s: param(3x8x8, init=2); a: add(image, s); b: mul(image, s); mul(a, b, s)",
    "tanh(1.7, 0.5); add { tanh(2, 1); identity }; mul { tanh(2, 3); tanh(1, 3) }",
    "add { tanh(2, 1); tanh(3, 1) }; mul { identity; add { tanh(2, 2); identity } }",
    "flatten; a: linear(4); b: linear(4) <- flatten; add(a, b)",
    "a: { flatten; linear(4) }; b: { flatten; linear(4) } <- in; add(a, b)",
    "g: { conv(3, 1); tanh }; h: share(g); k: share(h) <- g; add(g, h, k)",
    "g: { a: conv(3, 1); b: tanh; add(a, b) }; h: share(g); add(g, h, g.a)",
    "block B { c: conv(3, 1); d: share(c); add(c, d) }\nB; e: share(b); f: B; g: share(f) <- b; add(e, g)",
    "g: { c: conv(3, 1); d: share(c) }; h: { tanh; i: { conv(3, 1); relu }; j: share(i) }",
    "g: { h: { conv(3, 1); tanh }; k: share(h) }; m: share(g)",
    "a: conv(3, 1); b: batchnorm; c: share(a); d: share(b); add(b, d)",
    "a: prelu; b: share(a); c: tanh; d: share(c); add(a, d)",
    "g: { dropout(0.5); conv(3, 1) }; h: share(g); add(g, h)",
    "a: concat(image, image); b: conv(3, 1); concat { identity; { conv(2, 1); relu } } <- a",
    "repeat 3 { add { identity; { conv(3, 1); tanh } }; relu }",
    "for i in range(3) { s{i}: { conv(3, 1); relu } }; add(s0, s1, s2)",
    "a: { tanh } -> 3x8x8; b: { relu } <- image; c: add(a.0, b.0)",
    '"a-b": { 0: conv(3, 1); "c d": tanh }; e: tanh <- "a-b"."c d"; add("a-b".0, e)',
    "dead: tanh; relu <- image",
    "block B { dead: tanh; relu <- in }\nB; B",
    "x: conv(3, 1); y: conv(3, 1); z: conv(3, 1); u: add(x, y); v: add(y, z); w: add(u, v, x, image)",
    "self_: tanh; y: { x: conv(3, 1); y: tanh; add(x, y) }; x: conv(3, 1); add(x, y, self_)",
]
INPUTS = "network Net\ninput left: 3x8x8\ninput right: 3x8x8\ninput vector: 6\n"
SEVERAL = [
    "add(left, right); flatten; linear(6); mul(linear, vector)",
    "t: { conv(3, 1); tanh } <- left\nb: share(t) <- right\nadd(t, b); flatten; a: linear(6); mul(a, vector)",
    "block B { conv(3, 1) }\nx: B <- right; y: B <- left; mul(x, y); flatten; a: linear(6); mul(a, vector)",
    "a: linear(3) <- vector\nadd(left, right); output add\noutput a",
    "g: { a: add(left, right); flatten; b: linear(6); mul(b, vector) }",
    "g: { x: relu <- left; y: tanh <- right; z: linear(2) <- vector }; add(g.x, g.y)\noutput add\noutput g.z",
]


@pytest.mark.parametrize(("text", "head"), [*((w, HEAD) for w in WIRINGS), *((s, INPUTS) for s in SEVERAL)])
def test_forward_equals_a_walk_over_the_graph(text, head):
    assert_forward_is_the_graph(compiled(text, head))


LARGEST = 2_000_000  # activations: random networks can enlarge an image until memory ends


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(network())
def test_forward_equals_a_walk_over_random_graphs(text):
    report = check_source(Source("random.net", text), Path())
    assume(report.net and report.net.totals.activations < LARGEST)
    assert_forward_is_the_graph(Network(report.require()))


# What the checker accepts, torch builds and runs.

ODD = [
    "conv(4, 3, init=normal(-1))",
    "conv(4, 3, init=uniform(1, 0))",
    "conv(4, 3, init=trunc_normal(1, 0, 2, -2))",
    "conv(4, 3, bias_init=kaiming_normal)",
    "conv(4, 3, bias_init=xavier_uniform)",
    "conv(4, 3, init=kaiming_normal(a=-1))",
    "conv(4, 3, init=xavier_normal(gain=-1))",
    "batchnorm(init=kaiming_uniform)",
    "mul { identity; param(3x1x1, init=kaiming_normal) }",
    "flatten; add { identity; param(192, init=xavier_normal) }",
    "conv(4, 3, bias=false, bias_init=1)",
    "batchnorm(affine=false, init=1)",
    "lrn(1)",
    "lrn(100)",
    "lrn(4)",
    "lrn(k=0)",
    "leaky_relu(-1)",
    "elu(-1)",
    "dropout(1)",
    "dropout(0)",
    "prelu(true)",
    "groupnorm(1)",
    "upsample(2, bilinear)",
    "upsample(2x3, bicubic)",
    "zeropad(0)",
    "adaptive_maxpool(9)",
    "softmax",
    "flatten; log_softmax",
    "flatten; batchnorm; layernorm",
    "flatten; prelu(true)",
    "tanh(0, 0)",
    "tanh(1, -1)",
    "tanh(2k, 1)",
    "batchnorm(momentum=0)",
    "batchnorm(momentum=1, eps=1e-300)",
    "avgpool(3, padding=1, ceil=true, count_padding=false)",
    "deconv(4, 3, stride=2, groups=1, dilation=2, output_padding=1)",
    "conv(3, 3, groups=3, dilation=2x1)",
]


@pytest.mark.parametrize("text", ODD)
def test_accepted_specs_can_be_built_and_run(text):
    report = check_source(Source("test.net", HEAD + text + "\n"), Path())
    if report.net:
        result = Network(report.net).module()(torch.rand(2, 3, 8, 8))
        assert tuple(result.shape[1:]) == report.net.nodes[-1].shape
    else:
        assert report.diagnostics
