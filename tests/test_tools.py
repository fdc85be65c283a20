"""torch's own tools take our modules as they take torchvision's: fx, feature extraction, TorchScript."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names

import netspec
from netspec.build import build

NAMES = ["resnet18", "densenet121", "shufflenet_v2_x0_5", "convnext_tiny", "vit_b_16"]
NAMES += ["googlenet", "inception_v3", "swin_t", "swin_v2_t", "maxvit_t"]


def traced(module: nn.Module) -> Callable[[Tensor], object]:
    return torch.fx.symbolic_trace(module)


def extractor(module: nn.Module) -> Callable[[Tensor], object]:
    last = get_graph_node_names(module)[1][-1]
    found = create_feature_extractor(module, [last])
    return lambda x: found(x)[last]


def scripted(module: nn.Module) -> Callable[[Tensor], object]:
    made: Callable[[Tensor], object] = torch.jit.script(module)
    return made


TOOLS = {"fx": traced, "features": extractor, "script": scripted}


def first(output: object) -> Tensor:
    while isinstance(output, tuple):
        output = output[0]
    assert isinstance(output, Tensor)
    return output


@pytest.mark.parametrize("tool", TOOLS.values(), ids=TOOLS)
@pytest.mark.parametrize("name", NAMES)
def test_a_tool_that_takes_torchvisions_module_takes_ours(name, tool):
    extra = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    theirs = getattr(torchvision.models, name)(weights=None, **extra).eval()
    network = netspec.load(name)
    ours = network.module().eval()
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(1, *network.net.inputs[0].shape)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # TorchScript is deprecated
        expected = first(theirs(x))
        try:
            tool(theirs)
        except Exception:
            pytest.skip(f"torchvision's own {name} cannot be used with it")
        assert torch.equal(first(tool(ours)(x)), expected)


def test_gradients_reach_every_parameter_of_a_traced_module():
    module = netspec.load("swin_t").module().train()
    traced = torch.fx.symbolic_trace(module)
    traced(torch.randn(2, 3, 224, 224)).sum().backward()
    assert [name for name, value in module.named_parameters() if value.grad is None] == []


def test_a_scripted_module_with_heads_gives_them_in_training():
    text = "network N\ninput x: 4\na: linear(3); b: linear(2)\nside: linear(2) <- a\n"
    report = netspec.check(text + "output b\noutput side when training (weight=0.3)\n")
    module = build(report.require())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = torch.jit.script(module)
    x = torch.randn(2, 4)
    for mode in (True, False):
        expected, side = (module.train()(x)) if mode else (module.eval()(x), None)
        found = made.train(mode)(x)
        assert torch.equal(found[0], expected)
        assert (found[1] is None) == (side is None)
