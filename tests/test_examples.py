"""The language's examples as whole networks: published totals and torchvision's weights are the truth."""

from __future__ import annotations

import pytest
import torch
import torchvision
from accepted import accepted
from places import HERE
from torch import nn

import netspec

OK = HERE / "cases" / "ok"
RESNETS = [
    (18, 11_689_512, 1.814),
    (34, 21_797_672, 3.664),
    (50, 25_557_032, 4.089),
    (101, 44_549_160, 7.801),
]
PUBLISHED = [
    ("alexnet", {}, 62_378_344, 1.135),
    *(("resnet", {"depth": d}, p, g) for d, p, g in [*RESNETS, (152, 60_192_808, 11.514)]),
    *(("vgg", {"depth": 16, "norm": b}, p, 15.470) for b, p in [(False, 138_357_544), (True, 138_365_992)]),
    ("googlenet", {}, 13_004_888, 1.498),
    ("densenet", {}, 7_978_856, 2.834),
]


@pytest.mark.parametrize("path", sorted(OK.glob("*.net")), ids=lambda p: p.stem)
def test_examples_have_no_diagnostics(path):
    report = netspec.check(path)
    assert accepted(report)
    assert not report.diagnostics + report.remarks


@pytest.mark.parametrize(("name", "arguments", "params", "gmacs"), PUBLISHED)
def test_published_totals(name, arguments, params, gmacs):
    totals = netspec.load(OK / f"{name}.net", **arguments).net.totals
    assert totals.params == params
    assert round(totals.macs / 1e9, 3) == gmacs


NETWORKS = [
    ("resnet", {"depth": 18}, torchvision.models.resnet18, {}),
    ("resnet", {"depth": 50}, torchvision.models.resnet50, {}),
    ("densenet", {}, torchvision.models.densenet121, {}),
    ("googlenet", {}, torchvision.models.googlenet, {"aux_logits": True, "init_weights": False}),
    ("vgg", {"depth": 11, "norm": True}, torchvision.models.vgg11_bn, {}),
]
THEIRS = [*NETWORKS, ("resnet", {"depth": 152}, torchvision.models.resnet152, {})]


@pytest.mark.parametrize(("name", "arguments", "make", "options"), THEIRS)
def test_state_dict_equals_that_of_torchvision(name, arguments, make, options):
    with torch.device("meta"):
        ours, theirs = netspec.load(OK / f"{name}.net", **arguments).module(), make(**options)
    expected = {k: v.shape for k, v in theirs.state_dict().items()}
    assert {k: v.shape for k, v in ours.state_dict().items()} == expected


def randomised(module: nn.Module) -> dict[str, torch.Tensor]:
    """Weights that no default start could hide behind."""
    noise = torch.Generator().manual_seed(0)
    return {
        k: (
            torch.rand(v.shape, generator=noise) + 0.5
            if "var" in k
            else torch.randn(v.shape, generator=noise) / 8
        )
        for k, v in module.state_dict().items()
        if v.is_floating_point()
    }


@pytest.mark.parametrize(("name", "arguments", "make", "options"), NETWORKS[:4])
def test_outputs_equal_those_of_torchvision(name, arguments, make, options):
    ours = netspec.load(OK / f"{name}.net", input=(3, 64, 64), **arguments).module().eval()
    theirs = make(**options).eval()
    weights = {**theirs.state_dict(), **randomised(theirs)}
    ours.load_state_dict(weights, strict=True)
    theirs.load_state_dict(weights, strict=True)
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(ours(x), theirs(x))
