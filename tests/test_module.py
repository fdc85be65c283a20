"""Compiled networks are ordinary modules: saved, copied, shown, exported, and never confused by names."""

from __future__ import annotations

import copy
import importlib
import inspect
import io
import multiprocessing
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from places import HERE
from torch import nn

import netspec
from netspec import Network
from netspec.checker import check_source
from netspec.diagnostics import Source
from netspec.emit.torch.names import TAKEN

OK = HERE / "cases" / "ok"


def compiled(text: str, head: str = "network Net\ninput given: 3x8x8\n") -> Network:
    return Network(check_source(Source("test.net", head + text + "\n"), Path()).require())


@pytest.fixture(scope="module")
def lenet() -> nn.Module:
    return netspec.load("lenet").module().eval()


IMAGE = torch.rand(2, 1, 32, 32)


def through_pickle(module: nn.Module) -> nn.Module:
    return pickle.loads(pickle.dumps(module))


def through_torch_save(module: nn.Module) -> nn.Module:
    file = io.BytesIO()
    torch.save(module, file)
    return torch.load(io.BytesIO(file.getvalue()), weights_only=False)


def through_state(module: nn.Module) -> nn.Module:
    fresh = netspec.load("lenet").module().eval()
    fresh.load_state_dict(module.state_dict(), strict=True)
    return fresh


def through_export(module: nn.Module) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own
        return torch.export.export(module, (IMAGE,)).module()


COPIES = [copy.deepcopy, through_pickle, through_torch_save, through_state, through_export]


@pytest.mark.parametrize("through", COPIES)
def test_a_copy_gives_the_same(lenet, through):
    assert torch.equal(through(lenet)(IMAGE), lenet(IMAGE))


LOADING = """
import pickle, sys, torch
module = {load}
torch.save((module(torch.load("image.pt")), [type(m).__name__ for m in module.modules()]), "result.pt")
"""


@pytest.mark.parametrize(
    ("name", "save", "load"),
    [
        ("lenet", pickle.dump, "pickle.load(open('module.pkl', 'rb'))"),
        ("googlenet", torch.save, "torch.load('module.pkl', weights_only=False)"),
    ],
    ids=["pickle", "torch.save"],
)
def test_another_process_loads_a_pickled_module(name, save, load, tmp_path):
    module = netspec.load(name).module().eval()
    image = torch.rand(1, *netspec.load(name).net.inputs[0].shape)
    with (tmp_path / "module.pkl").open("wb") as file:
        save(module, file)
    torch.save(image, tmp_path / "image.pt")
    subprocess.run([sys.executable, "-c", LOADING.format(load=load)], cwd=tmp_path, check=True)
    result, kinds = torch.load(tmp_path / "result.pt")
    assert torch.equal(result, module(image))
    assert kinds == [type(m).__name__ for m in module.modules()]


def weigh(rank: int, module: nn.Module, results: multiprocessing.SimpleQueue) -> None:
    results.put(sum(p.double().sum().item() for p in module.parameters()))


def test_spawned_processes_take_a_module(lenet):
    results = torch.multiprocessing.get_context("spawn").SimpleQueue()
    torch.multiprocessing.spawn(weigh, (copy.deepcopy(lenet), results), nprocs=1)
    assert results.get() == sum(p.double().sum().item() for p in lenet.parameters())


def test_a_module_in_the_making_can_be_pickled_twice(lenet):
    """A copy of a copy, with hooks and other attributes that users set."""
    module = copy.deepcopy(lenet)
    module.note = "mine"
    again = through_pickle(through_pickle(module))
    assert again.note == "mine"
    assert type(again) is type(lenet)


def test_the_live_module_is_the_exported_text(tmp_path, monkeypatch):
    """Annotations stay what they are in the file, as torch.jit.script needs them."""
    network = netspec.load("alexnet")
    (tmp_path / "exported.py").write_text(network.source())
    monkeypatch.syspath_prepend(tmp_path)
    exported = importlib.import_module("exported")
    live = sys.modules[type(network.module()).__module__]
    for name, kind in vars(exported).items():
        if inspect.isclass(kind) and kind.__module__ == "exported":
            other = getattr(live, name)
            assert inspect.getsource(kind) == inspect.getsource(other)
            assert annotations(kind) == annotations(other)
    image = torch.rand(2, 3, 224, 224)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, of a deprecated function
        scripted = torch.jit.script(network.module().eval())
    assert scripted(image).shape == (2, 1000)


def annotations(kind: type) -> list[dict[str, object]]:
    return [f.__annotations__ for f in vars(kind).values() if inspect.isfunction(f)]


def test_the_source_is_shown(lenet):
    text = netspec.load("lenet").source()
    assert inspect.getsource(type(lenet)).strip() in text
    assert "def forward(self, x):" in inspect.getsource(type(lenet).forward)


def test_an_error_points_into_the_source(lenet):
    with pytest.raises(RuntimeError) as caught:
        lenet(torch.rand(1, 3, 32, 32))
    assert any("self.c1(x)" in str(entry.statement) for entry in caught.traceback)


def test_two_networks_of_one_name_stay_apart():
    one, two = compiled("relu").module(), compiled("tanh").module()
    x = torch.randn(1, 3, 8, 8)
    assert torch.equal(one(x), torch.relu(x))
    assert torch.equal(two(x), torch.tanh(x))


def test_two_builds_have_their_own_weights():
    net = compiled("conv(3, 1)")
    assert not torch.equal(net.module().conv.weight, net.module().conv.weight)


def test_auxiliary_outputs_come_in_training_alone():
    module = netspec.load(OK / "googlenet.net", input=(3, 64, 64), classes=7).module()
    x = torch.rand(2, 3, 64, 64)
    assert [tuple(y.shape) for y in module.train()(x)] == [(2, 7)] * 3
    assert module.eval()(x).shape == (2, 7)


def test_auxiliary_heads_do_not_run_in_evaluation():
    module = netspec.load(OK / "googlenet.net", input=(3, 64, 64)).module().eval()
    runs = []
    module.aux1.register_forward_hook(lambda *_: runs.append(1))
    module(torch.rand(1, 3, 64, 64))
    assert not runs


# Names that a generated program could trip over: each network must compute what its plain twin does.

NAMES = [
    "x",
    "y",
    "nn",
    "torch",
    "module",
    "super",
    "OrderedDict",
    "Net",
    "Sequential",
    "left",
    "image",
    "type_",
]
NAMES += [
    "print",
    "int",
    "list",
    "range",
    "None_",
    "match",
    "case",
    "len",
    "1",
    "0",
    "a-b",
    "a b",
    "a/b",
    "a:b",
]
NAMES += ["a_b", "relu", "conv", "weight", "bias", "a+b", "ä", "变量", "dict", "object", "isinstance", "T"]
TWINS = [
    "{0}: conv(3, 1); {1}: tanh; add({0}, {1})",
    "{0}: {{ conv(3, 1); tanh }}; {1}: conv(3, 1); r9: relu; add({0}, {1}, r9)",
    "{0}: {{ {1}: conv(3, 1) }}; {1}: {{ {0}: tanh }}; concat({0}, {1})",
    "{0}: conv(3, 1); {1}: tanh; a1: relu <- {0}; a2: relu <- {1}; b: add(a1, a2); c: mul(b, {0}, {1})",
    "block Blk {{ {0}: conv(3, 1); {1}: tanh; add({0}, {1}) }}\nBlk; {1}: Blk; {0}: Blk; add({0}, {1})",
    "default conv(init=normal(0.1))\nr: {{ 7: conv(3, 1); 8: conv(3, 1); {0}: conv(3, 1) }}; {1}: conv(3, 1)",
]


def quoted(name: str) -> str:
    return f'"{name}"'


@pytest.mark.parametrize("text", TWINS, ids=range(len(TWINS)))
@pytest.mark.parametrize("name", NAMES)
def test_names_change_no_result(name, text):
    twin = compiled(text.format('"first"', '"second"')).module()
    for names in ((name, "second"), ("second", name)):
        if len(set(names)) < 2:
            continue
        made = compiled(text.format(*map(quoted, names))).module()
        renamed = dict(zip(made.state_dict(), twin.state_dict().values(), strict=True))
        made.load_state_dict(renamed, strict=True)
        x = torch.rand(1, 3, 8, 8)
        assert torch.equal(made(x), twin(x))


BLOCKS = [
    "nn",
    "torch",
    "Net",
    "Net_2",
    "Conv2d",
    "OrderedDict",
    "Module",
    "B",
    "print",
    "self",
    "x",
    "Sequential",
    "super",
]


@pytest.mark.parametrize("name", BLOCKS)
def test_names_of_blocks_and_parameters_change_no_result(name):
    text = "block {0}({1} = 3) {{ conv({1}, 1); tanh }}\n{0}; {0}(4); mul {{ {0}(4); {0}(4) }}; {0}({1}=2)"
    plain, made = compiled(text.format("Plain", "width")).module(), compiled(text.format(name, name)).module()
    made.load_state_dict(dict(zip(made.state_dict(), plain.state_dict().values(), strict=True)), strict=True)
    x = torch.rand(1, 3, 8, 8)
    assert torch.equal(made(x), plain(x))


INPUTS = ["x", "torch", "nn", "left", "module", "print", "lambda_", "relu", "super", "training_", "None_"]


@pytest.mark.parametrize("name", INPUTS)
def test_names_of_inputs_change_no_result(name):
    text = (
        "\ninput other: 3x8x8\na: conv(3, 1) <- {0}\nb: relu <- other\nadd(a, b, other)\noutput add\noutput a"
    )
    head = "network Net\ninput {0}: 3x8x8" + text
    plain, made = compiled(head.format("first"), "").module(), compiled(head.format(name), "").module()
    made.load_state_dict(plain.state_dict(), strict=True)
    x = torch.rand(2, 1, 3, 8, 8)
    assert all(map(torch.equal, made(*x), plain(*x)))


def test_python_keywords_are_reserved():
    assert {"nn", "torch", "self", "super", "class", "match", "print"} <= TAKEN
