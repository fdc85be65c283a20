"""Training steps of recipes, compared with the same steps written out with torch and torchvision."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.utils import clip_grad_norm_

import netspec
from netspec.build import build, choose_execution
from netspec.checker import check_source
from netspec.checkpoint import load
from netspec.datasets.base import Data, LoaderConfig
from netspec.datasets.registry import open_data
from netspec.diagnostics import Source
from netspec.errors import TrainError
from netspec.recipe import Recipe
from netspec.recipe.images import Mixup, Raw
from netspec.recipe.objective import CrossEntropy
from netspec.recipe.optimizers import Sgd
from netspec.recipe.schedules import Cosine
from netspec.training.config import RunConfig
from netspec.training.engine import fit
from netspec.training.loss import Objective
from netspec.transforms.augment import mixed
from netspec.transforms.seeds import generator

SHAPE = (1, 8, 8)
PLAIN = Recipe(batch=100, epochs=1, normalize=Raw(), optimizer=Sgd(lr=1e-4, momentum=0.9))
RECIPES = {
    "label smoothing": PLAIN.model_copy(update={"loss": CrossEntropy(label_smoothing=0.1)}),
    "clipping": PLAIN.model_copy(update={"clip_grad_norm": 0.5}),
    "parts": PLAIN.model_copy(update={"accumulate": 4}),
    "uneven parts": PLAIN.model_copy(update={"accumulate": 3}),
    "mixup": PLAIN.model_copy(update={"augment": (Mixup(alpha=0.5),)}),
}


@pytest.fixture(scope="module")
def digits() -> Data:
    return open_data("digits")


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.Tanh(), nn.Linear(16, 10))


def batches(data: Data, recipe: Recipe) -> Iterator[tuple[Tensor, Tensor]]:
    return data.open(LoaderConfig(SHAPE, recipe, torch.device("cpu"))).train(0)


def run(module: nn.Module, recipe: Recipe, data: Data, out: Path, **more: object) -> None:
    fit(module, SHAPE, data, RunConfig(recipe, out, device="cpu"), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_steps_equal_those_of_a_plain_loop(recipe, digits, tmp_path):
    ours, theirs = network(), network()
    run(ours, recipe, digits, tmp_path)
    optimizer = torch.optim.SGD(theirs.parameters(), lr=1e-4, momentum=0.9)
    for step, (images, labels) in enumerate(batches(digits, recipe)):
        targets = labels
        if recipe.augment:
            images, targets = mixed(images, labels, 10, recipe, generator(recipe.seed, 0, 2, step))
        optimizer.zero_grad()
        loss = cross_entropy(theirs(images), targets, label_smoothing=recipe.loss.label_smoothing)
        loss.backward()
        if recipe.clip_grad_norm:
            clip_grad_norm_(theirs.parameters(), recipe.clip_grad_norm)
        optimizer.step()
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict(), rtol=1e-4, atol=1e-6)


def test_averaged_weights_follow_their_formula(digits, tmp_path):
    recipe = PLAIN.model_copy(update={"ema": 0.8, "ema_every": 2})
    ours, theirs = network(), network()
    run(ours, recipe, digits, tmp_path)
    optimizer, average = torch.optim.SGD(theirs.parameters(), lr=1e-4, momentum=0.9), None
    for step, (images, labels) in enumerate(batches(digits, recipe), 1):
        optimizer.zero_grad()
        cross_entropy(theirs(images), labels).backward()
        optimizer.step()
        if step % 2 == 0:
            now = [p.detach().clone() for p in theirs.parameters()]
            average = (
                now if average is None else [0.8 * a + 0.2 * w for a, w in zip(average, now, strict=True)]
            )
    assert average is not None
    saved, content = load(tmp_path / "weights.safetensors"), load(tmp_path / "checkpoint.pt")
    names = [name for name, _ in theirs.named_parameters()]
    torch.testing.assert_close([saved[n] for n in names], average, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(
        list(content["model"].values()), list(theirs.parameters()), rtol=1e-4, atol=1e-6
    )
    assert all(value.equal(saved[name]) for name, value in content["ema"].items())


HEADS = """network Heads
input image: 1x8x8
flatten; body: linear(16); relu
side: linear(10) <- body
fc: linear(10) <- relu
output fc
output side when training (weight=0.3)
"""


def test_losses_of_auxiliary_heads_are_weighted(digits, tmp_path):
    net = check_source(Source("heads.net", HEADS), Path()).require()
    torch.manual_seed(0)
    ours = build(net)
    theirs = copy.deepcopy(ours)
    run(ours, PLAIN, digits, tmp_path, objective=Objective.of(net, CrossEntropy()))
    optimizer = torch.optim.SGD(theirs.parameters(), lr=1e-4, momentum=0.9)
    for images, labels in batches(digits, PLAIN):
        main, side = theirs(images)
        optimizer.zero_grad()
        (cross_entropy(main, labels) + 0.3 * cross_entropy(side, labels)).backward()
        optimizer.step()
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict(), rtol=1e-4, atol=1e-6)


def test_googlenets_heads_have_the_papers_weight():
    objective = Objective.of(netspec.load("googlenet_paper").net, CrossEntropy())
    assert (objective.weights, objective.main) == ((1.0, 0.3, 0.3), 0)
    assert objective.total_weight == pytest.approx(1.6)


def test_random_labels_are_drawn_once_for_each_image(digits):
    recipe = Recipe(batch=1442, random_labels=True, normalize=Raw())
    opened = digits.open(LoaderConfig(SHAPE, recipe, torch.device("cpu")))
    seen = []
    for epoch in range(2):
        (images, labels), *_ = opened.train(epoch)
        order = sorted(range(len(labels)), key=lambda k: images[k].flatten().tolist())
        seen.append(labels[order])
    assert torch.equal(*seen)
    true = torch.bincount(digits.train_part.labels, minlength=10)
    assert (seen[0].bincount(minlength=10) - true).abs().max() > 3
    _, val_labels = next(opened.validate())
    assert torch.equal(val_labels, digits.val_part.labels[: len(val_labels)])


def test_auto_is_resolved_for_the_device():
    cpu = torch.device("cpu")
    fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    assert (
        str(choose_execution(Recipe(), cpu, macs=10**9))
        == ("cpu, bfloat16" if fast else "cpu, float32") + ", channels_last"
    )
    assert str(choose_execution(Recipe(), cpu, macs=1000)) == "cpu, float32, channels_last"
    set_all = Recipe(precision="bfloat16", memory_format="contiguous", compile=False)
    assert str(choose_execution(set_all, cpu)) == "cpu, bfloat16, contiguous"
    assert not choose_execution(Recipe(), cpu, 10**9, 10**9).compile
    with pytest.raises(TrainError, match="cannot be sharded"):
        choose_execution(Recipe(memory_format="channels_last"), cpu, shard=True)


def test_a_compiled_run_needs_a_compiler(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(TrainError, match=r"needs a C\+\+ compiler"):
        choose_execution(Recipe(compile=True), torch.device("cpu"))


def test_settings_without_effect_give_warnings(digits, tmp_path, caplog):
    update = {"batch": 9999, "schedule": Cosine(warmup=7), "evaluate": "ten_crop", "resize": 20}
    run(network(), PLAIN.model_copy(update=update), digits, tmp_path)
    assert [record.getMessage().split(":")[0] for record in caplog.records] == [
        "the warmup takes 7 epochs, but the run has 1",
        "digits has 1,442 training images",
        "images of digits are resized to the network's input",
        "the network learned nothing",
    ]
    with pytest.raises(TrainError, match="100 images cannot be processed in 101 parts"):
        run(network(), PLAIN.model_copy(update={"accumulate": 101}), digits, tmp_path / "other")


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["float32", "float16", "bfloat16"])
def test_a_gpu_trains_in_every_precision(precision, digits, tmp_path):
    recipe = Recipe(batch=32, epochs=3, optimizer=Sgd(lr=0.05, momentum=0.9), precision=precision)
    result = fit(network(), SHAPE, digits, RunConfig(recipe, tmp_path, device="cuda"))
    assert result.final
    assert result.final.top1_error < 0.2
