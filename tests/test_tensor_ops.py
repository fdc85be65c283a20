"""Operations on any tensor, each against torch's own function."""

from __future__ import annotations

from math import prod

import pytest
import torch
from accepted import accepted
from torch.nn import functional as F  # noqa: N812

from netspec.build import build
from netspec.checker import check_source
from netspec.diagnostics import Source
from netspec.graph import Net
from netspec.shape import Free, Grid, Shape


def text_of(head: str, body: str) -> str:
    """Return a spec; an input with more than three axes is reshaped, since it has to be declared flat."""
    lines = ["network Ops"]
    reshaped = []
    for name, shape in zip("xyz", head.split(), strict=False):
        sizes = [int(n) for n in shape.split("x")]
        if len(sizes) <= 3:
            lines.append(f"input {name}: {shape}")
        else:
            lines.append(f"input flat_{name}: {prod(sizes)}")
            reshaped.append(f"{name}: reshape({shape}) <- flat_{name}")
    return "\n".join([*lines, *reshaped, body])


def network(head: str, body: str) -> Net:
    report = check_source(Source("ops.net", text_of(head, body)), {})
    assert accepted(report)
    assert report.net
    return report.net


# The shapes of the inputs, the layers, and torch's function on batches.
OPS = [
    ("4x5x6", "permute([2, 0, 1])", lambda x: x.permute(0, 3, 1, 2)),
    ("4x5", "permute([1, 0])", lambda x: x.transpose(1, 2)),
    ("2x3x4x5", "permute([3, 2, 1, 0])", lambda x: x.permute(0, 4, 3, 2, 1)),
    ("12x6", "reshape(3x4x6)", lambda x: x.reshape(-1, 3, 4, 6)),
    ("8", "reshape(2x2x2)", lambda x: x.reshape(-1, 2, 2, 2)),
    ("1x6", "expand(5x6)", lambda x: x.expand(-1, 5, 6)),
    ("4x5x6", "select(1)", lambda x: x[:, 1]),
    ("4x5x6", "select(-1, axis=2)", lambda x: x[..., -1]),
    ("4x5x6", "select(0, axis=-2)", lambda x: x[:, :, 0]),
    ("4x5x6", "slice(1, 3)", lambda x: x[:, 1:3]),
    ("4x5x6", "slice(0, 5, axis=1, step=2)", lambda x: x[:, :, ::2]),
    ("4x5x6", "roll([1, -2], [0, 2])", lambda x: torch.roll(x, (1, -2), (1, 3))),
    ("4x5", "roll(2, -1)", lambda x: torch.roll(x, 2, -1)),
    ("4x5x6", "flip([0, -1])", lambda x: x.flip(1, 3)),
    ("4x5x6", "mean([1, 2], keep=true)", lambda x: x.mean((2, 3), keepdim=True)),
    ("4x5", "mean(0)", lambda x: x.mean(1)),
    ("4x5x6", "sum(-1)", lambda x: x.sum(-1)),
    ("4x5x6", "max([0, 1])", lambda x: x.amax((1, 2))),
    ("4x5", "norm(-1, keep=true)", lambda x: x.norm(dim=-1, keepdim=True)),
    ("4x5x6", "softmax(axis=1)", lambda x: x.softmax(2)),
    ("4x5x6", "softmax", lambda x: x.softmax(1)),
    ("4x5x6", "log_softmax(axis=-1)", lambda x: x.log_softmax(-1)),
    ("4x5", "standardize(eps=1e-3)", lambda x: F.layer_norm(x, (5,), eps=1e-3)),
    ("4x5", "exp; sin; cos; abs; sqrt", lambda x: x.exp().sin().cos().abs().sqrt()),
    ("4x5", "abs; pow(0.5)", lambda x: x.abs() ** 0.5),
    ("4x5", "pow(3)", lambda x: x**3),
    ("4x5", "clamp(min=-0.5, max=0.25)", lambda x: x.clamp(-0.5, 0.25)),
    ("4x5", "clamp(max=0)", lambda x: x.clamp(max=0)),
    ("4x5", "scale(0.5)", lambda x: x * 0.5),
    ("4x5", "scale(-2, offset=1)", lambda x: x * -2 + 1),
    ("4x5", "scale(offset=-3)", lambda x: x - 3),
    ("4x5", "gelu(approximate=tanh)", lambda x: F.gelu(x, approximate="tanh")),
    ("4x5", "rmsnorm(eps=1e-6)", lambda x: F.rms_norm(x, (5,), eps=1e-6)),
    ("3x4x5", "pad([1, 0, 2, 3])", lambda x: F.pad(x, (1, 0, 2, 3))),
    ("3x4x5", "pad([1, 1, 2, 2], mode=reflect)", lambda x: F.pad(x, (1, 1, 2, 2), mode="reflect")),
    ("3x4x5", "pad([-1, 2, 0, 0], value=0.5)", lambda x: F.pad(x, (-1, 2, 0, 0), value=0.5)),
    ("8x4x5", "pixel_shuffle(2)", lambda x: F.pixel_shuffle(x, 2)),
    ("2x4x6", "pixel_unshuffle(2)", lambda x: F.pixel_unshuffle(x, 2)),
    ("3x4x5", "upsample(size=7x9)", lambda x: F.interpolate(x, size=(7, 9))),
    (
        "3x4x5",
        "upsample(2, mode=bilinear, align_corners=true)",
        lambda x: F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True),
    ),
    ("4x5 4x5", "sub(x, y)", lambda x, y: x - y),
    ("4x5x6 1x5x1", "div(x, y)", lambda x, y: x / y),
    ("4x5x6 1x1x6", "sub(x, y); mul(sub, y); div(mul, x)", lambda x, y: (x - y) * y / x),
    ("2x4x5 2x5x3", "matmul(x, y)", lambda x, y: x @ y),
    ("4x5 5x3", "matmul(x, y)", lambda x, y: x @ y),
    ("4x5x6 4x2x6", "concat(x, y, axis=1)", lambda x, y: torch.cat((x, y), 2)),
    ("4x5 4x5", "concat(x, y, axis=-1)", lambda x, y: torch.cat((x, y), -1)),
    ("2x3x4x5 2x3x4x5", "concat(x, y)", lambda x, y: torch.cat((x, y), 1)),
    (
        "2x6x8 2x5x8 2x5x8",
        "dot_product_attention(x, y, z)",
        lambda x, y, z: F.scaled_dot_product_attention(x, y, z),
    ),
    (
        "2x6x8 2x5x8 2x5x8",
        "dot_product_attention(x, y, z, scale=0.1)",
        lambda x, y, z: F.scaled_dot_product_attention(x, y, z, scale=0.1),
    ),
    (
        "4x6x8 1x5x8 1x5x8",
        "dot_product_attention(x, y, z)",
        lambda x, y, z: F.scaled_dot_product_attention(x, y, z),
    ),
    (
        "4x6x8 4x6x8 4x6x8",
        "dot_product_attention(x, y, z, causal=true)",
        lambda x, y, z: F.scaled_dot_product_attention(x, y, z, is_causal=True),
    ),
    ("4x6", "log", lambda x: x.log()),
    ("4x6", "erf", lambda x: x.erf()),
    ("4x6", "mish", F.mish),
    ("4x6", "softsign", F.softsign),
    ("4x6", "glu", lambda x: F.glu(x, -1)),
    ("4x6x8", "glu(0)", lambda x: F.glu(x, 1)),
    ("4x6x8 4x1x8", "maximum(x, y)", torch.maximum),
    ("4x6x8 4x1x8 1x6x1", "minimum(x, y, z)", lambda x, y, z: torch.minimum(torch.minimum(x, y), z)),
    ("4x6x8", "min([1, 2])", lambda x: x.amin((2, 3))),
    ("4x6x8", "var([1, 2], keep=true)", lambda x: x.var((2, 3), keepdim=True)),
    ("4x6x8", "var(-1, unbiased=false)", lambda x: x.var(-1, correction=0)),
    ("4x6x8", "std(0)", lambda x: x.std(1)),
    ("4x6", "equal1: equal(0); masked_fill(x, equal1, value=-2)", lambda x: x.masked_fill(x == 0, -2)),
    (
        "2x6x8 2x5x8",
        'einsum(x, y, equation="bhnd,bhmd->bhnm")',
        lambda x, y: torch.einsum("bhnd,bhmd->bhnm", x, y),
    ),
]


@pytest.mark.parametrize(("head", "body", "function"), OPS, ids=[f"{h}: {b}" for h, b, _ in OPS])
def test_ops_give_what_torch_gives(head, body, function):
    net = network(head, body)
    batch = [torch.randn(3, *map(int, shape.split("x"))) for shape in head.split()]
    given = [x if x.dim() <= 4 else x.flatten(1) for x in batch]
    ours, theirs = build(net)(*given), function(*batch)
    assert tuple(ours.shape[1:]) == net.nodes[net.outputs[0].node].shape
    assert torch.equal(ours.isnan(), theirs.isnan())
    assert torch.allclose(ours, theirs, atol=1e-6, equal_nan=True)


# What is computed from raw tensors has no batch: statements, and torch's function of input and weight.
RAW = [
    ("4x5", "w: param(5x4); permute([1, 0]); add(x, permute)", lambda x, w: x + w.T),
    ("4x5", "w: param(20); reshape(4x5) <- w; add(x, reshape)", lambda x, w: x + w.reshape(4, 5)),
    ("4x5", "w: param(4x5); scale(2) <- w; exp; mul(x, exp)", lambda x, w: x * (w * 2).exp()),
    ("3x6x6", "w: param(4x3x3x3); convolve(x, w, padding=1)", lambda x, w: F.conv2d(x, w, padding=1)),
    ("3x9", "w: param(4x3x5); convolve(x, w, stride=2)", lambda x, w: F.conv1d(x, w, stride=2)),
    ("2x4x6x6", "w: param(4x2x3x3x3); convolve(x, w)", F.conv3d),
    (
        "4x5",
        "w: param(4x5); equal(1) <- w; masked_fill(x, equal)",
        lambda x, w: x.masked_fill(w == 1, -torch.inf),
    ),
    (
        "4x6x6",
        "w: param(4x1x9); standardize <- w; k: reshape(4x1x3x3); convolve(x, k, groups=4, stride=2)",
        lambda x, w: F.conv2d(x, F.layer_norm(w, (9,)).reshape(4, 1, 3, 3), groups=4, stride=2),
    ),
]


@pytest.mark.parametrize(("head", "body", "function"), RAW, ids=[b for _, b, _ in RAW])
def test_raw_tensors_can_be_computed_with(head, body, function):
    module = build(network(head, body))
    torch.nn.init.normal_(module.w)
    x = torch.randn(2, *map(int, head.split("x")))
    assert torch.allclose(module(x), function(x, module.w), atol=1e-6)


def test_positions_index_the_first_axis_of_a_table():
    body = "table: param(7x2); at: buffer(3x3, dtype=int64); index <- table, at; permute([2, 0, 1])"
    module = build(network("2x3x3", f"{body}; add(x, permute)"))
    torch.nn.init.normal_(module.table)
    module.at.copy_(torch.randint(0, 7, (3, 3)))
    x = torch.randn(2, 2, 3, 3)
    assert module.at.dtype == torch.int64
    assert torch.equal(module(x), x + module.table[module.at].permute(2, 0, 1))


LAYOUTS = [
    ("4x5x6", "permute([1, 2, 0])", Grid),
    ("4x5x6", "channels_last; permute([2, 0, 1])", Shape),
    ("4x5x6", "permute([0, 2, 1])", Free),
    ("4x30", "reshape(4x5x6)", Free),
    ("4x30", "permute([1, 0])", Shape),
]


@pytest.mark.parametrize(("head", "body", "layout"), LAYOUTS)
def test_the_layout_after_axes_have_changed(head, body, layout):
    assert type(network(head, body).nodes[-1].shape) is layout


def test_a_free_tensor_is_normalized_over_its_last_axis_and_convolved_over_its_first():
    net = network("4x30", "reshape(4x5x6); layernorm; conv(8, 3); flatten")
    assert [n.params for n in net.layers] == [0, 12, 4 * 9 * 8 + 8, 0]


REFUSED = [
    ("4x5x6", "permute([0, 1])", "each of the axes 0 to 2 of 4x5x6 once"),
    ("4x5x6", "reshape(7x7)", "4x5x6 has 120 elements, but 7x7 has 49"),
    ("4x5", "expand(8x5)", "4x5 cannot be expanded to 8x5"),
    ("4x5", "select(4)", "there is no position 4 along axis 0 of 4x5"),
    ("4x5", "mean(2)", "there is no axis 2: the axes of 4x5 are 0 to 1"),
    ("4x5", "mean([0, 1])", "leaves nothing"),
    ("4x5", "roll([1, 2], 0)", "`shifts` has 2 values for 1 axes"),
    ("4x5x6", "slice(3, 9, axis=1)", "start=3 and stop=9 do not select a range of 5 positions"),
    ("4x5 4x5", "matmul(x, y)", "the first has 5 columns, but the second 4 rows"),
    ("4x5 4x6", "sub(x, y)", "cannot be subtracted"),
    ("4x5x6 4x2x7", "concat(x, y, axis=1)", "along axis 1"),
    ("4x5", "clamp", "needs `min`, `max` or both"),
    ("3x4x5", "pad([9, 9, 0, 0], mode=reflect)", "too wide for 3x4x5"),
    ("3x4x5", "pixel_shuffle(2)", "3 channels cannot be divided by 2**2 = 4"),
    ("3x5x5", "pixel_unshuffle(2)", "5x5 cannot be divided by 2"),
    ("3x4x5", "upsample", "either a factor"),
    ("3x4x5", "upsample(2, size=8x8)", "either a factor"),
    ("2x6x8 2x5x8 2x4x8", "dot_product_attention(x, y, z)", "do not match"),
    ("2x6x8 2x5x8", 'einsum(x, y, equation="bhnd,bhmc->bhnm,")', "equation"),
    ("3x6x6", "w: param(4x2x3x3); convolve(x, w)", "does not match an input of shape 3x6x6"),
]


@pytest.mark.parametrize(("head", "body", "words"), REFUSED, ids=[b for _, b, _ in REFUSED])
def test_what_does_not_fit_is_one_fault(head, body, words):
    report = check_source(Source("ops.net", text_of(head, body)), {})
    faults = [d for d in report.diagnostics if d.severity == "error"]
    assert len(faults) == 1
    assert words in faults[0].message + str(faults[0].help)


MACS = [
    ("2x4x5 2x5x3", "matmul(x, y)", 2 * 4 * 5 * 3),
    ("2x6x8 2x5x8 2x5x8", "dot_product_attention(x, y, z)", 2 * (2 * 6 * 5 * 8)),
    ("2x6x8 2x5x8", 'einsum(x, y, equation="bhnd,bhmd->bhnm")', 2 * 6 * 5 * 8),
    ("3x6x6", "w: param(4x3x3x3); convolve(x, w)", 4 * 4 * 4 * 27),
]


@pytest.mark.parametrize(("head", "body", "macs"), MACS, ids=[b for _, b, _ in MACS])
def test_macs_of_products(head, body, macs):
    assert network(head, body).totals.macs == macs


DOTTED = """
network Dotted
input x: 3x8x8
"convs.0": conv(8, 3, padding=1); "bns.0": batchnorm; a: relu
"convs.1": conv(8, 3, padding=1) <- a; "bns.1": batchnorm; relu
"heads.a": { conv(8, 1); relu }
"heads.b": { conv(8, 1); relu } <- a
"gains.0": param(8x1x1)
mul("heads.b", "gains.0")
add("heads.a", mul, "convs.1")
"""


def test_labels_with_dots_are_members_of_containers():
    net = check_source(Source("dotted.net", DOTTED), {}).net
    assert net
    module = build(net)
    kinds = {name: type(child).__name__ for name, child in module.named_children()}
    assert kinds["convs"] == kinds["bns"] == "ModuleList"
    assert (kinds["heads"], kinds["gains"]) == ("ModuleDict", "ParameterList")
    keys = module.state_dict().keys()
    assert {"convs.1.weight", "bns.0.running_mean", "heads.b.0.bias", "gains.0"} <= keys
    assert module(torch.randn(2, 3, 8, 8)).shape == (2, 8, 8, 8)


def test_raw_tensors_among_modules_keep_their_names():
    body = """
    "blocks.0.a": linear(8); "blocks.0.gamma": param(8, init=ones); mul("blocks.0.a", "blocks.0.gamma")
    "blocks.1.a": linear(8); "stats.mean": buffer(8); add("blocks.1.a", "stats.mean")
    group: { "h.0": linear(8); "h.t": buffer(8, init=ones); mul("h.0", "h.t") }
    "p.0": param(8, init=ones); mul(group, "p.0")
    """
    net = network("8", body)
    module = build(net)
    names = {f"{n.name}.{t.name}" if t.name else n.name for n in net.nodes for t in n.tensors}
    assert set(module.state_dict()) == names
    assert {name for name, _ in module.named_buffers()} == {"stats.mean", "group.h.t"}
    x, w = torch.rand(2, 8), module.state_dict()
    y = F.linear(x, w["blocks.0.a.weight"], w["blocks.0.a.bias"])
    y = F.linear(y, w["blocks.1.a.weight"], w["blocks.1.a.bias"])
    y = F.linear(y, w["group.h.0.weight"], w["group.h.0.bias"])
    assert torch.allclose(module(x), y, atol=1e-6)
