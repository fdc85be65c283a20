"""An edit that breaks a shape in a published network gives one fault, which points at the edited line."""

from __future__ import annotations

import shutil

import pytest
from places import SPECS

import netspec

EDITS = [
    ("alexnet", "fc6: linear(4096)", "fc6: linear(4096) -> 4097"),
    ("alexnet_half", "conv3: conv(192, kernel=3, padding=1)", "conv3: conv(192, kernel=3)"),
    ("alexnet_owt", "conv(192, kernel=5, padding=2)", "conv(192, kernel=5, padding=1)"),
    ("convnext", "conv(in.channels, 7, padding=3, groups", "conv(in.channels, 7, padding=2, groups"),
    ("densenet", "pool0: maxpool(3, stride=2", "pool0: maxpool(3, stride=3"),
    ("efficientnet", "SqueezeExcite(", "maxpool(99); SqueezeExcite("),
    ("googlenet", "BasicConv(c5, 3, padding=1)", "BasicConv(c5, 3)"),
    (
        "inception_v3",
        "branch7x7_2: BasicConv(c7, 1x7, padding=0x3)",
        "branch7x7_2: BasicConv(c7, 1x7, padding=3)",
    ),
    ("lenet", "flatten", "flatten -> 7"),
    ("maxvit", "partition(7, grid=grid)", "partition(5, grid=grid)"),
    ("mnasnet", "padding=kernel // 2, groups=hidden", "padding=0, groups=hidden"),
    (
        "mobilenet_v2",
        "ConvNorm(hidden, 3, stride=stride, groups=hidden)",
        "ConvNorm(hidden, 3, stride=stride, groups=hidden + 1)",
    ),
    ("mobilenet_v3", "ConvNorm(out)", "ConvNorm(out + 1)"),
    ("regnet", "c: ConvNorm(out)", "c: ConvNorm(out + 1)"),
    ("resnet", "conv3: conv(4 * planes, 1)", "conv3: conv(2 * planes, 1)"),
    ("shufflenet_v2", "slice(half, out)", "slice(half, out + 1)"),
    ("squeezenet", "expand3x3: conv(4 * squeeze, 3, padding=1)", "expand3x3: conv(4 * squeeze, 3)"),
    ("swin", "window=7, shift=shift", "window=7, shift=shift + 7"),
    ("swin_v2", "norm: layernorm; channels_first", "norm: layernorm"),
    ("cifar10", "ip1: linear(64)", "ip1: linear(64) -> 65"),
    ("cifar_alexnet", "conv5: conv(128, 3, padding=1)", "conv5: conv(128, 3)"),
    ("densenet_cifar", "linear(classes)", "linear(classes) -> 7"),
    ("googlenet_paper", '"5x5": conv(c5, 5, padding=2)', '"5x5": conv(c5, 5, padding=1)'),
    ("inception_module", '"5x5": conv(96, 5, padding=2)', '"5x5": conv(96, 5)'),
    ("nin", "mlp1: MlpConv(96, 96, 96, 11, stride=4", "mlp1: MlpConv(96, 96, 96, 11, stride=5"),
    ("resnet_cifar", "conv2: conv(width, 3, padding=1)", "conv2: conv(width + 1, 3, padding=1)"),
    ("stacks", "conv(channels, 3, padding=1)", "conv(channels, 3, padding=1, groups=5)"),
    ("zfnet", "conv2: conv(256, 5, stride=2)", "conv2: conv(256, 5, stride=1)"),
    ("vgg", "maxpool(2, stride=2)", "maxpool(2, stride=3)"),
    ("vit", "self_attention: attention(heads)", "self_attention: attention(heads + 1)"),
]


def test_every_family_has_an_edit():
    assert {name for name, *_ in EDITS} == {p.stem for p in SPECS.glob("*.net")}


@pytest.mark.parametrize(("name", "old", "new"), EDITS, ids=[name for name, *_ in EDITS])
def test_an_edit_gives_one_error_on_its_line(name, old, new, tmp_path):
    shutil.copytree(SPECS, tmp_path / "specs")
    path = tmp_path / "specs" / f"{name}.net"
    text = path.read_text("utf-8")
    assert text.count(old) >= 1
    line = text[: text.index(old)].count("\n") + 1
    path.write_text(text.replace(old, new, 1), "utf-8")
    faults = netspec.check(path).diagnostics
    assert len(faults) == 1
    places = [faults[0].span, *(label.span for label in faults[0].labels)]
    assert line in {p.source.place(p.start)[0] for p in places if p.source.path == str(path)}
