"""Generated PyTorch: golden files, and modules that behave as hand-written ones do."""

from __future__ import annotations

import ast
import copy
import inspect
from pathlib import Path

import pytest
import torch
import torchvision
from hypothesis import HealthCheck, assume, given, settings
from networks import network
from places import HERE
from torch import nn

import netspec
from netspec import Network
from netspec.checker import check_source
from netspec.diagnostics import Source

OK = HERE / "cases" / "ok"
GOLDEN = [
    ("alexnet.py", "alexnet_paper", {}),
    ("lenet.py", "lenet", {}),
    ("lenet_caffe.py", "lenet", {"caffe": True}),
    ("resnet50.py", OK / "resnet.net", {"depth": 50}),
    ("googlenet.py", OK / "googlenet.net", {}),
    ("senet.py", OK / "senet.net", {}),
    ("siamese.py", OK / "siamese.net", {}),
    ("unet.py", OK / "unet.net", {}),
]
SPECS = {name.removesuffix(".py"): (spec, arguments) for name, spec, arguments in GOLDEN}
SMALL = {"resnet50": (3, 64, 64), "googlenet": (3, 64, 64), "alexnet": (3, 67, 67)}


def load(name: str) -> Network:
    spec, arguments = SPECS[name]
    return netspec.load(spec, input=SMALL.get(name), **arguments)


def compiled(text: str, head: str = "network Net\ninput image: 3x8x8\n") -> Network:
    return Network(check_source(Source("test.net", head + text + "\n"), Path()).require())


def images(net: Network, count: int = 2) -> list[torch.Tensor]:
    return [torch.rand(count, *n.shape) for n in net.net.inputs]


@pytest.mark.parametrize(("name", "spec", "arguments"), GOLDEN)
def test_source_matches_the_golden_file(name, spec, arguments, golden):
    golden(name, netspec.load(spec, **arguments).source())


@pytest.mark.parametrize("name", SPECS)
def test_source_imports_only_torch(name):
    text = load(name).source()
    imports = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Import | ast.ImportFrom)]
    assert {getattr(n, "module", None) or n.names[0].name for n in imports} <= {"torch", "collections"}
    assert max(map(len, text.splitlines())) < 200


@pytest.mark.parametrize("name", SPECS)
def test_source_runs_in_a_bare_namespace(name):
    net, space = load(name), {"__name__": "fresh"}
    exec(compile(net.source(), "fresh.py", "exec"), space)
    fresh, ours = space[net.net.name](), net.module()
    fresh.load_state_dict(ours.state_dict(), strict=True)
    x = images(net)
    with torch.no_grad():
        theirs, mine = fresh.eval()(*x), ours.eval()(*x)
    assert all(map(torch.equal, theirs, mine))


def test_state_dict_has_the_order_of_torchvision():
    with torch.device("meta"):
        ours, theirs = load("resnet50").module(), torchvision.models.resnet50()
    assert list(ours.state_dict()) == list(theirs.state_dict())


# Working in place and freeing


def without_in_place(module: nn.Module) -> nn.Module:
    made = copy.deepcopy(module)
    for part in made.modules():
        if hasattr(part, "inplace"):
            part.inplace = False
    return made


def run(module: nn.Module, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
    """Outputs, gradients of the inputs and of all weights, and buffers, after one training step's passes."""
    torch.manual_seed(0)
    inputs = [x.clone().requires_grad_() for x in inputs]
    result = module.train()(*inputs)
    outputs = [result] if isinstance(result, torch.Tensor) else list(result)
    sum((y * torch.linspace(1, 2, y.numel()).view(y.shape)).sum() for y in outputs).backward()
    weights = [torch.zeros(()) if p.grad is None else p.grad for p in module.parameters()]
    return [*outputs, *(x.grad for x in inputs), *weights, *module.buffers()]


def assert_in_place_changes_nothing(net: Network) -> None:
    module, inputs = net.module(), images(net)
    plain, before = without_in_place(module), [x.clone() for x in inputs]
    assert all(map(torch.equal, run(module, inputs), run(plain, inputs)))
    with torch.no_grad():
        module(*inputs)
    assert all(map(torch.equal, inputs, before))


@pytest.mark.parametrize("name", [n for n in SPECS if n != "lenet_caffe"])
def test_in_place_operations_do_not_change_results(name):
    assert_in_place_changes_nothing(load(name))


IN_PLACE = [
    "relu",
    "relu; relu",
    "conv(3, 1); relu; relu6; silu",
    "conv(3, 1); sigmoid; relu",
    "conv(3, 1); tanh; relu",
    "a: conv(3, 1); relu; add(a, relu)",
    "a: conv(3, 1); relu\noutput a\noutput relu",
    "a: conv(3, 1); relu\noutput relu\noutput a when training",
    "a: conv(3, 1); identity; b: relu; add(b, identity)",
    "a: conv(3, 1); add { identity; relu }",
    "a: conv(3, 1); add { relu; relu }",
    "a: conv(3, 1); b: relu <- a; c: relu <- a; mul(b, c)",
    "a: conv(3, 1); b: batchnorm; c: relu; d: hardswish; mul(d, a)",
    "mul { identity; conv(3, 1) }; relu",
    "mul { relu; conv(3, 1) }; relu",
    "add { identity; identity }; relu",
    "concat { identity; conv(3, 1) }; relu; mul { identity; identity }",
    "g: { conv(3, 1); relu }; add(g.0, g)",
    "g: { conv(3, 1); relu }; h: share(g); add(g, h)",
    "a: conv(3, 1); r: relu; b: conv(3, 1); c: share(r); add(r, c)",
    "g: { relu }; a: conv(3, 1); h: share(g)",
    "g: { relu; conv(3, 1) }; h: share(g)",
    "block B { relu; conv(3, 1) }\nB; add { identity; B }",
    "block B { relu }\nconv(3, 1); B\nadd { identity; B }",
    "conv(3, 1); flatten; relu",
    "a: conv(3, 1); flatten; r: relu; add { linear(2); linear(2) }; b: tanh <- a\noutput add\noutput b",
    "add { identity; mul { relu; param(3x1x1, init=normal) } }; relu",
    "conv(3, 1); dropout(0.5); relu",
    "conv(3, 1); maxpool(2); relu",
    "conv(3, 1); prelu; leaky_relu; elu; selu; gelu; softplus; hardsigmoid",
    "conv(3, 1); lrn; relu",
    "conv(3, 1); groupnorm(3); relu; mul { identity; sigmoid }",
    "flatten; linear(4); layernorm; relu; softmax; relu",
    "add { { conv(3, 1); identity }; identity }; relu",
]


@pytest.mark.parametrize("text", IN_PLACE)
def test_in_place_operations_are_avoided_where_they_would_change_results(text):
    assert_in_place_changes_nothing(compiled(text))


LARGEST = 2_000_000  # activations: random networks can enlarge an image until memory ends


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(network())
def test_in_place_operations_do_not_change_results_of_random_networks(text):
    report = check_source(Source("random.net", text), Path())
    assume(report.net and report.net.totals.activations < LARGEST)
    assert_in_place_changes_nothing(Network(report.require()))


FREED = [
    ("a: conv(4, 1); conv(4, 1); conv(4, 1); add(a, conv_2); tanh; tanh", True),
    ("a: conv(4, 1); tanh; b: concat(a, tanh); conv(4, 1); tanh; tanh", True),
    ("conv(4, 1); tanh; tanh", False),
]


@pytest.mark.parametrize(("text", "dies"), FREED)
def test_a_value_is_freed_after_its_last_use(text, dies):
    """While the last layer runs, its input is the only value that `forward` still holds."""
    net = compiled(text)
    module, held = net.module(), []

    def look(*_: object) -> None:
        frame = inspect.currentframe()
        while frame and not frame.f_code.co_filename.startswith("<netspec"):
            frame = frame.f_back
        held.extend(name for name in frame.f_locals if name != "self")

    list(module.children())[-1].register_forward_hook(look)
    module(*images(net))
    assert held == ["x"]
    assert dies == ("del " in net.source())


# Starts of weights

STARTS = [
    ("conv(4, 1, init=zeros, bias_init=1)", {"conv.weight": 0.0, "conv.bias": 1.0}),
    ("conv(4, 1, init=0.25)", {"conv.weight": 0.25}),
    ("conv(4, 1, init=constant(0.5), bias=false)", {"conv.weight": 0.5}),
    ("batchnorm(init=0, bias_init=ones)", {"batchnorm.weight": 0.0, "batchnorm.bias": 1.0}),
    ("mul { identity; scale: param(3x1x1, init=1e-6) }", {"scale": 1e-6}),
    ("mul { identity; scale: param(3x1x1) }", {"scale": 0.0}),
    ("add { identity; shift: buffer(3x1x1, init=2) }", {"shift": 2.0}),
    ("default conv(init=0.5)\ng: { repeat 4 { conv(3, 1) } }", {f"g.{i}.weight": 0.5 for i in range(4)}),
    (
        "default conv(init=0.5, bias_init=2)\ng: { conv(3, 1, bias=false); conv(3, 1); conv(3, 1, init=1) }",
        {"g.0.weight": 0.5, "g.1.weight": 0.5, "g.1.bias": 2.0, "g.2.weight": 1.0, "g.2.bias": 2.0},
    ),
    ("block B(k) { conv(3, 1, init=k) }\nB(1); B(2)", {"b.conv.weight": 1.0, "b_2.conv.weight": 2.0}),
    ("a: conv(3, 1, init=3)\nb: share(a)", {"a.weight": 3.0}),
    ('"odd-name": { 0: conv(3, 1, init=4) }', {"odd-name.0.weight": 4.0}),
    ("{ default deconv(bias_init=5)\ndeconv(3, 1) }\nconv(3, 1)", {"deconv.bias": 5.0}),
]


@pytest.mark.parametrize(("text", "values"), STARTS)
def test_initializers_take_effect(text, values):
    state = compiled(text).module().state_dict()
    for name, value in values.items():
        assert torch.equal(state[name], torch.full_like(state[name], value)), name


SPREADS = [
    ("normal(0.02)", 0.02),
    ("normal(std=0.5, mean=0)", 0.5),
    ("uniform(-0.3, 0.3)", 0.6 / 12**0.5),
    ("kaiming_normal(mode=fan_out, nonlinearity=relu)", (2 / (256 * 9)) ** 0.5),
    ("xavier_normal", (2 / (9 * (128 + 256))) ** 0.5),
    ("trunc_normal(0.02)", 0.02),
]


@pytest.mark.parametrize(("init", "spread"), SPREADS)
def test_random_initializers_have_the_expected_spread(init, spread):
    weight = compiled(f"conv(128, 1); a: conv(256, 3, init={init})").module().a.weight
    assert weight.std().item() == pytest.approx(spread, rel=0.02)


def test_layers_without_an_initializer_use_the_default_of_torch():
    torch.manual_seed(0)
    ours = compiled("a: conv(4, 3); b: conv(4, 3); c: conv(4, 3)").module()
    torch.manual_seed(0)
    theirs = [nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3)]
    assert all(torch.equal(getattr(ours, n).weight, t.weight) for n, t in zip("abc", theirs, strict=True))
