"""Every torchvision classifier that has a spec: the same keys, starts, outputs, gradients and MACs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import torch
import torchvision
from places import SPECS
from torch import Tensor, nn
from torchvision.models.regnet import BlockParams

import netspec

DENSENETS, RESNETS, VGGS = (121, 161, 169, 201), (18, 34, 50, 101, 152), (11, 13, 16, 19)
REGNETS = [
    f"{xy}_{size}" for xy in "xy" for size in ("400mf", "800mf", "1_6gf", "3_2gf", "8gf", "16gf", "32gf")
]
EFFICIENTNETS = [*(f"b{i}" for i in range(8)), "v2_s", "v2_m", "v2_l"]

ZOO: dict[str, tuple[str, dict[str, object]]] = {
    "alexnet": ("alexnet_owt", {}),
    **{f"vgg{d}": ("vgg", {"depth": d}) for d in VGGS},
    **{f"vgg{d}_bn": ("vgg", {"depth": d, "norm": True}) for d in VGGS},
    "googlenet": ("googlenet", {}),
    "inception_v3": ("inception_v3", {}),
    **{f"resnet{d}": ("resnet", {"depth": d}) for d in RESNETS},
    "resnext50_32x4d": ("resnet", {"depth": 50, "groups": 32, "base_width": 4}),
    "resnext101_32x8d": ("resnet", {"depth": 101, "groups": 32, "base_width": 8}),
    "resnext101_64x4d": ("resnet", {"depth": 101, "groups": 64, "base_width": 4}),
    "wide_resnet50_2": ("resnet", {"depth": 50, "base_width": 128}),
    "wide_resnet101_2": ("resnet", {"depth": 101, "base_width": 128}),
    **{f"densenet{d}": ("densenet", {"depth": d}) for d in DENSENETS},
    **{f"squeezenet{v.replace('.', '_')}": ("squeezenet", {"version": v}) for v in ("1.0", "1.1")},
    "mobilenet_v2": ("mobilenet_v2", {}),
    **{f"mobilenet_v3_{s}": ("mobilenet_v3", {"size": s}) for s in ("large", "small")},
    **{f"mnasnet{str(a).replace('.', '_')}": ("mnasnet", {"alpha": a}) for a in (0.5, 0.75, 1.0, 1.3)},
    **{f"regnet_{m}": ("regnet", {"model": m}) for m in [*REGNETS, "y_128gf"]},
    **{f"efficientnet_{m}": ("efficientnet", {"model": m}) for m in EFFICIENTNETS},
    **{
        f"shufflenet_v2_x{str(w).replace('.', '_')}": ("shufflenet_v2", {"width": w})
        for w in (0.5, 1.0, 1.5, 2.0)
    },
}
"""torchvision's name: the spec and its arguments."""

NAMES = [name for name in torchvision.models.list_models(module=torchvision.models) if name in ZOO]
LARGEST = 100_000_000
"""Models with more parameters are compared on the meta device, by keys and shapes alone, VGG excepted."""

SIDES = {"inception_v3": 299}
"""The input's side, where an auxiliary head is too large for one of 64."""

HEADED = ("googlenet", "inception_v3")
SAME_DRAWS = ("alexnet_owt", "vgg", "densenet")
"""The specs that start bit for bit as torchvision after the same seed; others draw in another order."""


@dataclass
class Pair:
    name: str
    ours: nn.Module
    theirs: nn.Module
    redrawn: list[str]
    """The tensors that start otherwise after the same seed."""
    astray: list[str]
    """Those of them that start by another rule."""

    @property
    def meta(self) -> bool:
        return any(p.is_meta for p in self.ours.parameters())

    def image(self) -> Tensor:
        side = SIDES.get(ZOO[self.name][0], 64)
        return torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))

    def randomise(self) -> None:
        """Give both the same weights, such that no start can hide behind zeros and ones."""
        noise = torch.Generator().manual_seed(0)
        for key, tensor in (state := self.theirs.state_dict()).items():
            if tensor.is_floating_point():
                tensor.copy_(lively(key, torch.randn(tensor.shape, generator=noise)))
        self.ours.load_state_dict(state, strict=True)


def lively(key: str, noise: Tensor) -> Tensor:
    """Values of a size that neither vanishes nor explodes through the layers."""
    if noise.dim() > 1:
        return noise * (2 / noise[0].numel()) ** 0.5
    if key.endswith("running_var"):
        return noise.abs() + 0.5
    return noise / 10 + key.endswith("weight")


def their(name: str, device: str) -> nn.Module:
    options = {"init_weights": True} if name in HEADED else {}
    plain = BlockParams.from_init_params

    def real(**given: object) -> BlockParams:
        with torch.device("cpu"):  # RegNet computes its widths with tensors
            return plain(**given)

    with pytest.MonkeyPatch.context() as patch, torch.device(device):
        patch.setattr(BlockParams, "from_init_params", real)
        return torchvision.models.get_model(name, **options)


@pytest.fixture(scope="module", params=NAMES)
def pair(request: pytest.FixtureRequest) -> Pair:
    spec, arguments = ZOO[request.param]
    network = netspec.load(SPECS / f"{spec}.net", **arguments)
    device = "meta" if network.net.totals.params > LARGEST and spec != "vgg" else "cpu"
    with torch.device(device):
        torch.manual_seed(0)
        ours = network.module()
    torch.manual_seed(0)
    theirs = their(request.param, device)
    drawn = ours.state_dict()
    starts = {k: (drawn[k], t) for k, t in theirs.state_dict().items() if not t.is_meta}
    redrawn = [k for k, both in starts.items() if not torch.equal(*both)]
    return Pair(request.param, ours, theirs, redrawn, [k for k in redrawn if not alike(*starts[k])])


def alike(one: Tensor, other: Tensor) -> bool:
    """Whether two draws can be of one distribution, by mean, deviation and kurtosis, within five errors."""
    if one.std() == 0 or other.std() == 0:
        return False
    errors = (x * (2 / one.numel()) ** 0.5 for x in (1, 0.5**0.5, 24**0.5))
    pairs = zip(moments(one), moments(other), errors, strict=True)
    return all(abs(a - b) < 5 * error for a, b, error in pairs)


def moments(x: Tensor) -> tuple[float, float, float]:
    """The mean in deviations, the deviation's logarithm, and the kurtosis: 3 is normal and 1.8 uniform."""
    deviation = x.std()
    return (x.mean() / deviation).item(), deviation.log().item(), ((x / deviation) ** 4).mean().item()


def layout(named: Iterator[tuple[str, Tensor]]) -> list[tuple[str, tuple[int, ...], torch.dtype]]:
    return [(name, tuple(t.shape), t.dtype) for name, t in named]


def test_keys_and_shapes(pair):
    assert layout(pair.ours.state_dict().items()) == layout(pair.theirs.state_dict().items())
    assert layout(pair.ours.named_parameters()) == layout(pair.theirs.named_parameters())


def test_starts(pair):
    assert not pair.astray
    assert not pair.redrawn or ZOO[pair.name][0] not in SAME_DRAWS


def outputs(module: nn.Module, x: Tensor) -> tuple[Tensor, ...]:
    torch.manual_seed(1)  # for dropout and stochastic depth
    made = module(x)
    return tuple(made) if isinstance(made, tuple) else (made,)


def test_outputs(pair):
    if pair.meta:
        pytest.skip("too large for memory")
    pair.randomise()
    x = pair.image()
    with torch.no_grad():
        (ours,), (theirs,) = (outputs(m.eval(), x) for m in (pair.ours, pair.theirs))
        assert torch.equal(ours, theirs)
        assert ours.isfinite().all()
        assert ours.std() > 0
        ours, theirs = (outputs(m.train(), x) for m in (pair.ours, pair.theirs))
    assert len(ours) == len(theirs)
    assert all(map(torch.equal, ours, theirs))
    assert all(map(torch.equal, pair.ours.buffers(), pair.theirs.buffers()))


FIRST = {spec: name for name, (spec, _) in reversed(ZOO.items())}


def test_gradients(pair):
    if pair.name not in FIRST.values():
        pytest.skip("one of each family")
    pair.randomise()
    for module in (pair.ours, pair.theirs):
        sum(y.square().sum() for y in outputs(module.train(), pair.image())).backward()
    ours, theirs = ([p.grad for p in m.parameters()] for m in (pair.ours, pair.theirs))
    if (
        pair.name == "googlenet"
    ):  # runs its heads at another time, so their gradients are added in another order
        assert all((p - q).norm() <= 1e-4 * q.norm() for p, q in zip(ours, theirs, strict=True))
    else:
        assert all(map(torch.equal, ours, theirs))


@pytest.mark.parametrize("name", NAMES)
def test_published_totals(name):
    """Parameters and MACs as torchvision states them, which leaves auxiliary heads out."""
    spec, arguments = ZOO[name]
    heads = {"aux": False} if name in HEADED else {}
    report = netspec.check(SPECS / f"{spec}.net", **arguments, **heads)
    assert not report.diagnostics + report.remarks
    totals, published = report.require().totals, [w.meta for w in torchvision.models.get_model_weights(name)]
    assert round(totals.macs / 1e9, 3) == min(meta["_ops"] for meta in published)  # others take larger images
    assert totals.params == published[0]["num_params"] or name == "inception_v3"  # which counts its head
