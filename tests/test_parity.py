"""Every spec of a torchvision classifier has the same keys, initial weights, outputs, gradients and MACs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torchvision.models.regnet import BlockParams

import netspec
from netspec import zoo

NAMES = torchvision.models.list_models(module=torchvision.models)
SPEC = {name: zoo.card(name).spec for name in NAMES}
LARGEST = 320_000_000
"""Models with more parameters are compared on the meta device, by keys and shapes alone."""

SIDES = {"inception_v3": 299, "vit": 224, "maxvit": 224, "swin": 224}
"""The input's side, where 64 is too small for a head, a position or a shifted window."""

HEADED = ("googlenet", "inception_v3")
VIT = {"vit_b_16": "ViT_B_16", "vit_l_16": "ViT_L_16", "vit_h_14": "ViT_H_14"}
SAME_DRAWS = ("alexnet_owt", "vgg", "densenet")
"""The specs that start bit for bit as torchvision after the same seed; others draw in another order."""

REORDERED = ("swin", "swin_v2")
"""The specs whose layers stand in order of execution, which torchvision registers in another."""


@dataclass
class Pair:
    name: str
    ours: nn.Module
    theirs: nn.Module
    redrawn: list[str]
    """The tensors whose initial values differ after the same seed."""
    astray: list[str]
    """Those of them whose distribution differs too."""

    @property
    def meta(self) -> bool:
        return any(p.is_meta for p in self.ours.parameters())

    def image(self) -> Tensor:
        side = SIDES.get(SPEC[self.name], 64)
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


def their(name: str, device: str, **options: object) -> nn.Module:
    options |= {"init_weights": True} if name in HEADED else {}
    plain = BlockParams.from_init_params

    def real(**given: object) -> BlockParams:
        with torch.device("cpu"):  # RegNet computes its widths with tensors
            return plain(**given)

    with pytest.MonkeyPatch.context() as patch, torch.device(device):
        patch.setattr(BlockParams, "from_init_params", real)
        return torchvision.models.get_model(name, **options)


@pytest.fixture(scope="module", params=NAMES)
def pair(request: pytest.FixtureRequest) -> Pair:
    network = netspec.load(request.param)
    device = "meta" if network.net.totals.params > LARGEST else "cpu"
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


def layout(named: Iterable[tuple[str, Tensor]], ordered: bool) -> list[tuple[str, tuple[int, ...], str]]:
    found = [(name, tuple(t.shape), str(t.dtype)) for name, t in named]
    return found if ordered else sorted(found)


def test_keys_and_shapes(pair):
    ordered = SPEC[pair.name] not in REORDERED
    ours, theirs = (layout(m.state_dict().items(), ordered) for m in (pair.ours, pair.theirs))
    assert ours == theirs
    ours, theirs = (layout(m.named_parameters(), ordered) for m in (pair.ours, pair.theirs))
    assert ours == theirs


def test_initial_weights(pair):
    assert not pair.astray
    assert not pair.redrawn or SPEC[pair.name] not in SAME_DRAWS


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
    assert all(torch.equal(b, pair.theirs.get_buffer(k)) for k, b in pair.ours.named_buffers())


FIRST = {SPEC[name]: name for name in reversed(NAMES)}


def test_gradients(pair):
    if pair.name not in FIRST.values():
        pytest.skip("one of each family")
    pair.randomise()
    for module in (pair.ours, pair.theirs):
        sum(y.square().sum() for y in outputs(module.train(), pair.image())).backward()
    ours, theirs = ([p.grad for _, p in sorted(m.named_parameters())] for m in (pair.ours, pair.theirs))
    if (
        pair.name == "googlenet"
    ):  # runs its heads at another time, so their gradients are added in another order
        assert all((p - q).norm() <= 1e-4 * q.norm() for p, q in zip(ours, theirs, strict=True))
    else:
        assert all(map(torch.equal, ours, theirs))


@pytest.mark.parametrize("name", NAMES)
def test_published_totals(name):
    """MACs without auxiliary heads, and parameters with them, which torchvision leaves out of googlenet's."""
    report = netspec.check(name)
    assert not report.diagnostics + report.remarks
    published = [w.meta for w in torchvision.models.get_model_weights(name)]
    usual = min(published, key=lambda meta: meta["_ops"])  # others take larger images
    assert round(report.require().totals.macs / 1e9, 3) == usual["_ops"]
    counted = netspec.check(name, aux=False) if name == "googlenet" else report
    assert counted.require().totals.params == usual["num_params"]


@pytest.mark.parametrize("name", HEADED)
def test_images_can_be_rescaled_inside_the_network(name):
    ours, theirs = netspec.load(name, transform_input=True).module(), their(name, "cpu", transform_input=True)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    x = torch.rand(1, 3, 96, 96)
    with torch.no_grad():
        assert torch.equal(ours.eval()(x), theirs.eval()(x))


@pytest.mark.parametrize(("name", "side"), [("vit_b_16", 384), ("vit_l_16", 512), ("vit_h_14", 518)])
def test_position_embeddings_depend_on_the_image_size(name, side):
    weights = torchvision.models.get_weight(f"{VIT[name]}_Weights.IMAGENET1K_SWAG_E2E_V1")
    totals = netspec.check(name, input=(3, side, side)).require().totals
    assert (totals.params, round(totals.macs / 1e9, 3)) == (weights.meta["num_params"], weights.meta["_ops"])
