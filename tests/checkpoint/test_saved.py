"""Opening networks from checkpoints: without the spec's files, checked strictly, and running no code."""

from __future__ import annotations

import contextlib
import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from accepted import accepted
from click.testing import CliRunner
from places import SPECS
from safetensors.torch import load_file

import netspec
from netspec.build import build
from netspec.checker import check_file, check_source
from netspec.checkpoint import describe, load, restore, save, save_weights
from netspec.cli import main
from netspec.datasets.registry import open_data
from netspec.diagnostics import Source
from netspec.errors import TrainError
from netspec.evaluation.load import LoadedModel, load_checkpoint
from netspec.evaluation.run import Run
from netspec.shape import Shape

SPEC = """use "lib/parts.net"
network Digits(classes = 3, width = 8, kernels = [3, 3])
input image: 1x12x12
Part(width); Part(width)
flatten; fc: linear(classes)
train { data: digits; batch: 64; normalize: mean }
"""
PART = 'use "../more.net"\nblock Part(w) { Conv(w) ; relu }'
CONV = "block Conv(w) { conv(w, 3); batchnorm }"


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A trained run whose spec's files are deleted."""
    folder: Path = tmp_path_factory.mktemp("run")
    (folder / "spec" / "lib").mkdir(parents=True)
    network, use, rest = SPEC.splitlines()[1], SPEC.splitlines()[0], "\n".join(SPEC.splitlines()[2:])
    (folder / "spec" / "digits.net").write_text(f"{network}\n{use}\n{rest}\n")
    (folder / "spec" / "lib" / "parts.net").write_text(PART)
    (folder / "spec" / "more.net").write_text(CONV)
    line = ["train", str(folder / "spec" / "digits.net"), "--epochs", "2", "--out", str(folder / "run")]
    result = CliRunner().invoke(main, [*line, "--device", "cpu", "--set", "width=4", "--input", "1x14x14"])
    assert accepted(result)
    shutil.rmtree(folder / "spec")
    return folder / "run"


def same(saved: LoadedModel, state: dict[str, torch.Tensor]) -> bool:
    own = saved.module.state_dict()
    return own.keys() == state.keys() and all(torch.equal(own[k], state[k]) for k in own)


def test_a_run_opens_without_its_spec(run):
    saved = load_checkpoint(run)
    assert same(saved, load_file(run / "best.safetensors"))
    assert saved.weights.startswith("best, epoch ")
    assert (saved.input_shape, saved.data, saved.class_names) == ((1, 14, 14), "digits", tuple("0123456789"))
    assert dict(saved.net.arguments) == {"classes": 10, "width": 4, "kernels": [3, 3]}
    assert not saved.module.training
    assert saved.recipe.batch == 64
    assert len(saved.preprocessing.mean) == 1


def test_the_best_weights_of_older_runs_are_found(run, tmp_path):
    old = tmp_path / "old"
    shutil.copytree(run, old)
    (old / "best.safetensors").unlink()
    doubled = {k: v * 2 for k, v in load_file(run / "best.safetensors").items()}
    torch.save(doubled, old / "best.pt")
    assert same(load_checkpoint(old), doubled)
    assert Run.open(old).best_weights == old / "best.pt"
    shutil.copy(run / "best.safetensors", old)
    assert same(load_checkpoint(old), load_file(run / "best.safetensors"))


def test_tied_weights_are_written_for_each_name(tmp_path):
    weight = torch.arange(6.0).view(2, 3)
    state = {"a": weight, "b": weight, "c": weight.T, "d": torch.tensor(3), "e": torch.zeros(0)}
    save_weights(tmp_path / "x.safetensors", state)
    found = load_file(tmp_path / "x.safetensors")
    assert found.keys() == state.keys()
    assert all(value.equal(found[name]) for name, value in state.items())


def test_which_weights_are_loaded(run):
    assert same(load_checkpoint(run / "checkpoint.pt"), load(run / "checkpoint.pt")["model"])
    assert same(load_checkpoint(run / "weights.safetensors"), load(run / "weights.safetensors"))
    content = load(run / "checkpoint.pt")
    averaged = {k: v * 2 for k, v in content["model"].items()}
    save(run / "averaged.pt", content | {"ema": averaged})
    assert same(load_checkpoint(run / "averaged.pt", ema=True), averaged)
    for path in (run / "checkpoint.pt", run, run / "weights.safetensors"):
        with pytest.raises(TrainError, match="`ema`"):
            load_checkpoint(path, ema=True)


@pytest.mark.parametrize(
    "name", ["resnet18", "swin_t", "vit_b_16", "googlenet", "maxvit_t", "alexnet_paper", "lenet"]
)
def test_networks_of_the_zoo_are_restored(name):
    report = netspec.check(name)
    about = describe(report, name)
    assert restore(about, Path("x.pt")) == report.net
    assert str(SPECS) not in repr(about)


def test_inputs_and_linked_files_are_restored(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.net").write_text('use "b.net"\nblock A { B }')
    (tmp_path / "real" / "b.net").write_text("block B { conv(3, 1) }")
    (tmp_path / "link.net").symlink_to(tmp_path / "real" / "a.net")
    (tmp_path / "main.net").write_text('network Net\ninput one: 3x8x8\nuse "link.net"\nA\n')
    report = check_file(tmp_path / "main.net", inputs={"one": Shape((4, 9, 9))})
    net = restore(describe(report, "main.net"), Path("x.pt"))
    assert net == report.net
    assert net.inputs[0].shape == (4, 9, 9)


def test_used_files_are_never_read_from_disk(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("part.net").write_text("block B { conv(3, 1) }")
    text = 'network Net\ninput one: 3x8x8\nuse "{}"\nB\n'
    assert accepted(check_source(Source("x.net", text.format("part.net")), Path()))
    for path in ("part.net", "../part.net", str(Path("part.net").resolve()), "x.net", "./x.net"):
        report = check_source(Source("x.net", text.format(path)), {})
        assert not report.ok
    assert check_source(
        Source("x.net", text.format("d/../part.net")), {"d/../part.net": "block B { relu }"}
    ).ok


def test_files_that_use_each_other_are_an_error():
    texts = {"a.net": 'use "b.net"\nblock A { relu }', "b.net": 'use "./a.net"\nblock B { relu }'}
    report = check_source(Source("x.net", 'network Net\ninput one: 3x8x8\nuse "a.net"\nA\n'), texts)
    assert [d.code for d in report.diagnostics] == ["bad-use"]


# Damage


def changed(content: dict[str, Any], key: str, value: object) -> dict[str, Any]:
    head, _, rest = key.partition(".")
    if rest:
        return content | {head: changed(content[head], rest, value)}
    return {k: v for k, v in content.items() if k != head} if value is ... else content | {head: value}


HEAD = "network Net(classes = 10, width = 4, kernels = [1])\ninput image: 1x14x14\n"
HUGE = HEAD + "flatten; linear(900_000_000); linear(10)"
SEEN = {"mean": (0.0,), "scale": (1.0,), "resize": 16, "crop": (14, 14)}
DAMAGE = [
    ("about", ..., "contains no spec"),
    ("model", ..., "contains no spec"),
    ("about", 3, "`about`"),
    ("about.spec", ..., "contains no spec"),
    ("about.spec", b"network", "`about.spec` should be a valid string"),
    ("about.spec", "", "contains no spec"),
    ("about.spec", HEAD + "conv(3", "invalid spec: line 3"),
    ("about.spec", HUGE, "do not match"),
    ("about.spec", "network Net\ninput image: 1x14x14\nrelu", "no parameter `classes`"),
    ("about.used", {}, "there is no text for"),
    ("about.used", {"lib/parts.net": 3}, "`about.used` should be a valid string"),
    ("about.arguments", {}, "10 classes"),
    ("about.arguments", {"classes": 10}, "do not match"),
    ("about.arguments", {"width": torch.ones(2)}, "width"),
    ("about.arguments", {3: 4}, "`about.arguments` should be a valid string"),
    ("about.inputs", {"": [1, 16, 16]}, "takes 1x16x16"),
    ("about.inputs", {"": [0, -1]}, "`about.inputs` should be greater than or equal to 1"),
    ("about.inputs", {"": "1x2"}, "`about.inputs` should be a valid tuple"),
    ("input_shape", [1, 12, 12], "takes 1x14x14"),
    ("class_names", [], "`class_names` value should have at least 1 item"),
    ("class_names", ["a", "a"], "`class_names` contains a name twice"),
    ("class_names", [f"c{k}" for k in range(11)], "11 classes"),
    ("recipe", {"batch": "many"}, "recipe"),
    ("recipe", {"nonsense": 1}, "recipe"),
    ("recipe", ..., "`recipe`"),
    ("preprocessing", {"mean": (0.0,), "scale": (1.0, 2.0)}, "scale"),
    ("preprocessing", {"mean": "a", "scale": (1.0,)}, "mean"),
    ("preprocessing", {**SEEN, "interpolation": "lanczos"}, "no valid resize and crop"),
    ("preprocessing", {**SEEN, "crop": (14, "14")}, "`preprocessing.crop` should be a valid integer"),
    ("data", 4, "`data`"),
    ("model", {}, "do not match"),
    ("model", {3: torch.ones(1)}, "`model` should be a valid string"),
    ("model", {"fc.weight": "text"}, "`model` should be an instance of Tensor"),
]


@pytest.mark.parametrize(("key", "value", "message"), DAMAGE)
def test_damaged_entries_are_errors(run, tmp_path, key, value, message):
    save(tmp_path / "x.pt", changed(load(run / "checkpoint.pt"), key, value))
    with pytest.raises(TrainError, match=message) as error:
        load_checkpoint(tmp_path / "x.pt")
    assert "\n" not in str(error.value)


ODD = {
    "shape": lambda tensor: tensor[:5],
    "complex": lambda tensor: tensor.to(torch.complex64),
    "whole numbers": lambda tensor: tensor.long(),
    "no storage": lambda tensor: torch.zeros(1).expand(tensor.shape),
    "meta": lambda tensor: tensor.to("meta"),
    "sparse": lambda tensor: tensor.to_sparse(),
}


@pytest.mark.parametrize("kind", ODD)
def test_unusable_tensors_are_errors(run, tmp_path, kind):
    content = load(run / "checkpoint.pt")
    content["model"]["fc.weight"] = ODD[kind](content["model"]["fc.weight"])
    torch.save(content, tmp_path / "x.pt")
    with pytest.raises(TrainError, match=r"fc\.weight|not a checkpoint"):  # torch itself rejects some
        load_checkpoint(tmp_path / "x.pt")


# Damage that matters only when a run is resumed or its record is read.
RUN_DAMAGE = [
    ("optimizer", ..., "`optimizer` is missing"),
    ("optimizer.state", [], "`optimizer.state` should be a valid dictionary"),
    ("optimizer.param_groups", [], "has 1 groups, but 0 are saved"),
    ("schedule.best", float("nan"), "`schedule.best`"),
    ("meter.sums", torch.ones(3), "`meter.sums` is not a tensor of two numbers"),
    ("epoch", True, "`epoch` should be a valid integer"),
    ("epoch", 10**30, "`epoch`"),
    ("step", 3, "step 3 after 2 finished epochs, but an epoch has 22 steps"),
    ("machine", "\x1b[2J", "`machine` contains control characters"),
    ("best.top1_error", 7.0, "`best.top1_error` should be less than or equal to 1"),
    ("seconds", {"training": 1.0}, "`seconds.validation` is missing"),
    ("format", "\x1b", "an unknown format"),
]


@pytest.mark.parametrize(("key", "value", "message"), RUN_DAMAGE)
def test_damaged_runs_are_not_resumed(run, tmp_path, key, value, message):
    content = load(run / "checkpoint.pt")
    save(tmp_path / "checkpoint.pt", changed(content, key, value))
    with pytest.raises(TrainError, match=message):
        netspec.resume(tmp_path, device="cpu")


def test_compressed_records_are_refused_before_they_are_expanded(run, tmp_path):
    with (
        zipfile.ZipFile(run / "checkpoint.pt") as source,
        zipfile.ZipFile(tmp_path / "x.pt", "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for name in source.namelist():
            target.writestr(name, source.read(name))
    with pytest.raises(TrainError, match="its records are compressed, or larger than the file"):
        load_checkpoint(tmp_path / "x.pt")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "checkpoint.pt")
    os.mkfifo(tmp_path / "x.pt")
    for path in (tmp_path, tmp_path / "x.pt"):
        with pytest.raises(TrainError, match=r"is not a file|has no checkpoint\.pt"):
            load_checkpoint(path)


def test_optimizer_state_that_is_missing_starts_anew(run, tmp_path, caplog):
    content = load(run / "checkpoint.pt")
    del content["optimizer"]["state"][1]
    content = changed(changed(content, "recipe.epochs", 3), "best", None)
    save(tmp_path / "checkpoint.pt", content)
    shutil.copy(run / "log.jsonl", tmp_path)
    netspec.resume(tmp_path, device="cpu")
    assert "no optimizer state for 1 parameter, so this state is reset" in caplog.text


FOREIGN = {
    "empty": b"",
    "text": b"network Net\n",
    "zeros": bytes(1000),
    "zip": b"PK\x05\x06" + bytes(18),
}


@pytest.mark.parametrize(
    "kind", [*FOREIGN, "cut", "list", "tensor", "code", "weights alone", "folder", "none"]
)
def test_other_files_are_errors(run, tmp_path, kind):
    path = tmp_path / "x.pt"
    raw = (run / "checkpoint.pt").read_bytes()
    if kind in FOREIGN or kind == "cut":
        path.write_bytes(FOREIGN.get(kind, raw[: len(raw) // 2]))
    elif kind == "folder":
        path.mkdir()
    elif kind != "none":
        content = {"list": [1], "tensor": torch.ones(2), "code": build(netspec.load("lenet").net)}
        torch.save(content.get(kind, load(run / "weights.safetensors")), path)
    with pytest.raises(TrainError, match=r"x\.pt"):
        load_checkpoint(path)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("name", ["checkpoint.pt", "weights.safetensors"])
def test_flipped_bytes_never_crash(run, tmp_path, name, seed):
    shutil.copy(run / "checkpoint.pt", tmp_path)
    raw = bytearray((run / name).read_bytes())
    places = torch.randint(len(raw), (40,), generator=torch.Generator().manual_seed(seed))
    for place in places.tolist():
        raw[place] ^= 0x55
    (tmp_path / name).write_bytes(raw)
    with contextlib.suppress(TrainError):
        load_checkpoint(tmp_path / name)


def test_old_checkpoints_of_this_format_open(run, tmp_path):
    """They contain only the spec, which is enough if it uses no other file."""
    spec = "network Net\ninput image: 1x8x8\nflatten; fc: linear(10)\n"
    report = check_source(Source("n.net", spec), Path())
    about = {"spec": spec, "path": "n.net", "arguments": dict(report.arguments)}
    module = build(report.require())
    content = load(run / "checkpoint.pt") | {"about": about, "model": module.state_dict()}
    images = content["preprocessing"] | {"resize": (8, 8), "crop": (8, 8)}
    save(tmp_path / "x.pt", content | {"input_shape": [1, 8, 8], "preprocessing": images})
    assert load_checkpoint(tmp_path / "x.pt").net == report.net
    assert open_data("digits").class_names == load_checkpoint(tmp_path / "x.pt").class_names


def test_a_changed_byte_in_a_tensor_is_found(run, tmp_path):
    """torch loads a tensor without comparing it with its checksum."""
    path = tmp_path / "checkpoint.pt"
    content = bytearray((run / "checkpoint.pt").read_bytes())
    with zipfile.ZipFile(run / "checkpoint.pt") as archive:
        tensor = max((archive.read(name) for name in archive.namelist() if "/data/" in name), key=len)
    content[content.index(tensor) + len(tensor) // 2] ^= 0x55
    path.write_bytes(content)
    assert torch.load(path, weights_only=True)
    with pytest.raises(TrainError, match=r"is damaged: its record .*/data/.* does not match its checksum"):
        load(path)
