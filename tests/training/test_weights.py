"""Published weights: downloaded by torchvision, with old keys renamed, and errors if they do not fit."""

from __future__ import annotations

from collections import OrderedDict
from urllib.error import HTTPError, URLError

import pytest
import torch
from places import SPECS
from torch import nn
from torchvision import models

import netspec
from netspec import zoo
from netspec.errors import WeightsError
from netspec.weights import load_weights

CARDS = {name: zoo.card(name) for name in zoo.names()}


@pytest.fixture
def served(monkeypatch):
    """A function that replaces downloads by a state_dict, and returns the list of requested URLs."""

    def serve(state: object) -> list[str]:
        asked: list[str] = []

        def answer(url: str, *, check_hash: bool, **options: object) -> object:
            assert check_hash
            asked.append(url)
            if isinstance(state, Exception):
                raise state
            return state

        monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", answer)
        return asked

    return serve


def random_state(module: nn.Module) -> OrderedDict[str, torch.Tensor]:
    """A module's state_dict with random tensors and its own versions."""
    state = module.state_dict()
    for key, value in state.items():
        state[key] = (
            torch.randint(9, value.shape) if not value.is_floating_point() else torch.rand(value.shape)
        )
    return state


def plain(module: nn.Module) -> nn.Module:
    """Copy a module's children to a plain nn.Module, without its class."""
    made = nn.Module()
    for name, child in module.named_children():
        made.add_module(name, child)
    return made


LOADED = ["vgg11_bn", "squeezenet1_1", "resnet18", "densenet121", "mnasnet0_5", "googlenet", "swin_t"]


@pytest.mark.parametrize("name", LOADED)
@pytest.mark.parametrize("weights", ["IMAGENET1K_V1", "DEFAULT"])
def test_weights_equal_torchvisions(served, name, weights):
    with torch.device("meta"):
        theirs = models.get_model(name, **({"init_weights": False} if name == "googlenet" else {}))
    state = random_state(theirs)
    asked = served(state)
    made = netspec.load(name).module(weights=weights)
    assert asked == [models.get_model_weights(name)[weights].url]
    assert made.state_dict().keys() == state.keys()
    assert all(torch.equal(v, state[k]) for k, v in made.state_dict().items())


def test_weights_of_densenet_have_old_names(served):
    """Its files have norm.1 instead of norm1, and no num_batches_tracked."""
    theirs = models.densenet121()
    state = OrderedDict()
    for key, value in random_state(theirs).items():
        name = key
        if ".denselayer" in key:
            for part in ("norm", "conv"):
                name = name.replace(f".{part}1.", f".{part}.1.").replace(f".{part}2.", f".{part}.2.")
        if not key.endswith("num_batches_tracked"):
            state[name] = value
    assert "features.denseblock1.denselayer1.norm.1.weight" in state
    served(state.copy())
    ours = plain(models.densenet121())
    load_weights(ours, CARDS["densenet121"], "IMAGENET1K_V1")
    served(state)
    loaded = models.densenet121(weights="IMAGENET1K_V1").state_dict()
    assert all(torch.equal(v, loaded[k]) for k, v in ours.state_dict().items())


def test_weights_of_vision_transformers_have_old_names(served):
    """Old files have mlp.linear_1 instead of mlp.0; torchvision's own module renames it."""
    theirs = models.vit_b_32()
    old = {"mlp.0.": "mlp.linear_1.", "mlp.3.": "mlp.linear_2."}
    state = OrderedDict()
    for key, value in random_state(theirs).items():
        new = next((k for k in old if k in key), None)
        state[key.replace(new, old[new]) if new else key] = value
    served(state.copy())
    ours = netspec.load("vit_b_32").module(weights="IMAGENET1K_V1").state_dict()
    theirs.load_state_dict(state)
    assert all(torch.equal(ours[k], v) for k, v in theirs.state_dict().items())


@pytest.mark.parametrize("name", [models.ResNet18_Weights.IMAGENET1K_V1, 3, None])
def test_weights_are_chosen_by_name_or_by_torchvisions_enum(served, name):
    state = random_state(models.resnet18())
    served(state)
    ours = plain(models.resnet18())
    if isinstance(name, models.ResNet18_Weights):
        load_weights(ours, CARDS["resnet18"], name)
        assert torch.equal(ours.state_dict()["fc.weight"], state["fc.weight"])
    else:
        with pytest.raises(WeightsError, match="weights are a name such as DEFAULT"):
            load_weights(ours, CARDS["resnet18"], name)


def test_weights_of_mnasnet_keep_their_version(served):
    """torchvision's module rejects files without a version, and builds another stem for version 1."""
    served(random_state(models.mnasnet0_5()))
    ours = plain(models.mnasnet0_5())
    load_weights(ours, CARDS["mnasnet0_5"], "IMAGENET1K_V1")
    again = models.mnasnet0_5()
    again.load_state_dict(ours.state_dict())
    assert all(torch.equal(v, ours.state_dict()[k]) for k, v in again.state_dict().items())


def squeezenet(**options: object) -> nn.Module:
    return plain(models.squeezenet1_1(**options))


BROKEN = [
    (URLError("no route to host"), "from https://download.pytorch.org/.*: no route to host; is there"),
    (HTTPError("", 404, "Not Found", None, None), "the server answered 404 Not Found"),
    (RuntimeError('invalid hash value (expected "1", got "2")'), "invalid hash value"),
    (PermissionError(13, "Permission denied"), "Permission denied"),
    ({}, "do not match this network: they have no features.0.weight"),
    ({"x": torch.zeros(1), **squeezenet().state_dict()}, "do not match this network: it has no x"),
    (squeezenet(num_classes=10).state_dict(), "1.weight is 10x512x1x1, expected 1000x512x1x1"),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "sentence"), BROKEN)
def test_weights_that_cannot_be_loaded(served, answer, sentence):
    served(answer)
    with pytest.raises(WeightsError, match=sentence) as caught:
        load_weights(squeezenet(), CARDS["squeezenet1_1"], "IMAGENET1K_V1")
    assert "IMAGENET1K_V1 of squeezenet1_1" in str(caught.value)
    assert "\n" not in str(caught.value)


REFUSED = [
    (None, "DEFAULT", "this network was loaded from a file"),
    ("alexnet_paper", "DEFAULT", "no weights are published for alexnet_paper"),
    ("squeezenet1_1", "IMAGENET1K_V2", "has no weights `IMAGENET1K_V2`: did you mean `IMAGENET1K_V1`"),
    ("squeezenet1_1", "x", "available are IMAGENET1K_V1, DEFAULT"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "weights", "sentence"), REFUSED)
def test_weights_that_do_not_exist(served, name, weights, sentence):
    asked = served(URLError("nothing is fetched"))
    with pytest.raises(WeightsError, match=sentence):
        load_weights(nn.Module(), name and CARDS[name], weights)
    assert not asked


def test_an_error_names_the_image_size_of_the_weights(served):
    with torch.device("meta"):
        larger, ours = models.vit_b_16(image_size=384), plain(models.vit_b_16())
    served(larger.state_dict())
    with pytest.raises(WeightsError, match="1x577x768, expected 1x197x768; they are for images of 384x384"):
        load_weights(ours, CARDS["vit_b_16"], "IMAGENET1K_SWAG_E2E_V1")


def test_a_file_has_no_published_weights():
    lenet = netspec.load(SPECS / "lenet.net")
    assert lenet.card is None
    with pytest.raises(WeightsError, match=r'netspec\.load\("resnet50"\)'):
        lenet.module(weights="DEFAULT")
