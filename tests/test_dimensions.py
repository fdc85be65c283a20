"""Layers on signals, images and videos: the same layer types in one, two and three dimensions."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import netspec
from netspec.diagnostics import SpecError
from netspec.network import Network


def network(shape: str, body: str) -> Network:
    return netspec.load(f"network Net\ninput x: {shape}\n{body}\n")


# The input's shape, a layer with its shape, and PyTorch's module.
LAYERS = [
    ("16x1000", "conv(8, 5, stride=2, padding=2) -> 8x500", nn.Conv1d(16, 8, 5, 2, 2)),
    (
        "16x100",
        "conv(8, 3, dilation=4, groups=4, bias=false) -> 8x92",
        nn.Conv1d(16, 8, 3, 1, 0, 4, 4, False),
    ),
    ("3x8x32x32", "conv(8, 3, padding=1) -> 8x8x32x32", nn.Conv3d(3, 8, 3, padding=1)),
    ("4x8x9x9", "conv(8, 1x3x5, stride=2x1x1) -> 8x4x7x5", nn.Conv3d(4, 8, (1, 3, 5), (2, 1, 1))),
    ("4x50", "deconv(6, 4, stride=2, padding=1) -> 6x100", nn.ConvTranspose1d(4, 6, 4, 2, 1)),
    ("4x3x5x5", "deconv(6, 2, stride=2) -> 6x6x10x10", nn.ConvTranspose3d(4, 6, 2, 2)),
    ("4x51", "maxpool(3, stride=2, ceil=true) -> 4x25", nn.MaxPool1d(3, 2, ceil_mode=True)),
    (
        "4x6x9x9",
        "maxpool(1x3x3, stride=1x2x2, padding=0x1x1) -> 4x6x5x5",
        nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
    ),
    (
        "4x50",
        "avgpool(4, padding=2, count_padding=false) -> 4x13",
        nn.AvgPool1d(4, padding=2, count_include_pad=False),
    ),
    ("4x6x8x8", "avgpool(2) -> 4x3x4x4", nn.AvgPool3d(2)),
    ("4x50", "adaptive_avgpool(7) -> 4x7", nn.AdaptiveAvgPool1d(7)),
    ("4x6x8x8", "adaptive_avgpool(1x2x2) -> 4x1x2x2", nn.AdaptiveAvgPool3d((1, 2, 2))),
    ("4x50", "adaptive_maxpool(1) -> 4x1", nn.AdaptiveMaxPool1d(1)),
    ("4x6x8x8", "adaptive_maxpool(3) -> 4x3x3x3", nn.AdaptiveMaxPool3d(3)),
    ("4x50", "batchnorm(axis=0) -> 4x50", nn.BatchNorm1d(4)),
    ("4x6x8x8", "batchnorm -> 4x6x8x8", nn.BatchNorm3d(4)),
    ("4x50", "groupnorm(2) -> 4x50", nn.GroupNorm(2, 4)),
    ("4x6x8x8", "groupnorm(2) -> 4x6x8x8", nn.GroupNorm(2, 4)),
    ("4x50", "dropout2d -> 4x50", nn.Dropout1d()),
    ("4x6x8x8", "dropout2d -> 4x6x8x8", nn.Dropout3d()),
    ("4x50", "upsample(2, mode=linear) -> 4x100", nn.Upsample(scale_factor=2, mode="linear")),
    (
        "4x3x5x5",
        "upsample(size=6x10x7, mode=trilinear) -> 4x6x10x7",
        nn.Upsample((6, 10, 7), mode="trilinear"),
    ),
    ("4x3x5x5", "upsample(1x2x2) -> 4x3x10x10", nn.Upsample(scale_factor=(1, 2, 2))),
    ("4x50", "zeropad(3) -> 4x56", nn.ZeroPad1d(3)),
    ("4x3x5x5", "zeropad(1x0x2) -> 4x5x5x9", nn.ZeroPad3d((2, 2, 0, 0, 1, 1))),
    ("4x50", "pad([3, 1], mode=reflect) -> 4x54", nn.ReflectionPad1d((3, 1))),
    (
        "4x3x5x5",
        "pad([1, 2, 0, 1, 1, 0], mode=replicate) -> 4x4x6x8",
        nn.ReplicationPad3d((1, 2, 0, 1, 1, 0)),
    ),
]


@pytest.mark.parametrize(("shape", "layer", "module"), LAYERS, ids=[layer for _, layer, _ in LAYERS])
def test_layers_compute_what_the_modules_of_pytorch_do(shape: str, layer: str, module: nn.Module) -> None:
    torch.manual_seed(0)
    net = network(shape, layer)
    ours = net.module()
    state = dict(zip(ours.state_dict(), module.state_dict().values(), strict=True))
    ours.load_state_dict(state)
    x = torch.randn(2, *map(int, shape.split("x")))
    ours.eval(), module.eval()
    assert torch.equal(ours(x), module(x))
    assert net.net.totals.params == sum(p.numel() for p in module.parameters())


def test_macs_are_those_of_the_flop_counter() -> None:
    from torch.utils.flop_counter import FlopCounterMode

    for shape, body in (
        ("2x400", "conv(6, 9, stride=3); deconv(4, 3)"),
        ("3x4x16x16", "conv(6, 3x3x5); deconv(2, 2)"),
    ):
        net = network(shape, body)
        with FlopCounterMode(display=False) as counter:
            net.module()(torch.randn(1, *map(int, shape.split("x"))))
        assert 2 * net.net.totals.macs == counter.get_total_flops()


def test_a_signal_keeps_its_meaning_through_a_network() -> None:
    body = """
      conv(8, 9, stride=4, padding=4); batchnorm; relu; maxpool(4)
      add { identity; { conv(8, 3, padding=1); batchnorm; relu } }
      concat { identity; conv(4, 1) }
      adaptive_avgpool(1); flatten; linear(10)
    """
    net = network("1x8000", body)
    assert [str(n.shape) for n in net.net.nodes if n.op.keyword == "batchnorm"] == ["8x2000", "8x500"]
    names = [type(m).__name__ for m in net.module().modules()]
    assert {"Conv1d", "BatchNorm1d", "MaxPool1d", "AdaptiveAvgPool1d"} <= set(names)
    assert net.module()(torch.randn(2, 1, 8000)).shape == (2, 10)


def test_sizes_of_signals_and_videos_have_names() -> None:
    network("1x80", "a: conv(8, 3)\nflatten\nlinear(a.length + a.channels) -> 86")
    network("3x4x10x12", "a: conv(8, 3)\nflatten\nlinear(a.depth * 100 + a.height * 10 + a.width) -> 290")


# A layer that cannot take its input, and the message.
REFUSED = [
    ("28x28", "conv(8, 3)", "takes an image"),
    ("1x100", "conv(8, 3x5)", "kernel=3x5 has 2 sizes, but the input has only a length"),
    ("3x32x32", "conv(8, 3x5x5)", "kernel=3x5x5 has 3 sizes, but the input has height and width"),
    ("3x4x32x32", "maxpool(2x3)", "kernel=2x3 has 2 sizes, but the input has depth, height and width"),
    ("1x4", "conv(8, 7)", "the padded length is only"),
    ("3x2x32x32", "conv(8, 3)", "the padded depth is only"),
    ("1x100", "upsample(2, mode=bilinear)", "use nearest or linear"),
    ("3x4x4x4", "upsample(2, mode=bicubic)", "use nearest or trilinear"),
    ("3x8x8", "pad([1, 1])", "pad takes 4 numbers"),
    ("1x100", "conv(8, 3); layernorm", "a signal of 8x98"),
    ("1x100", "conv(8, 3); lrn", "takes an image"),
    ("1x100", "conv(8, 3)\nlinear(conv.height)", "has no height"),
]


@pytest.mark.parametrize(("shape", "body", "message"), REFUSED)
def test_inputs_of_other_dimensions_are_refused(shape: str, body: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        network(shape, body)
    assert message in str(caught.value)


def test_a_batch_in_a_shape_is_warned_of() -> None:
    report = netspec.check("network Net\ninput x: 1x3x32x32\nconv(8, 3, padding=1)\n")
    assert [d.code for d in report.diagnostics] == ["batch-first"]
    assert "you probably mean 3x32x32" in (report.diagnostics[0].help or "")
    assert not netspec.check("network Net\ninput x: 3x16x112x112\nconv(8, 3, padding=1)\n").diagnostics
