"""Runs interrupted at any moment end with bit-identical weights when resumed."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from places import SPECS
from safetensors.torch import load_file
from torch import Tensor, nn

from netspec.checkpoint import load, save
from netspec.datasets.base import Data
from netspec.datasets.registry import open_data
from netspec.errors import TrainError
from netspec.recipe import Recipe
from netspec.recipe.images import Crop
from netspec.recipe.optimizers import AdamW, RmsProp, Sgd
from netspec.recipe.schedules import Cosine, Plateau
from netspec.training import loss
from netspec.training.config import RunConfig
from netspec.training.engine import fit

SHAPE = (1, 8, 8)
SGD = Sgd(lr=0.05, momentum=0.9, weight_decay=1e-3)
RECIPES = {
    "momentum, falling rate, shifts": Recipe(optimizer=SGD, schedule=Cosine(), augment=(Crop(padding=1),)),
    "nesterov": Recipe(optimizer=Sgd(lr=0.05, momentum=0.9, nesterov=True), schedule=Plateau(patience=1)),
    "averaged weights": Recipe(optimizer=SGD, ema=0.9, ema_every=3),
    "adamw, in parts": Recipe(optimizer=AdamW(), accumulate=2, clip_grad_norm=1.0),
    "rmsprop": Recipe(optimizer=RmsProp(lr=1e-3, momentum=0.9)),
    "bfloat16": Recipe(optimizer=SGD, precision="bfloat16"),
}  # fmt: skip


class Killed(BaseException):
    """Ends a run without any handler, like SIGKILL."""


class Fragile(nn.Module):
    """A small network that raises Killed in a given forward pass of training."""

    def __init__(self, dies: int = -1) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(0.2)
        )
        self.last = nn.Linear(256, 10)
        self.left = dies

    def forward(self, images: Tensor) -> Tensor:
        if self.training:
            self.left -= 1
            if not self.left:
                raise Killed
        result: Tensor = self.last(self.layers(images))
        return result


@pytest.fixture(scope="module")
def digits() -> Data:
    return open_data("digits")


def network(dies: int = -1) -> nn.Module:
    torch.manual_seed(3)
    return Fragile(dies)


def go(recipe: Recipe, data: Data, out: Path, dies: int = -1, resume: bool = False) -> None:
    fit(network(dies), SHAPE, data, RunConfig(recipe, out, device="cpu", save_every=1e-9, resume=resume))


def go_on(content: dict[str, Any], data: Data, out: Path) -> None:
    """Resume from the content of a checkpoint."""
    save(out / "checkpoint.pt", content)
    recipe = Recipe.model_validate_json(json.dumps(content["recipe"]))
    fit(network(), SHAPE, data, RunConfig(recipe, out, device="cpu", resume=True))


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_a_killed_and_resumed_run_equals_an_uninterrupted_one(recipe, digits, tmp_path, monkeypatch):
    monkeypatch.setattr(loss, "READ_EVERY", 0.0)  # a checkpoint after every step
    recipe = recipe.model_copy(update={"batch": 64, "epochs": 3})
    go(recipe, digits, tmp_path / "whole")
    for number in range(3):
        out = tmp_path / str(number)
        dies = random.Random(f"{recipe} {number}").randrange(2, 60)
        with pytest.raises(Killed):
            go(recipe, digits, out, dies * recipe.accumulate)
        assert load(out / "checkpoint.pt")["step"] >= dies - 2
        saved = load(out / "checkpoint.pt")["recipe"]
        go(Recipe.model_validate_json(json.dumps(saved)), digits, out, resume=True)
        assert same_runs(tmp_path / "whole", out)


def rows(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def same_runs(one: Path, other: Path) -> bool:
    for name in ("weights.safetensors", "best.safetensors"):
        a, b = (load_file(folder / name) for folder in (one, other))
        assert a.keys() == b.keys()
        assert all(value.equal(b[key]) for key, value in a.items()), name
    times = ("seconds", "images_per_second", "waiting")
    logs = [[{k: v for k, v in row.items() if k not in times} for row in rows(f)] for f in (one, other)]
    assert logs[0] == logs[1]
    return True


COMMAND = [sys.executable, "-m", "netspec", "train"]
LENET = [
    str(SPECS / "lenet.net"),
    "--set",
    "caffe=true",
    "--data",
    "digits",
    "--epochs",
    "4",
    "--device",
    "cpu",
]


def start(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def finish(run: subprocess.Popen[str]) -> None:
    output, _ = run.communicate(timeout=200)
    assert run.returncode == 0, output


def test_a_process_killed_at_a_random_moment_can_be_resumed(tmp_path):
    finish(start(*LENET, "--out", tmp_path / "whole"))
    run = start(*LENET, "--out", tmp_path / "run", "--save-every", "0.001")
    while not (tmp_path / "run" / "checkpoint.pt").exists():
        time.sleep(0.01)
    time.sleep(random.random())
    run.send_signal(signal.SIGKILL)
    run.communicate(timeout=100)
    finish(start("--resume", tmp_path / "run"))
    assert same_runs(tmp_path / "whole", tmp_path / "run")
    recipe = tmp_path / "run" / "recipe.net"
    finish(start(*LENET[:3], "--recipe", recipe, "--device", "cpu", "--out", tmp_path / "again"))
    assert same_runs(tmp_path / "whole", tmp_path / "again")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signals_save_a_checkpoint_and_print_how_to_resume(number, status, tmp_path):
    run = start(*LENET, "--epochs", 400, "--out", tmp_path / "run")
    while not (tmp_path / "run" / "log.jsonl").exists():
        time.sleep(0.01)
    run.send_signal(number)
    output, _ = run.communicate(timeout=100)
    assert run.returncode == status
    assert f"resume with: netspec train --resume {tmp_path / 'run'}" in output
    assert load(tmp_path / "run" / "checkpoint.pt")["step"] > 0
    assert "Traceback" not in output


WRONG = {
    "no run": (["--resume", "."], 1, "holds no run to resume"),
    "a spec besides it": (["lenet", "--resume", "."], 2, "give either a SPEC to train"),
    "neither": ([], 2, "give either a SPEC to train"),
    "a recipe's option": (["--resume", ".", "--lr", "0.1"], 2, "--lr cannot change when a run is resumed"),
    "a setting": (["--resume", ".", "--set", "train.lr=1"], 2, "--set cannot change when a run is resumed"),
}


@pytest.mark.parametrize(("arguments", "status", "message"), WRONG.values(), ids=WRONG)
def test_wrong_uses_of_resume(arguments, status, message, tmp_path, monkeypatch):
    from click.testing import CliRunner

    from netspec.cli import main

    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["train", *arguments])
    assert result.exit_code == status
    assert message in " ".join(result.output.split())


def test_a_checkpoint_of_another_format_or_network_is_refused(digits, tmp_path):
    go(Recipe(epochs=1, optimizer=SGD), digits, tmp_path / "run")
    content = load(tmp_path / "run" / "checkpoint.pt")
    broken = {
        "format 1, and this version of netspec reads format 2": content | {"format": 1},
        "does not match this network": content | {"model": {"x": torch.zeros(1)}},
    }
    for message, damaged in broken.items():
        with pytest.raises(TrainError, match=message):
            go_on(damaged, digits, tmp_path / "run")


def test_a_checkpoint_of_another_recipe_is_refused(digits, tmp_path):
    go(Recipe(epochs=1, optimizer=SGD), digits, tmp_path / "run")
    with pytest.raises(TrainError, match="has a different recipe"):
        go(Recipe(epochs=1, batch=3), digits, tmp_path / "run", resume=True)


# Ways to damage one tensor of the optimizer's state, which a fused kernel would read past its end.
DAMAGED_STATE = {
    "of another shape": lambda value: value[:1].clone(),
    "a view of too few numbers": lambda value: torch.zeros(1).as_strided(value.shape, [0] * value.dim()),
    "of whole numbers": lambda value: value.long(),
    "sparse": lambda value: value.to_sparse(),
}


@pytest.mark.parametrize("optimizer", [SGD, AdamW()], ids=["sgd", "adamw"])
@pytest.mark.parametrize("damage", DAMAGED_STATE.values(), ids=DAMAGED_STATE)
def test_optimizer_state_that_does_not_fit_is_refused(damage, optimizer, digits, tmp_path):
    go(Recipe(epochs=1, optimizer=optimizer), digits, tmp_path / "run")
    content = load(tmp_path / "run" / "checkpoint.pt")
    first = content["optimizer"]["state"][0]
    name = next(name for name in first if name != "step")
    first[name] = damage(first[name])
    with pytest.raises(TrainError, match="does not match this network: the optimizer's"):
        go_on(content, digits, tmp_path / "run")


def test_the_step_count_of_an_optimizer_is_one_number(digits, tmp_path):
    go(Recipe(epochs=1, optimizer=AdamW()), digits, tmp_path / "run")
    content = load(tmp_path / "run" / "checkpoint.pt")
    content["optimizer"]["state"][0]["step"] = torch.zeros(7)
    with pytest.raises(TrainError, match="the optimizer's step"):
        go_on(content, digits, tmp_path / "run")
