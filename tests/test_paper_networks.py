"""Networks as in their papers: published totals, and layers that no library implements."""

from __future__ import annotations

import pytest
import torch
from places import SPECS

import netspec

PUBLISHED = [
    ("googlenet_paper", {}, 13_378_280),
    ("googlenet_paper", {"aux": False}, 6_998_552),
    ("nin", {}, 7_595_176),
    ("nin", {"data": "cifar10"}, 966_986),
    ("zfnet", {}, 62_357_608),
    ("zfnet", {"wide": True}, 107_627_624),
    ("alexnet_half", {}, 59_798_312),
    ("cifar10", {}, 145_578),
    ("cifar10", {"model": "full"}, 89_578),
    *(
        ("resnet_cifar", {"depth": d}, p)
        for d, p in [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85), (110, 1.7)]
    ),
    *(
        ("densenet_cifar", {"depth": d, "growth": k}, p)
        for d, k, p in [(100, 12, 0.8), (250, 24, 15.3), (190, 40, 25.6)]
    ),
    ("resnet", {"strided": 1}, 25_557_032),
    ("resnet", {"depth": 101, "strided": 1}, 44_549_160),
    ("resnet", {"depth": 152, "strided": 1}, 60_192_808),
    ("inception_module", {}, 346_112),
    ("inception_module", {"reduced": False}, 1_089_536),
    ("stacks", {}, 27 * 64**2),
    ("stacks", {"stacked": False}, 49 * 64**2),
]


def ids(value: object) -> str:
    return "-".join(str(v) for v in value.values()) if isinstance(value, dict) else str(value)


@pytest.mark.parametrize(("spec", "arguments", "params"), PUBLISHED, ids=ids)
def test_published_parameters(spec, arguments, params):
    """Exactly, or in millions to the digits that the paper gives."""
    report = netspec.check(SPECS / f"{spec}.net", **arguments)
    assert not report.diagnostics + report.remarks
    counted = report.require().totals.params
    if isinstance(params, float):
        counted = round(counted / 1e6, len(str(params).partition(".")[2]))
    assert counted == params


@pytest.mark.parametrize(("spec", "arguments", "params"), PUBLISHED, ids=ids)
def test_the_networks_run(spec, arguments, params):
    network = netspec.load(SPECS / f"{spec}.net", **arguments)
    (given,) = network.net.inputs
    with torch.device("meta"):
        made = network.module().eval()(torch.rand(2, *given.shape))
    assert made.shape[1:] == network.net.nodes[network.net.outputs[0].node].shape
    assert made.shape[0] == 2


def test_lrn_within_channels_equals_that_of_caffe():
    """x / (k + alpha / n^2 * the sum of squares in n x n pixels)^beta, zeros around the image."""
    net = netspec.load(SPECS / "cifar10.net", model="full")
    norm = dict(net.module().named_modules())["norm1"].double()
    x = torch.randn(2, 4, 5, 6, dtype=torch.float64) * 100
    padded = torch.nn.functional.pad(x, (1, 1, 1, 1))
    sums = sum(padded[..., i : i + 5, j : j + 6] ** 2 for i in range(3) for j in range(3))
    assert torch.allclose(norm(x), x / (1 + 5e-5 / 9 * sums) ** 0.75)


def test_the_parameter_free_shortcut_keeps_every_second_pixel():
    """Option A: the first block of a stage passes half of its pixels on, and zeros for its new channels."""
    block = netspec.load(SPECS / "resnet_cifar.net").module().layer2[0].eval()
    torch.nn.init.zeros_(block.bn2.weight)  # closes the other branch
    x = torch.rand(2, 16, 32, 32)
    expected = torch.cat([x[:, :, ::2, ::2], torch.zeros(2, 16, 16, 16)], 1)
    assert torch.equal(block(x), expected)


VARIANTS = [
    ("alexnet", {"lrn": False}, {"norm1", "norm2"}, set()),
    ("alexnet", {"overlap": False}, set(), set()),
    ("alexnet", {"drop": 0}, set(), set()),
    ("cifar10", {"activation": "tanh"}, {"relu1", "relu2", "relu3"}, {"tanh1", "tanh2", "tanh3"}),
]


@pytest.mark.parametrize(("spec", "arguments", "gone", "new"), VARIANTS)
def test_ablations_change_only_the_named_layers(spec, arguments, gone, new):
    """The weights and every shape stay; so weights of one can go on in the other."""
    before, after = (netspec.load(SPECS / f"{spec}.net", **a) for a in ({}, arguments))
    layers = [{n.name: n.shape for n in network.net.nodes} for network in (before, after)]
    assert (layers[0].keys() - layers[1].keys(), layers[1].keys() - layers[0].keys()) == (gone, new)
    assert all(layers[0][name] == layers[1][name] for name in layers[0].keys() & layers[1].keys())
    assert before.net.totals.params == after.net.totals.params


def test_ablations_appear_in_the_module():
    with torch.device("meta"):
        plain, apart, kept = (
            netspec.load(SPECS / "alexnet.net", **a).module() for a in ({}, {"overlap": False}, {"drop": 0})
        )
    assert [(m.pool1.kernel_size, m.pool5.stride) for m in (plain, apart)] == [(3, 2), (2, 2)]
    assert [(m.drop6.p, m.drop7.p) for m in (plain, kept)] == [(0.5, 0.5), (0.0, 0.0)]


def test_an_unknown_activation_is_an_error():
    report = netspec.check(SPECS / "cifar10.net", activation="gelu")
    assert not report.ok
