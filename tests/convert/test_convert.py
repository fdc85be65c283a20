"""PyTorch modules as specs: the same parameters, keys and outputs, and text that a person would write."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import modules
import pytest
import torch
import torchvision
from accepted import accepted
from click.testing import CliRunner
from safetensors.torch import load_file
from torch import nn

import netspec
from netspec.cli import main
from netspec.convert import convert
from netspec.convert.proof import prove
from netspec.convert.rows import LEAVES, ROWS
from netspec.errors import ConvertError

HERE = Path(__file__).parent


def same(module: nn.Module, *shapes: tuple[int, ...], tolerance: float = 0.0) -> str:
    """Convert a module, compare both, and return the text of the spec."""
    conversion = convert(module, shapes)
    proof = prove(conversion)
    assert proof.params[0] == proof.params[1]
    assert (proof.missing, proof.unexpected) == ((), ())
    assert proof.relative <= tolerance, conversion.text
    assert netspec.check(conversion.text).ok
    return conversion.text


SMALL = [
    (modules.Resnet(), (3, 16, 16), 0.0),
    (modules.Repeated(), (4,), 0.0),
    (modules.Alternating(), (8, 4, 4), 0.0),
    (modules.Attention(8, 2), (5, 8), 0.0),
    (modules.Windows(), (8, 8, 12), 0.0),
    (modules.TokensFirst(), (5, 6), 1e-6),
    (modules.Positions(), (2, 4, 4), 1e-6),
    (modules.Standardized(3, 4, 3, padding=1), (3, 6, 6), 1e-5),
    (modules.Heads(), (6,), 0.0),
    (modules.Pyramid(), (4, 16, 16), 0.0),
    (modules.Hidden(), (3, 4, 4), 0.0),
    (modules.Tables(), (2, 4, 4), 1e-6),
    (modules.Unet(), (3, 16, 16), 1e-5),
    (nn.Sequential(modules.block(), modules.block()), (4,), 0.0),
    (modules.Levels(), (4, 4), 0.0),
    (modules.Rotary(), (4, 6), 1e-6),
    (modules.Keywords(), (3, 4, 4), 0.0),
    (nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), 2), (5, 16), 1e-5),
    (modules.Masked(6, 8, 2), (6, 8), 1e-6),
    (modules.Statistics(), (3, 8, 8), 1e-5),
    (modules.WeightNorms(), (4, 20), 1e-6),
    (nn.Sequential(nn.Conv1d(4, 16, 3), nn.GLU(1), nn.Hardtanh()), (4, 20), 0.0),
    (
        nn.Sequential(
            modules.Defaulted(3, 5, True), modules.Defaulted(5, 8, True), modules.Defaulted(8, 4, False)
        ),
        (3, 4, 4),
        0.0,
    ),
]


@pytest.mark.parametrize(("module", "shape", "tolerance"), SMALL, ids=[type(m).__name__ for m, _, _ in SMALL])
def test_small_modules(module, shape, tolerance):
    same(module, shape, tolerance=tolerance)


@pytest.mark.parametrize("tied", [False, True])
def test_a_language_model(tied):
    module = modules.Language(tied)
    tokens = torch.randint(20, (1, 6))
    conversion = convert(module, tokens)
    assert prove(conversion).holds
    assert "input idx: 6, dtype=int64" in conversion.text
    assert ("embedding(20, 8)" in conversion.text) is not tied
    network = conversion.network
    built = network.module(weights=conversion.weights()).eval()
    assert torch.equal(built(tokens), module.eval()(tokens))


def test_inputs_by_name():
    class Difference(nn.Module):
        def forward(self, a, b):
            return a - b

    text = convert(Difference(), {"b": (3, 4), "a": (3, 4)}).text
    assert "sub(a, b)" in text
    assert prove(convert(Difference(), {"b": (3, 4), "a": (3, 4)})).holds


# Networks of torchvision, and the most lines of their specs.
TORCHVISION = {
    "alexnet": 14,
    "convnext_tiny": 36,
    "densenet121": 40,
    "efficientnet_b0": 62,
    "googlenet": 45,
    "mnasnet0_5": 45,
    "mobilenet_v3_small": 60,
    "regnet_y_400mf": 62,
    "resnet18": 24,
    "resnext50_32x4d": 28,
    "shufflenet_v2_x0_5": 46,
    "squeezenet1_1": 20,
    "swin_t": 42,
    "vit_b_32": 26,
}


@pytest.mark.parametrize("name", TORCHVISION)
def test_networks_of_torchvision_are_equal(name):
    options = {"init_weights": False} if name == "googlenet" else {}
    torch.manual_seed(0)
    tolerance = 1e-5 if name.startswith("vit") else 0.0
    text = same(
        torchvision.models.get_model(name, weights=None, **options), (3, 224, 224), tolerance=tolerance
    )
    assert len(text.splitlines()) <= TORCHVISION[name]


def test_the_spec_is_what_a_person_would_write():
    assert same(modules.Resnet(), (3, 16, 16)) == (HERE / "resnet.net").read_text("utf-8")


def test_a_block_has_conditions_for_what_only_some_modules_have():
    text = same(torchvision.models.resnet18(weights=None), (3, 64, 64))
    assert len(re.findall("^block", text, re.M)) == 1
    assert "if stride == 1 {\n    add(bn2, in)\n  } else {" in text


def test_heads_of_training_are_kept():
    text = same(modules.Heads(), (6,))
    assert "output main\noutput aux when training" in text


def test_dropout_and_stochastic_depth_are_kept():
    network = netspec.from_torch(torchvision.models.efficientnet_b0(weights=None), (3, 64, 64))
    drops = [n.op.p for n in network.net.layers if n.op.keyword == "stochastic_depth"]
    module = torchvision.models.efficientnet_b0(weights=None)
    wanted = [m.p for m in module.modules() if type(m).__name__ == "StochasticDepth" and m.p]
    assert len(drops) == 9
    assert set(drops) <= set(wanted)
    assert [n.op.p for n in network.net.layers if n.op.keyword == "dropout"] == [0.2]


def test_a_module_keeps_its_mode_and_its_forward():
    module = torchvision.models.efficientnet_b0(weights=None)
    module.features[0].eval()
    before = {name: m.training for name, m in module.named_modules()}
    convert(module, (3, 64, 64))
    assert {name: m.training for name, m in module.named_modules()} == before
    assert not any("forward" in vars(m) for m in module.modules())


def test_several_inputs():
    class Sum(nn.Module):
        def forward(self, image, scale):
            return image * scale[:, :, None, None]

    text = same(Sum(), (3, 4, 4), (3,))
    assert "input image: 3x4x4\ninput scale: 3" in text


def test_parameters_without_use_are_named():
    class Idle(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.idle = nn.Linear(3, 3), nn.Linear(3, 3)

        def forward(self, x):
            return self.used(x)

    conversion = convert(Idle(), (3,))
    assert conversion.notes == ("parameters that no output depends on are left out: idle.weight, idle.bias",)
    assert prove(conversion).holds
    assert conversion.weights().keys() == {"used.weight", "used.bias"}


def test_constants_are_buffers_with_their_values():
    conversion = convert(modules.Positions(), (2, 4, 4))
    buffers = {n.name for n in conversion.network.net.layers if n.op.keyword == "buffer"}
    assert conversion.constants.keys() == buffers
    assert {str(v.dtype) for v in conversion.constants.values()} == {"torch.float32", "torch.int64"}


REFUSED = [
    (modules.Choice(), "torch.export cannot export Choice: .*values of the input.*modules.py, line [0-9]+"),
    (nn.Conv2d(3, 4, 1), "Conv2d is a single layer without a name: put it into an nn.Sequential"),
    (nn.Identity(), "the network has no layers"),
    (modules.Spectrum(), "Spectrum uses operators without a counterpart in netspec: fft_fft .*, real"),
]


@pytest.mark.parametrize(("module", "words"), REFUSED, ids=[type(m).__name__ for m, _ in REFUSED])
def test_what_cannot_be_converted_is_named_with_its_place(module, words):
    with pytest.raises(ConvertError, match=words):
        convert(module, (3, 4, 4))


@pytest.mark.parametrize("registry", [ROWS, LEAVES])
def test_every_row_has_a_docstring(registry):
    rows = [row if callable(row) else row.read for row in registry.values()]
    assert [r.__name__ for r in rows if not r.__doc__] in ([], ["row"] * sum(not r.__doc__ for r in rows))


# The command


def run(*arguments: object):
    return CliRunner().invoke(main, [str(a) for a in arguments], catch_exceptions=False)


@pytest.fixture
def target(monkeypatch):
    monkeypatch.setenv("NETSPEC_TRACEBACK", "0")
    monkeypatch.delitem(sys.modules, "modules", raising=False)
    return HERE / "modules.py"


@pytest.mark.parametrize("name", ["Resnet", "make", "READY"])
def test_convert_writes_a_spec_and_weights(tmp_path, target, name):
    spec, weights = tmp_path / "x.net", tmp_path / "x.safetensors"
    result = run("convert", f"{target}:{name}", "-o", spec, "--weights", weights, "--input", "3x16x16")
    assert accepted(result)
    assert "state_dict" in result.stderr
    assert "largest difference 0 on a random batch of 2" in result.stderr
    network = netspec.load(spec)
    network.module().load_state_dict(load_file(weights))


def test_convert_prints_the_spec(target):
    result = run("convert", f"{target}:make", "--input", "3x8x8", "--arg", "width=5")
    assert accepted(result)
    assert netspec.check(result.stdout).ok
    assert "conv(5, 3)" in result.stdout


def test_convert_imports_packages():
    result = run(
        "convert", "torchvision.models:squeezenet1_1", "--input", "3x64x64", "--arg", "num_classes=7"
    )
    assert accepted(result)
    assert "MACs" in result.stderr


BAD = [
    ("torchvision.models", "is not PACKAGE.MODULE:NAME or FILE.py:NAME", 2),
    ("nowhere.py:X", "there is no such file", 1),
    ("nopackage.models:X", "there is no module nopackage", 1),
    ("torchvision.models:resnet51", "has no resnet51: did you mean `resnet50`", 1),
    ("MODULES:NUMBER", "is neither a module nor a class", 1),
    ("MODULES:Choice", "values of the input", 1),
    ("MODULES:Attention", "cannot be called: TypeError", 1),
    ("MODULES:torch.zeros", "cannot be called", 1),
]


@pytest.mark.parametrize(("name", "words", "status"), BAD)
def test_wrong_targets_are_one_sentence(target, name, words, status):
    result = run("convert", name.replace("MODULES", str(target)), "--input", "3x4x4")
    assert result.exit_code == status
    assert words in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_file_that_fails_is_named_with_its_line(tmp_path, target):
    broken = tmp_path / "broken.py"
    broken.write_text("import torch\n\n1 / 0\n")
    result = run("convert", f"{broken}:X")
    assert result.exit_code == 1
    assert f"ZeroDivisionError: division by zero ({broken}, line 3: `1 / 0`)" in result.stderr


def test_networks_that_differ_fail(target):
    result = run("convert", f"{target}:Heads", "--input", "6")
    assert accepted(result)
