"""Whole runs, on digits and on a few photos."""

from __future__ import annotations

import json
import math
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from netspec.checkpoint import load
from netspec.datasets.base import Data, LoaderConfig
from netspec.datasets.registry import open_data
from netspec.errors import DataError, TrainError
from netspec.evaluation.run import Run
from netspec.recipe import Recipe
from netspec.recipe.images import Flip, Mean, Raw
from netspec.recipe.optimizers import Sgd
from netspec.training.callbacks import Callback, EpochReport, Progress
from netspec.training.config import RunConfig
from netspec.training.engine import fit
from netspec.training.loss import DeadLossCheck
from netspec.training.state import RunState

SHAPE = (1, 8, 8)
RECIPE = Recipe(batch=32, epochs=2, optimizer=Sgd(lr=0.05, momentum=0.9), seed=3)


class Recorder(Callback):
    """Records the calls of a run, and calls `act` on progress."""

    def __init__(self, act: Callable[[Progress], object] = lambda progress: None) -> None:
        self.calls: list[str] = []
        self.steps_per_epoch = 0
        self.progress: list[Progress] = []
        self.epochs: list[EpochReport] = []
        self.act = act

    def on_start(self, state: RunState) -> None:
        self.calls.append("start")
        self.steps_per_epoch = state.batches.steps

    def on_progress(self, state: RunState, progress: Progress) -> None:
        if self.calls[-1] != "progress":
            self.calls.append("progress")
        self.progress.append(progress)
        self.act(progress)

    def on_epoch_end(self, state: RunState, report: EpochReport) -> None:
        self.calls.append("epoch end")
        assert load(state.out / "checkpoint.pt")["epoch"] == report.epoch - 1

    def on_epoch_saved(self, state: RunState, report: EpochReport) -> None:
        self.calls.append("epoch saved")
        self.epochs.append(report)
        assert load(state.out / "checkpoint.pt")["epoch"] == report.epoch

    def on_end(self, state: RunState, run: Run) -> None:
        self.calls.append("end")
        assert run.weights.exists()

    def close(self) -> None:
        self.calls.append("close")


@pytest.fixture(scope="module")
def digits() -> Data:
    return open_data("digits")


def network(seed: int = 3, channels: int = 1, classes: int = 10) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(channels, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(4),
        nn.Flatten(),
        nn.Dropout(0.1),
        nn.Linear(128, classes),
    )


def run(
    data: Data,
    out: Path,
    module: nn.Module | None = None,
    recipe: Recipe = RECIPE,
    callback: Callback | None = None,
) -> Run:
    config = RunConfig(recipe, out, device="cpu")
    return fit(module or network(), SHAPE, data, config, [callback or Recorder()])


def test_callbacks_are_called_in_the_documented_order(digits: Data, tmp_path: Path) -> None:
    recorder = Recorder()
    run(digits, tmp_path, callback=recorder)
    epoch = ["progress", "epoch end", "epoch saved"]
    assert recorder.calls == ["start", *epoch, *epoch, "end", "close"]


def test_a_callback_can_stop_a_run(digits: Data, tmp_path: Path) -> None:
    class Stop(Callback):
        def on_epoch_saved(self, state: RunState, report: EpochReport) -> None:
            state.stop()

    summary = run(digits, tmp_path, recipe=RECIPE.with_overrides(epochs=9), callback=Stop())
    assert (summary.epochs, summary.interrupted) == (1, signal.SIGTERM)
    assert load(summary.checkpoint)["step"] == summary.steps


def test_a_run_learns_and_writes_its_files(digits: Data, tmp_path: Path) -> None:
    recorder, module = Recorder(), network()
    summary = run(digits, tmp_path / "run", module, RECIPE.with_overrides(epochs=4), recorder)
    assert summary.final is not None
    assert summary.final.top1_error < 0.2
    assert (summary.epochs, summary.steps, summary.interrupted) == (4, 4 * (1442 // 32), False)
    assert recorder.calls.count("close") == 1
    names = {"best.safetensors", "checkpoint.pt", "log.csv", "log.jsonl", "recipe.net", "weights.safetensors"}
    assert {path.name for path in (tmp_path / "run").iterdir()} == names
    rows = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]
    assert rows[-1]["val"]["top1_error"] == summary.final.top1_error
    best = min(rows, key=lambda row: row["val"]["top1_error"])
    assert summary.best is not None
    assert (summary.best.top1_error, summary.best_epoch) == (best["val"]["top1_error"], best["epoch"])
    weights = load_file(summary.weights)
    assert all(value.equal(module.state_dict()[name]) for name, value in weights.items())
    assert all(value.is_contiguous() for value in weights.values())


def test_a_checkpoint_contains_what_resuming_needs(digits: Data, tmp_path: Path) -> None:
    module = network()
    config = RunConfig(RECIPE, tmp_path, device="cpu")
    summary = fit(module, SHAPE, digits, config, about={"spec": "network X"})
    content = load(summary.checkpoint)
    chosen = {"data": "digits", "precision": "float32", "memory_format": "channels_last", "compile": False}
    assert Recipe.model_validate_json(json.dumps(content["recipe"])) == RECIPE.model_copy(update=chosen)
    assert content["class_names"] == list("0123456789")
    assert (content["epoch"], content["step"], content["about"]) == (2, summary.steps, {"spec": "network X"})
    assert (content["input_shape"], content["data"], content["classes"]) == ([1, 8, 8], "digits", 10)
    assert len(content["preprocessing"]["mean"]) == 1
    velocities = content["optimizer"]["state"]
    assert len(velocities) == len(list(module.parameters()))


def test_the_same_seed_gives_the_same_weights(digits: Data, tmp_path: Path) -> None:
    paths = []
    for number, seed in enumerate((3, 3, 4)):
        torch.rand(number)  # random numbers drawn earlier must not matter
        module = network()
        torch.rand(number)
        paths.append(run(digits, tmp_path / str(number), module, RECIPE.with_overrides(seed=seed)).weights)
    first, second, third = (load_file(path) for path in paths)
    assert all(value.equal(second[name]) for name, value in first.items())
    assert not all(value.equal(third[name]) for name, value in first.items())


def test_a_run_equals_a_plain_loop(digits: Data, tmp_path: Path) -> None:
    """At a constant rate, without dropout, the weights are those that torch's own SGD gives."""
    recipe = Recipe(
        batch=50, epochs=1, normalize=Raw(), optimizer=Sgd(lr=1e-4, momentum=0.9, weight_decay=0.1)
    )
    torch.manual_seed(0)
    ours, theirs = (nn.Sequential(nn.Flatten(), nn.Linear(64, 10)) for _ in range(2))
    theirs.load_state_dict(ours.state_dict())
    run(digits, tmp_path, ours, recipe)
    optimizer = torch.optim.SGD(theirs.parameters(), lr=1e-4, momentum=0.9, weight_decay=0.1)
    batches = digits.open(LoaderConfig((1, 8, 8), recipe, torch.device("cpu")))
    for images, labels in batches.train(0):
        optimizer.zero_grad()
        nn.functional.cross_entropy(theirs(images), labels).backward()
        optimizer.step()
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict())


@pytest.mark.parametrize("place", ["training", "validation"])
def test_ctrl_c_ends_with_a_checkpoint(place: str, digits: Data, tmp_path: Path) -> None:
    pressed: list[Progress] = []

    def press(progress: Progress) -> None:
        if progress.epoch == 2 and not pressed:
            pressed.append(progress)
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    module: nn.Module = network()
    recorder: Recorder = Recorder(press)
    if place == "validation":
        recorder = Recorder()
        module = Pressing(module)
    summary = run(digits, tmp_path, module, RECIPE.with_overrides(epochs=5), recorder)
    assert summary.interrupted
    assert signal.getsignal(signal.SIGINT) == before
    content = load(summary.checkpoint)
    assert (content["epoch"], content["step"]) == (summary.epochs, summary.steps)
    assert summary.epochs == 1
    assert 45 < summary.steps <= 90
    assert summary.weights.exists()


class Pressing(nn.Module):
    """Presses Ctrl-C in the second validation."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        self.validations = 0

    def forward(self, images: Tensor) -> Tensor:
        if not self.training and len(images) > 99:
            self.validations += 1
            if self.validations == 2:
                os.kill(os.getpid(), signal.SIGINT)
        result: Tensor = self.module(images)
        return result


@pytest.mark.parametrize("accumulate", [1, 4])
def test_the_time_left_is_counted_in_steps(digits: Data, tmp_path: Path, accumulate: int) -> None:
    recorder = Recorder()
    run(digits, tmp_path, recipe=RECIPE.model_copy(update={"accumulate": accumulate}), callback=recorder)
    at_ends = [p.seconds_left for p in recorder.progress if p.step == 45]
    assert len(at_ends) == 2
    assert all(
        0 < left <= recorder.epochs[0].seconds for left in at_ends
    )  # at most an epoch with its validation


def test_a_second_ctrl_c_ends_at_once(digits: Data, tmp_path: Path) -> None:
    def press(progress: Progress) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        run(digits, tmp_path, callback=Recorder(press))
    assert signal.getsignal(signal.SIGINT) == before


@pytest.mark.parametrize(
    "then", [lambda: None, lambda: os.kill(os.getpid(), signal.SIGINT)], ids=["-", "SIGINT"]
)
def test_a_loss_that_is_not_finite_ends_the_run_and_keeps_its_checkpoint(
    digits: Data, tmp_path: Path, then: Callable[[], None]
) -> None:
    recipe = RECIPE.with_overrides(epochs=3)
    module = network()

    class Spoils(Recorder):
        def on_epoch_saved(self, state: RunState, report: EpochReport) -> None:
            module.get_parameter("6.bias").data.fill_(math.nan)
            then()

    recorder = Spoils()
    with pytest.raises(
        TrainError, match=r"not finite in epoch 2, .*`lr` \(the last checkpoint is .*checkpoint"
    ):
        run(digits, tmp_path, module, recipe, recorder)
    assert recorder.calls.count("close") == 1
    model = load(tmp_path / "checkpoint.pt")["model"]
    assert all(value.isfinite().all() for value in model.values())


@pytest.mark.parametrize(
    ("outputs", "mean", "warns"), [(1000, 6.9, True), (1000, 6.0, False), (1, 0.0, False)]
)
def test_a_loss_that_stays_at_guessing_warns_once(outputs: int, mean: float, warns: bool) -> None:
    watch = DeadLossCheck(outputs)
    warnings = [watch.update(step, torch.tensor(mean)) for step in range(1, 5001)]
    told = [(step, message) for step, message in enumerate(warnings, 1) if message]
    assert [step for step, _ in told] == ([2500] if warns else [])
    if warns:
        assert (
            "the loss is 6.900, and guessing gives ln(1000) = 6.908: the network learns nothing" in told[0][1]
        )


REFUSED: dict[str, tuple[Callable[[], nn.Module], type[Exception], str]] = {
    "too few classes": (lambda: network(classes=7), DataError, "10 classes, but the network has 7 outputs"),
    "an image": (lambda: nn.Conv2d(1, 10, 3), TrainError, "one score for each class, found 10x6x6"),
    "two outputs": (lambda: nn.LSTM(8, 4), TrainError, "one score for each class, found several"),
}


@pytest.mark.parametrize(("make", "kind", "message"), REFUSED.values(), ids=REFUSED)
def test_networks_that_cannot_classify(
    make: Callable[[], nn.Module], kind: type[Exception], message: str, digits: Data, tmp_path: Path
) -> None:
    module = make()
    if isinstance(module, nn.LSTM):
        module = nn.Sequential(nn.Flatten(2), nn.Flatten(0, 1), nn.Unflatten(1, (8, 8)), module)
    with pytest.raises(kind, match=message):
        run(digits, tmp_path, module)


def test_a_channel_mismatch_is_an_error_before_files_are_written(digits: Data, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="set its input to 1x8x8"):
        fit(network(), (3, 8, 8), digits, RunConfig(RECIPE, tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_an_unknown_device_and_the_folder_of_another_run(digits: Data, tmp_path: Path) -> None:
    with pytest.raises(TrainError, match="there is no device abacus here"):
        fit(network(), SHAPE, digits, RunConfig(RECIPE, tmp_path, device="abacus"))
    (tmp_path / "checkpoint.pt").write_text("")
    with pytest.raises(TrainError, match="already holds a run"):
        run(digits, tmp_path)


def test_more_classes_than_the_images_have_are_fine(digits: Data, tmp_path: Path) -> None:
    assert run(digits, tmp_path, network(classes=20), RECIPE.with_overrides(epochs=1)).epochs == 1


def test_photos_are_trained_on_and_evaluated_by_ten_crops(
    photos: Callable[..., Path], tmp_path: Path
) -> None:
    photos("set/train", 8)
    photos("set/val", 2)
    recipe = Recipe(batch=8, epochs=2, augment=(Flip(),), normalize=Mean(), resize=20, evaluate="ten_crop",
                    optimizer=Sgd(lr=0.001, momentum=0.9))  # fmt: skip
    data = open_data("imagenet", tmp_path / "set")
    recorder = Recorder()
    config = RunConfig(recipe, tmp_path / "run", workers=1)
    summary = fit(network(channels=3, classes=3), (3, 16, 16), data, config, [recorder])
    assert summary.steps == 6
    assert summary.final is not None
    assert (summary.final.images, recorder.steps_per_epoch) == (6, 3)


def test_an_unreadable_photo_saves_the_training_so_far(photos: Callable[..., Path], tmp_path: Path) -> None:
    photos("set/train", 8)
    photos("set/val", 2)
    (tmp_path / "set/val/class1/1.jpg").write_bytes(b"")
    recipe = Recipe(batch=8, epochs=2, resize=20)
    data = open_data("imagenet", tmp_path / "set")
    with pytest.raises(
        DataError, match=r"class1/1.jpg cannot be read.*\(the 3 steps trained so far are saved in"
    ):
        fit(network(channels=3), (3, 16, 16), data, RunConfig(recipe, tmp_path / "run", workers=0))
    assert load(tmp_path / "run/checkpoint.pt")["step"] == 3


def test_running_out_of_memory_is_an_error(digits: Data, tmp_path: Path) -> None:
    class Greedy(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(TrainError, match=r"a batch of 32 does not fit .*: use a smaller `batch`"):
        run(digits, tmp_path, Greedy())


def test_progress_has_the_position_and_the_loss_of_the_run(digits: Data, tmp_path: Path) -> None:
    recorder = Recorder()
    run(digits, tmp_path, callback=recorder)
    last = recorder.progress[-1]
    assert (last.epoch, last.step) == (2, 45)
    assert last.seconds_left < 5
    assert recorder.epochs[-1].loss == pytest.approx(last.loss)
