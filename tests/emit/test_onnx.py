"""ONNX models of specs, run by onnxruntime against the PyTorch modules."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from click.testing import CliRunner

import netspec
from netspec.cli import main
from netspec.convert.onnx import run_onnx
from netspec.convert.proof import tensors
from netspec.emit.manual.ops import example
from netspec.emit.onnx import OPSET
from netspec.emit.onnx.rows import ROWS
from netspec.network import Network
from netspec.ops import OPS


def module_of(network: Network) -> torch.nn.Module:
    """The network's module with random weights, also where the initial ones are zeros."""
    torch.manual_seed(0)
    module = network.module().eval()
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.dim() < 2 or not parameter.any():
                parameter += 0.05 * torch.randn_like(parameter)
    return module


def outputs(network: Network, path: Path, batch: int = 2) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """The outputs of onnxruntime and of PyTorch for random inputs."""
    module = module_of(network)
    network.onnx(path, weights=module.state_dict())
    inputs, found = run_onnx(path, network.net, batch)
    assert len(inputs[0]) == batch
    with torch.no_grad():
        return list(zip(found, tensors(module(*inputs)), strict=True))


def assert_equal(network: Network, path: Path, batch: int = 2) -> None:
    for found, expected in outputs(network, path, batch):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


def test_every_layer_type_has_a_row():
    assert set(ROWS) == set(OPS) - {"input"}


@pytest.mark.parametrize("keyword", sorted(set(OPS) - {"input"}))
def test_the_example_of_a_layer_type(keyword, tmp_path):
    assert_equal(netspec.load(f"network Net\n{example(OPS[keyword])}"), tmp_path / "net.onnx")


# The input's shape and layers whose arguments the examples do not have.
BODIES = [
    ("3x16x16", "conv(8, 3x5, stride=2x1, padding=1x2, dilation=2x1, bias=false)"),
    ("4x32", "conv(6, 5, padding=2, groups=2); batchnorm; maxpool(3, ceil=true); deconv(4, 3, stride=2)"),
    ("4x4x8x8", "conv(6, 3, padding=1); batchnorm; avgpool(2); deconv(4, 2, stride=2); adaptive_avgpool(3)"),
    ("4x9x9", "deconv(6, 3, stride=2, padding=1, output_padding=1)"),
    ("4x9x9", "avgpool(3, stride=2, padding=1, ceil=true)"),
    ("4x10x10", "avgpool(3, stride=2, padding=1, ceil=true)"),
    ("4x10x10", "avgpool(3, stride=2, padding=1, ceil=true, count_padding=false)"),
    ("4x10x10", "maxpool(3, stride=2, padding=1, ceil=true)"),
    ("4x10x7", "adaptive_avgpool(4x3)"),
    ("4x10x7", "adaptive_maxpool(4x3)"),
    ("4x10x8", "adaptive_maxpool(5x4)"),
    ("4x8", "batchnorm(affine=false); layernorm(affine=false); rmsnorm"),
    ("8", "batchnorm; prelu(per_channel=true); softmax"),
    ("8x6x6", "groupnorm(2, affine=false); prelu(per_channel=true); layernorm; softmax"),
    ("8x6x6", "lrn(3, alpha=0.1, beta=0.5, k=2, within=true)"),
    ("8x6x6", "upsample(size=9x7, mode=bilinear); upsample(2, mode=bicubic)"),
    ("8x6x6", "upsample(2, mode=bilinear, align_corners=true); upsample(size=17x5)"),
    ("8x6x6", "pad([2, 1, 0, 3], mode=reflect); pad([1, 1, 1, 1], mode=replicate); pad([-1, 0, 0, -2])"),
    ("8x6x6", "pad([2, 1, 0, 3], mode=circular); pad([1, 0, 0, 0], value=2)"),
    ("8x5x7", "channels_last; merge_patches; channels_first; slice(1, 9, step=2); flip([0, 2])"),
    ("8x14x14", "partition(7, grid=true); unpartition(7, 14, 14, grid=true)"),
    ("8x10x15", "channels_last; window_attention(4, window=7, shift=3)"),
    ("8x10x15", "channels_last; cosine_window_attention(4, window=4, shift=2)"),
    ("8x5x9x15", "permute([1, 2, 3, 0]); video_window_attention(4, window=4x7x7, shift=2x3x3)"),
    ("8x4x4", "tokens; first: param(1x8, batch=true); concat(first, tokens); attention(2); token"),
    ("6x8", "roll([2, -3], [0, 1]); mean(0, keep=true)"),
    ("6x8", "a: linear(4)\nb: share(a) <- x\nadd(a, b)\nclamp(max=0.5)\npow(2)\nscale(2, offset=-1)"),
    ("3x4x5", "dot_product_attention(scale=0.5) { identity; identity; identity; matmul { identity; "
     "permute([0, 2, 1]) } }"),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "body"), BODIES)
def test_arguments(shape, body, tmp_path):
    network = netspec.load(f"network Net\ninput x: {shape}\n{body}\n")
    assert_equal(network, tmp_path / "net.onnx")
    assert_equal(network, tmp_path / "net.onnx", batch=1)


NETWORKS = ["lenet", "nin", "googlenet", "resnet18", "densenet121", "mobilenet_v3_small", "efficientnet_b0"]
NETWORKS += ["inception_v3", "convnext_tiny", "swin_t", "swin_v2_t", "maxvit_t", "shufflenet_v2_x0_5"]
NETWORKS += ["squeezenet1_1", "mnasnet0_5", "regnet_y_400mf", "mobilenet_v2"]


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_of_the_zoo(name, tmp_path):
    assert_equal(netspec.load(name), tmp_path / "net.onnx")


def test_the_model_says_what_it_is(tmp_path):
    model = onnx.load(netspec.load("resnet18").onnx(tmp_path / "net.onnx"))
    onnx.checker.check_model(model, full_check=True)
    assert [o.version for o in model.opset_import] == [OPSET]
    (image,) = model.graph.input
    assert [d.dim_param or d.dim_value for d in image.type.tensor_type.shape.dim] == ["batch", 3, 224, 224]
    names = {i.name for i in model.graph.initializer}
    assert {"conv1.weight", "layer1.0.bn1.running_mean", "fc.bias"} <= names


def test_weights_of_a_file_with_a_prefix_are_exported(tmp_path):
    network = netspec.load("lenet")
    state = network.module().state_dict()
    torch.save({"state_dict": {f"module.{k}": v for k, v in state.items()}}, tmp_path / "w.pt")
    path, file = str(tmp_path / "net.onnx"), str(tmp_path / "w.pt")
    result = CliRunner().invoke(main, ["export", "lenet", "--to", "onnx", "-o", path, "--weights", file])
    assert result.exit_code == 0
    stored = {i.name: onnx.numpy_helper.to_array(i) for i in onnx.load(path).graph.initializer}
    assert all(np.array_equal(stored[k].reshape(v.shape), v.numpy()) for k, v in state.items())


@pytest.mark.parametrize(
    ("arguments", "message", "status"),
    [
        (["lenet", "--to", "onnx"], "onnx is not text: name a file with --output", 2),
        (["lenet", "--weights", "w.pt"], "leave out --weights, or use --to onnx", 2),
        (["lenet", "--to", "onnx", "-o", "n.onnx", "--weights", "none.pt"], "none.pt cannot be read", 1),
        (["resnet18", "--to", "onnx", "-o", "n.onnx", "--weights", "BEST"], "no weights `BEST`", 1),
    ],
)
def test_wrong_use(arguments, message, status, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["export", *arguments])
    assert result.exit_code == status
    assert message in result.output
    assert not (tmp_path / "n.onnx").exists()


def test_weights_of_another_network_are_refused(tmp_path):
    with pytest.raises(netspec.WeightsError):
        netspec.load("lenet").onnx(tmp_path / "n.onnx", weights=netspec.load("nin").module().state_dict())
    with pytest.raises(netspec.WeightsError, match="a file or a state_dict"):
        netspec.load("lenet").onnx(tmp_path / "n.onnx", weights=3)
