"""Limits of the machine: memory, lengths of names, links in circles, and damaged environments."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from accepted import accepted
from click.testing import CliRunner

import netspec
from netspec import memory
from netspec.build import build, memory_errors
from netspec.cli import main
from netspec.errors import TrainError
from netspec.memory import available_memory, estimate, recipe_of, require_memory, training_bytes

LONG = "a" * 300
UPSAMPLED = "network Up\ninput image: 3x64x64\nupsample(2000)\nadaptive_avgpool(1)\nflatten\nlinear(10)\n"


def invoke(*words: object) -> str:
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code in (1, 2)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.output


MEMORY = {
    "activations": ["up.net"],
    "input": ["lenet", "--input", "1x20000x20000"],
    "batch": ["alexnet", "--batch", "1000000"],
    "weights": ["wide.net"],
}


@pytest.mark.parametrize("words", MEMORY.values(), ids=MEMORY)
def test_a_network_that_does_not_fit_is_refused_before_it_is_built(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(memory, "available_memory", lambda: 2 * 10**9)
    Path("up.net").write_text(UPSAMPLED)
    Path("wide.net").write_text("network Wide\ninput image: 1x28x28\nflatten; linear(10**7); linear(10)\n")
    text = invoke("train", *words, "--data", "synthetic:10", "--out", "run", "--device", "cpu")
    assert "error: training " in text
    assert "GB, and 2 GB of memory are available: use a smaller --batch" in text
    assert not Path("run").exists()


def test_a_module_that_does_not_fit_is_refused():
    network = netspec.load("vgg16")
    assert network.module().state_dict()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory, "available_memory", lambda: 500 * 10**6)
        with pytest.raises(TrainError, match=r"VGG needs about 0\.553 GB, and 0\.5 GB of memory"):
            network.module()
        with torch.device("meta"):
            assert build(network.net)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory"
        ),
    ],
    ids=["Python", "device", "CPU"],
)
def test_running_out_of_memory_is_one_sentence(error):
    with (
        pytest.raises(TrainError, match="a batch of 8 does not fit into the memory of the device: use"),
        memory_errors("a batch of 8"),
    ):
        raise error


def test_other_errors_are_not_taken_for_a_lack_of_memory():
    with pytest.raises(RuntimeError, match="shape"), memory_errors("a batch of 8"):
        raise RuntimeError("shape mismatch")


def test_a_huge_tensor_raises_the_error_that_is_caught():
    with pytest.raises(TrainError, match="does not fit"), memory_errors("a batch"):
        torch.empty(2**50)


def test_the_available_memory_respects_a_limit_of_the_process():
    free = available_memory()
    assert free is not None
    assert free > 10**8
    code = "from netspec.memory import available_memory; print(available_memory())"
    limit = 2 * 10**9

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    found = subprocess.run(  # the child only sets a limit
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, preexec_fn=limited
    )
    assert 10**8 < int(found.stdout) < limit


def test_without_information_nothing_is_refused(monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: None)
    require_memory(10**18, "it", "way")


@pytest.mark.parametrize("name", ["lenet", "alexnet", "resnet18", "densenet121"])
def test_the_estimate_for_refusals_is_below_what_torch_keeps(name):
    net = netspec.load(name).net
    module, batch, kept = build(net), 2, dict[int, int]()

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    images = torch.zeros(batch, *net.inputs[0].shape)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        output = module(images)
    assert output is not None
    weights = {p.untyped_storage().data_ptr() for p in (*module.parameters(), *module.buffers())}
    activations = sum(size for place, size in kept.items() if place not in weights)
    guessed = training_bytes(net, recipe_of(net), batch) - training_bytes(net, recipe_of(net), 0)
    assert guessed < activations
    assert estimate(net, batch).activations < 2.5 * activations


NAMES = {
    "draw": ["draw", "lenet", "-o", f"{LONG}.svg"],
    "export": ["export", "lenet", "-o", f"{LONG}.py"],
    "fmt": ["fmt", f"{LONG}.net"],
    "check": ["check", f"{LONG}.net"],
    "train": ["train", "lenet", "--data", "digits", "--out", LONG],
    "resume": ["train", "--resume", LONG],
    "plot": ["plot", LONG, "-o", "x.svg"],
    "curves": ["plot", "gone", "-o", f"{LONG}.svg"],
    "predict": ["predict", LONG, "x.jpg"],
    "prepare": ["prepare", "--data", f"folder:{LONG}", "--out", "x"],
    "data": ["train", "lenet", "--data", f"folder:{LONG}", "--out", "x"],
    "prepared": ["train", "lenet", "--data", f"prepared:{LONG}", "--out", "x"],
    "shards": ["train", "lenet", "--data", f"shards:{LONG}", "--out", "x"],
    "root": ["train", "lenet", "--data", "mnist", "--root", LONG, "--out", "x"],
    "recipe": ["train", "lenet", "--data", "digits", "--recipe", f"{LONG}.net"],
    "weights": ["train", "lenet", "--data", "digits", "--weights", LONG, "--out", "x"],
}


@pytest.mark.parametrize("words", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("kind", ["long", "loop"])
def test_names_too_long_and_links_in_a_circle_are_sentences(words, kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if kind == "loop":
        words = [word.replace(LONG, "loop") for word in words]
        for name in ("loop", "loop.svg", "loop.py", "loop.net"):
            os.symlink(name, name)  # noqa: PTH211
    text = invoke(*words)
    assert "unexpectedly" not in text
    assert "rror" in text


ENVIRONMENTS = {
    "world": {"WORLD_SIZE": "two"},
    "rank": {"WORLD_SIZE": "2", "RANK": "x"},
    "negative": {"WORLD_SIZE": "2", "RANK": "-1"},
    "local": {"WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": ""},
}


@pytest.mark.parametrize("variables", ENVIRONMENTS.values(), ids=ENVIRONMENTS)
def test_damaged_variables_of_torchrun_are_named(variables, tmp_path, monkeypatch):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    text = invoke("train", "lenet", "--data", "digits", "--out", tmp_path / "run")
    assert f"the environment variable {list(variables)[-1]} is `" in text


@pytest.mark.parametrize("device", ["meta", "nonsense", "cuda:99", "cpu:x", ""])
def test_devices_that_cannot_train_are_refused(device, tmp_path):
    text = invoke("train", "lenet", "--data", "digits", "--device", device, "--out", tmp_path / "run")
    assert f"there is no device {device}" in text


def test_a_full_disk_is_a_sentence():
    assert "/dev/full cannot be written: no space left on device" in invoke(
        "export", "lenet", "-o", "/dev/full"
    )


def test_a_name_of_the_longest_allowed_length_is_written(tmp_path):
    path = tmp_path / f"{'a' * 251}.svg"
    assert accepted(CliRunner().invoke(main, ["draw", "lenet", "-o", str(path)]))
    assert path.read_text().startswith("<?xml")
