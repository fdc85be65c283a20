"""ONNX models as specs: those of other exporters, and those that netspec writes; onnxruntime is the truth."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import torchvision
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper
from torch import nn

import netspec
from netspec.cli import main
from netspec.convert.onnx import OnnxConversion, convert_onnx, prove_onnx
from netspec.emit.manual.ops import example
from netspec.errors import ConvertError
from netspec.frontends.onnx import read_onnx
from netspec.ops import OPS

LIGHT = sorted(Path(onnx.__file__).parent.glob("backend/test/data/light/*.onnx"))


def converted(path: Path) -> OnnxConversion:
    """Convert a file, and check that the result computes the same."""
    conversion = convert_onnx(path, {})
    proof = prove_onnx(conversion)
    assert proof.holds, list(proof.lines())
    return conversion


def exported(module: nn.Module, path: Path, *shapes: tuple[int, ...], opset: int = 17) -> Path:
    """Export a module by PyTorch's older exporter, which needs no other packages."""
    inputs = tuple(torch.rand(2, *shape) for shape in shapes)
    names = [f"x{k}" for k in range(len(inputs))]
    axes = {name: {0: "batch"} for name in names}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(),
            inputs,
            str(path),
            dynamo=False,
            opset_version=opset,
            input_names=names,
            dynamic_axes=axes,
        )
    return path


# A network of torchvision, an opset, and the most lines of its spec.
TORCHVISION = [
    ("resnet18", 9, 30),
    ("resnet18", 17, 30),
    ("mobilenet_v3_small", 17, 100),
    ("googlenet", 13, 95),
    ("shufflenet_v2_x0_5", 13, 120),
    ("densenet121", 13, 100),
    ("efficientnet_b0", 14, 150),
    ("convnext_tiny", 14, 45),
    ("convnext_tiny", 17, 45),
    ("vit_b_32", 14, 45),
    ("swin_t", 17, 340),
]


@pytest.mark.parametrize(("name", "opset", "most"), TORCHVISION)
def test_networks_of_torchvision(name, opset, most, tmp_path):
    options = {"init_weights": False} if name == "googlenet" else {}
    torch.manual_seed(0)
    module = torchvision.models.get_model(name, weights=None, **options).eval()
    with torch.no_grad():
        for parameter in module.parameters():
            if not parameter.any():  # a head of zeros would hide all before it
                parameter += 0.02 * torch.randn_like(parameter)
    conversion = converted(exported(module, tmp_path / "net.onnx", (3, 224, 224), opset=opset))
    assert len(conversion.text.splitlines()) <= most
    own = sum(p.numel() for n, p in module.named_parameters() if not n.startswith("aux"))
    found = conversion.network.net.totals.params
    assert abs(found - own) < 0.02 * own  # the exporter folds batch norms, and tables of biases


@pytest.mark.parametrize("path", LIGHT, ids=lambda p: p.stem)
def test_classics_in_the_onnx_package(path):
    """They have no weights of their own, so that only their structure can be compared."""
    network = netspec.load(read_onnx(path).text)
    (output,) = network.net.outputs
    assert network.net.nodes[output.node].shape[0] == 1000


LEFT_OUT = {"input", "identity", "dropout", "dropout2d"}
"""The layer types whose examples compute nothing."""


@pytest.mark.parametrize("keyword", sorted(set(OPS) - LEFT_OUT))
def test_every_layer_type_comes_back(keyword, tmp_path):
    network = netspec.load(f"network Net\n{example(OPS[keyword])}")
    torch.manual_seed(0)
    module = network.module()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    network.onnx(tmp_path / "net.onnx", weights=module.state_dict())
    back = converted(tmp_path / "net.onnx").network
    assert back.net.nodes[-1].shape == network.net.nodes[-1].shape


@pytest.mark.parametrize("name", ["lenet", "googlenet", "resnet18", "inception_v3", "swin_t", "maxvit_t"])
def test_networks_of_the_zoo_come_back(name, tmp_path):
    network = netspec.load(name)
    torch.manual_seed(0)
    network.onnx(tmp_path / "net.onnx", weights=network.module().state_dict())
    conversion = converted(tmp_path / "net.onnx")
    if not any(n.op.kind == "attention" for n in network.net.nodes):
        heads = [n for n in network.net.nodes if n.name.startswith(("aux", "AuxLogits"))]
        whole = network.net.totals.params - sum(n.params for n in heads)
        assert conversion.network.net.totals.params == whole


def test_names_and_blocks_are_recovered(tmp_path):
    network = netspec.load("resnet18")
    module = network.module()
    network.onnx(tmp_path / "net.onnx", weights=module.state_dict())
    conversion = converted(tmp_path / "net.onnx")
    assert set(conversion.weights()) == set(module.state_dict())
    assert "block Layer(channels, stride = 1)" in conversion.text
    assert "layer2: { Layer(128, stride=2); Layer(128) }" in conversion.text


# Small modules of PyTorch with the shapes of their inputs.
class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(32, 4, batch_first=True)
        self.norm = nn.LayerNorm(32)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(x + self.attention(x, x, x, need_weights=False)[0])


class Sides(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a, b = x.chunk(2, dim=1)
        y = torch.cat([a * b.sigmoid(), b.clamp(0.1, 0.9), (a - b).abs().sqrt()], 1)
        return nn.functional.interpolate(y, scale_factor=2.0, mode="bilinear").mean((2, 3))


MODULES = [
    (nn.Sequential(nn.Conv1d(2, 8, 5, 2), nn.BatchNorm1d(8), nn.ReLU(), nn.MaxPool1d(2)), [(2, 64)]),
    (nn.Sequential(nn.Conv3d(2, 4, 3), nn.BatchNorm3d(4), nn.AvgPool3d(2), nn.Flatten()), [(2, 8, 8, 8)]),
    (nn.Sequential(nn.ConvTranspose2d(3, 4, 3, 2, 1, 1), nn.GELU(), nn.Upsample(None, 2)), [(3, 8, 8)]),
    (nn.Sequential(nn.Conv2d(4, 8, 3), nn.GroupNorm(2, 8), nn.SiLU(), nn.Hardswish()), [(4, 8, 8)]),
    (nn.Sequential(nn.Conv2d(4, 8, 3), nn.InstanceNorm2d(8, affine=True), nn.PReLU(8)), [(4, 8, 8)]),
    (nn.Sequential(nn.Linear(8, 16), nn.ELU(), nn.Linear(16, 4), nn.LogSoftmax(-1)), [(5, 8)]),
    (nn.Sequential(nn.PixelShuffle(2), nn.LocalResponseNorm(3), nn.ReflectionPad2d(1)), [(8, 4, 4)]),
    (Attention(), [(10, 32)]),
    (Sides(), [(4, 6, 6)]),
]  # fmt: skip


@pytest.mark.parametrize(("module", "shapes"), MODULES, ids=range(len(MODULES)))
@pytest.mark.parametrize("opset", [14, 17])
def test_modules(module, shapes, opset, tmp_path):
    converted(exported(module, tmp_path / "net.onnx", *shapes, opset=opset))


def save(path: Path, nodes: list[onnx.NodeProto], weights: dict[str, np.ndarray], opset: int = 17) -> Path:
    """Write a graph from x, 3 x 8 x 8, to y."""
    shapes = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 8, 8])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    arrays = [numpy_helper.from_array(a, n) for n, a in weights.items()]
    graph = helper.make_graph(nodes, "g", shapes, outputs, arrays)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), path)
    return path


WEIGHT = {"w": np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float32)}


@pytest.mark.parametrize("pads", [[0, 0, 1, 1], [2, 1, 0, 1]])
def test_padding_that_differs_on_both_sides(pads, tmp_path):
    node = helper.make_node("Conv", ["x", "w"], ["y"], pads=pads)
    converted(save(tmp_path / "net.onnx", [node], WEIGHT))
    node = helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[3, 3], pads=pads, strides=[2, 2])
    converted(save(tmp_path / "net.onnx", [node], {}))


@pytest.mark.parametrize("auto", ["SAME_UPPER", "SAME_LOWER", "VALID"])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_padding_by_name(auto, stride, tmp_path):
    node = helper.make_node("Conv", ["x", "w"], ["y"], auto_pad=auto, strides=[stride, stride])
    converted(save(tmp_path / "net.onnx", [node], WEIGHT))


def test_old_opsets_give_numbers_as_attributes(tmp_path):
    nodes = [
        helper.make_node("Clip", ["x"], ["a"], min=0.0, max=6.0),
        helper.make_node("Pad", ["a"], ["b"], pads=[0, 0, 1, 1, 0, 0, 1, 1]),
        helper.make_node("Slice", ["b"], ["c"], axes=[2], starts=[1], ends=[9]),
        helper.make_node("Unsqueeze", ["c"], ["d"], axes=[1]),
        helper.make_node("Squeeze", ["d"], ["e"], axes=[1]),
        helper.make_node("Dropout", ["e"], ["f"], ratio=0.5),
        helper.make_node("ReduceMean", ["f"], ["y"], axes=[2, 3], keepdims=0),
    ]
    assert "relu6" in converted(save(tmp_path / "net.onnx", nodes, {}, opset=7)).text


# A graph that cannot be read, and the message.
REFUSED = [
    ([helper.make_node("NonZero", ["x"], ["y"])], "without a counterpart in netspec: NonZero"),
    ([helper.make_node("Own", ["x"], ["y"], domain="com.example")], "an operator of com.example"),
    ([helper.make_node("Transpose", ["x"], ["t"], perm=[1, 0, 2, 3]),
      helper.make_node("Reshape", ["t", "s"], ["y"])], "splits the batch"),
    ([helper.make_node("ReduceSum", ["x"], ["y"])], "over all axes"),
    ([helper.make_node("Softmax", ["x"], ["y"], axis=0)], "along the batch"),
]  # fmt: skip


@pytest.mark.parametrize(("nodes", "message"), REFUSED)
def test_graphs_that_cannot_be_read(nodes, message, tmp_path):
    path = save(tmp_path / "net.onnx", nodes, {"s": np.array([6, -1], np.int64)})
    with pytest.raises(ConvertError, match=message):
        read_onnx(path)
    report = CliRunner().invoke(main, ["check", str(path)])
    assert report.exit_code == 1
    assert message in report.output


@pytest.mark.parametrize("content", [b"", b"x", b"\x08\x07", bytes(range(256))])
def test_damaged_files_are_refused(content, tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(content)
    with pytest.raises(ConvertError, match=r"not an ONNX model"):
        read_onnx(path)


VALUE = helper.make_tensor_value_info("z", TensorProto.FLOAT, None)
BRANCH = helper.make_graph([helper.make_node("Relu", ["x"], ["z"])], "b", [], [VALUE])
# Nodes as no exporter writes them.
ODD = [
    helper.make_node("If", ["two"], ["y"], then_branch=BRANCH, else_branch=BRANCH),
    helper.make_node("Unsqueeze", ["x", "same"], ["y"]),
    helper.make_node("Expand", ["x", "many"], ["y"]),
    helper.make_node("Reshape", ["x"], ["y"]),
]


@pytest.mark.parametrize("node", ODD, ids=[node.op_type for node in ODD])
def test_odd_nodes_are_refused(node, tmp_path):
    arrays = {"two": np.ones(2, bool), "same": np.array([1, -5]), "many": np.ones(40, np.int64)}
    path = tmp_path / "net.onnx"
    given = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    image = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 8, 8])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph([node], "g", [image], [out], given)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    with pytest.raises(ConvertError, match=node.op_type):
        read_onnx(path)


def test_names_that_are_not_utf8_are_refused(tmp_path):
    path = netspec.load("lenet").onnx(tmp_path / "lenet.onnx")
    content = path.read_bytes()
    assert b"Gemm" in content
    path.write_bytes(content.replace(b"Gemm", b"Ge\xffm"))
    with pytest.raises(ConvertError, match="UTF-8"):
        read_onnx(path)


class Fixed(nn.Module):
    """Reshapings that an exporter writes for one size of the batch."""

    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 6, 1), nn.Linear(384, 5)
        self.register_buffer("anchors", torch.tensor([[1.0, 2], [3, 4], [5, 6]]))

    def forward(self, x):
        x = self.conv(x)
        batch, _, height, width = x.shape
        boxes = x.view(batch, 3, 2, height, width).permute(0, 1, 3, 4, 2) * self.anchors.view(1, 3, 1, 1, 2)
        return boxes.reshape(batch, -1, 2), self.fc(x.view(x.size(0), -1))


class Siamese(nn.Module):
    """One body for two images."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5))

    def forward(self, a, b):
        return self.body(a) - self.body(b)


def test_weights_that_are_used_twice_are_shared(tmp_path):
    module = Siamese()
    conversion = converted(exported(module, tmp_path / "net.onnx", (3, 8, 8), (3, 8, 8)))
    assert conversion.text.count("share(") == 2
    assert conversion.network.net.totals.params == sum(p.numel() for p in module.parameters())
    assert conversion.state.keys() == module.state_dict().keys()


class Last(nn.Module):
    """A classifier of the last state."""

    def __init__(self):
        super().__init__()
        self.rnn, self.fc = nn.LSTM(4, 6, batch_first=True), nn.Linear(6, 3)

    def forward(self, x):
        return self.fc(self.rnn(x)[0][:, -1])


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("rnn", [False, True])
def test_a_fixed_batch_is_open_again(batch, rnn, tmp_path):
    module, shape = (Last(), (5, 4)) if rnn else (Fixed(), (3, 8, 8))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module.eval(), (torch.rand(batch, *shape),), str(tmp_path / "n.onnx"), dynamo=False)
    network = converted(tmp_path / "n.onnx").network
    found = [tuple(network.net.nodes[o.node].shape) for o in network.net.outputs]
    assert found == ([(3,)] if rnn else [(192, 2), (5,)])
    assert network.net.totals.params == sum(p.numel() for p in module.parameters())


def test_classifiers_of_tokens(tmp_path):
    class Classifier(nn.Module):
        def __init__(self, kind):
            super().__init__()
            self.table, self.fc = nn.Embedding(20, 4), nn.Linear(6, 3)
            self.rnn = kind(4, 6, batch_first=True)

        def forward(self, tokens):
            states, last = self.rnn(self.table(tokens))
            last = last[0] if isinstance(last, tuple) else last
            return self.fc(states[:, -1] + last[0])

    for kind in (nn.LSTM, nn.GRU):
        path = tmp_path / f"{kind.__name__}.onnx"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                Classifier(kind).eval(),
                (torch.randint(20, (2, 5)),),
                str(path),
                dynamo=False,
                input_names=["tokens"],
                dynamic_axes={"tokens": {0: "batch"}},
            )
        text = converted(path).text
        assert "input tokens: 5, dtype=int64" in text
        assert "embedding(20, 4)" in text
        assert f"{kind.__name__.lower()}(6)" in text


@pytest.mark.parametrize(
    "transformation", ["asymmetric", "half_pixel", "align_corners", "pytorch_half_pixel"]
)
@pytest.mark.parametrize("rounding", ["floor", "ceil", "round_prefer_floor", "round_prefer_ceil"])
@pytest.mark.parametrize("factor", [1.5, 2.0, 3.0, 4.0])
def test_the_nearest_pixels_are_those_of_onnxruntime(transformation, rounding, factor, tmp_path):
    modes = {"coordinate_transformation_mode": transformation, "nearest_mode": rounding}
    node = helper.make_node("Resize", ["x", "", "s"], ["y"], mode="nearest", **modes)
    path = save(tmp_path / "net.onnx", [node], {"s": np.array([1, 1, factor, factor], np.float32)})
    try:
        conversion = convert_onnx(path, {})
    except ConvertError as error:
        message = str(error)
    else:
        assert prove_onnx(conversion).holds
        return
    assert rounding in message


def test_open_sizes_are_asked_for(tmp_path):
    shapes = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, "h", "w"])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", shapes, outputs)
    path = tmp_path / "net.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    result = CliRunner().invoke(main, ["check", str(path)])
    assert result.exit_code == 1
    assert "the input x has the shape 3x?x?" in result.output
    assert CliRunner().invoke(main, ["check", str(path), "--input", "3x16x16"]).exit_code == 0


def test_the_command_writes_a_spec_and_weights(tmp_path):
    path = netspec.load("lenet").onnx(tmp_path / "lenet.onnx")
    spec, weights = tmp_path / "own.net", tmp_path / "own.safetensors"
    result = CliRunner().invoke(main, ["convert", str(path), "-o", str(spec), "--weights", str(weights)])
    assert result.exit_code == 0, result.output
    assert "largest difference" in result.output
    again = netspec.load(spec).module(weights=weights)
    assert again(torch.rand(1, 1, 32, 32)).shape == (1, 10)
    assert CliRunner().invoke(main, ["check", str(path)]).exit_code == 0
    assert CliRunner().invoke(main, ["draw", str(path), "-o", str(tmp_path / "n.dot")]).exit_code == 0
