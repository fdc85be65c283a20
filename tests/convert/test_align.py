"""Weights for another network: torchvision's, those of other files, and networks that differ."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torchvision
from click.testing import CliRunner
from safetensors.torch import load_file

import netspec
from netspec.cli import main
from netspec.convert.align import Side, align, open_side
from netspec.errors import WeightsError
from netspec.network import Network

NAMED = """
input x: 3x16x16
stem: conv(8, 3, padding=1); norm: batchnorm; relu
add { identity; { left: conv(8, 3, padding=1); relu; right: conv(8, 1) } }
mul { { adaptive_avgpool(1); gate: conv(8, 1); sigmoid }; identity }
adaptive_avgpool(1); flatten; head: linear(5)
"""
OTHER = """
input image: 3x16x16
0: conv(8, 3, padding=1); 1: batchnorm; 2: relu
branch: { a: conv(8, 3, padding=1); relu; b: conv(8, 1) }
sum: add(branch, "2")
gate: { mean([1, 2], keep=true); c: conv(8, 1); sigmoid }
mul(sum, gate)
mean([1, 2]); fc: linear(5)
"""


def network(body: str) -> Network:
    return netspec.load(f"network Net\n{body}")


def with_weights(body: str) -> Side:
    torch.manual_seed(0)
    made = network(body)
    return Side("a", made, made.module().state_dict())


def test_branches_may_stand_in_another_order():
    first = with_weights(NAMED)
    found = align(first, Side("b", network(OTHER)), None)
    assert found.holds
    assert torch.equal(found.state["branch.a.weight"], (first.state or {})["left.weight"])
    assert torch.equal(found.state["gate.c.weight"], (first.state or {})["gate.weight"])
    assert found.renamed == 14


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "densenet121", "shufflenet_v2_x0_5"])
def test_networks_of_torchvision_and_of_the_zoo(name):
    torch.manual_seed(0)
    module = torchvision.models.get_model(name, weights=None)
    first = Side(name, netspec.from_torch(module, (3, 224, 224)), module.state_dict())
    found = align(first, Side("zoo", netspec.load(name)), None)
    assert found.holds
    assert found.renamed == 0


def test_an_onnx_file_without_names_of_modules(tmp_path):
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.PReLU(), torch.nn.Conv2d(4, 5, 3))
    path = tmp_path / "net.onnx"
    network("input x: 3x8x8\nfirst: conv(4, 3); slope: prelu; last: conv(5, 3)").onnx(
        path,
        weights=dict(
            zip(
                ["first.weight", "first.bias", "slope.weight", "last.weight", "last.bias"],
                module.state_dict().values(),
                strict=True,
            )
        ),
    )
    second = network("input x: 3x8x8\n0: conv(4, 3); 1: prelu; 2: conv(5, 3)")
    found = align(open_side(str(path), {}, {}), Side("b", second), None)
    assert found.holds
    assert all(torch.equal(found.state[k], v) for k, v in module.state_dict().items())


# A network, another one, and the message.
DIFFERENT = [
    ("input x: 3x8x8\na: conv(4, 3)", "input x: 3x8x8\nb: conv(5, 3)", "a.weight of a .* differ in size"),
    (
        "input x: 3x8x8\na: conv(4, 3)",
        "input x: 3x8x8\nconv(4, 3); c: conv(4, 1)",
        "c.weight .* has no counterpart",
    ),
    ("input x: 3x8x8\na: conv(4, 3)", "input x: 3x9x9\na: conv(4, 3)", "the inputs are 3x8x8 and 3x9x9"),
]


@pytest.mark.parametrize(("first", "second", "message"), DIFFERENT)
def test_networks_that_differ(first, second, message):
    with pytest.raises(WeightsError, match=message):
        align(with_weights(first), Side("b", network(second)), None)


def test_equal_weights_in_another_order_of_computation_are_not_equal_outputs():
    first = "input x: 4x8x8\na: conv(4, 3, padding=1); relu; b: conv(4, 3, padding=1)"
    second = "input x: 4x8x8\na: conv(4, 3, padding=1); b: conv(4, 3, padding=1); relu"
    assert not align(with_weights(first), Side("b", network(second)), None).holds


def test_the_command(tmp_path: Path):
    for name, body in (("a", NAMED), ("b", OTHER)):
        (tmp_path / f"{name}.net").write_text(f"network Net\n{body}")
    a, b, out = (str(tmp_path / n) for n in ("a.net", "b.net", "b.safetensors"))
    command = ["weights", "align", a, b, "-o", out]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 1
    assert "has no weights of its own: name a file or a run with --weights" in result.output
    torch.save(network(NAMED).module().state_dict(), tmp_path / "a.pt")
    result = CliRunner().invoke(main, [*command, "--weights", str(tmp_path / "a.pt")])
    assert result.exit_code == 0, result.output
    assert "14 renamed" in result.output
    network(OTHER).module().load_state_dict(load_file(out))
