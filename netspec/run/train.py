"""Training: the loop, and what may go wrong in it said in a sentence."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer

from netspec.recipe import Recipe
from netspec.run.checkpoint import TrainError, append_line, claim_folder, save, save_json
from netspec.run.data.source import Batches, Data, DataError, Setting, check_fit, stream_seed
from netspec.run.device import choose_device, memory_explained, place
from netspec.run.evaluate import Score, evaluate
from netspec.run.interrupt import Interrupt, interrupts
from netspec.run.meter import DeadLossWatch, Meter, exploded
from netspec.run.optimize import make_optimizer
from netspec.run.progress import Progress
from netspec.run.report import EpochReport, Plan, Summary, Tick
from netspec.run.schedule import LearningRate

CHECKPOINT, WEIGHTS, BEST, LOG, RECIPE = "checkpoint.pt", "weights.pt", "best.pt", "log.jsonl", "recipe.json"


@dataclass
class Run:
    """Everything that a training run holds and changes."""

    module: nn.Module
    setting: Setting
    classes: int
    data: Data
    batches: Batches
    optimizer: Optimizer
    rate: LearningRate
    out: Path
    progress: Progress
    about: Mapping[str, object]
    watch: DeadLossWatch
    step: int = 0
    epochs: int = 0
    final: Score | None = None
    final_view: str = "centre crop"
    best: Score | None = None
    best_epoch: int = 0
    started: float = field(default_factory=time.perf_counter)
    training_seconds: float = 0.0
    validation_seconds: float = 0.0

    @property
    def recipe(self) -> Recipe:
        """The recipe that runs."""
        return self.setting.recipe


def train(
    module: nn.Module,
    input_shape: tuple[int, ...],
    recipe: Recipe,
    data: Data,
    out: Path,
    *,
    device: str = "auto",
    workers: int | None = None,
    progress: Progress,
    about: Mapping[str, object] | None = None,
) -> Summary:
    """Train a module as a recipe says, and save it under `out`.

    `input_shape` is channels, height, width; the module gives logits, N x classes. Build it after
    `torch.manual_seed(recipe.seed)`: then the same seed and thread count give the same weights on a CPU.
    `workers` processes read image files, None for as many as suit the machine; `about` is kept in every
    checkpoint as it is. Raises DataError and TrainError; Ctrl-C ends the run with a checkpoint.
    """
    setting = Setting(check_fit(data, input_shape), recipe, choose_device(device), workers)
    claim_folder(out, CHECKPOINT)
    try:
        with memory_explained(recipe.batch):
            run = _prepare(module, setting, data, out, progress, about or {})
            progress.begin(_plan(run))
            return _train(run)
    finally:
        progress.end()
        with contextlib.suppress(OSError):
            out.rmdir()  # where nothing was written into it


def _prepare(
    module: nn.Module,
    setting: Setting,
    data: Data,
    out: Path,
    progress: Progress,
    about: Mapping[str, object],
) -> Run:
    place(module, setting.device)
    classes = _count_outputs(module, setting)
    if classes < len(data.class_names):
        message = f"{data.name} has {len(data.class_names)} classes, but the network tells {classes} apart"
        raise TrainError(f"{message}: set classes={len(data.class_names)}")
    batches = data.open(setting)
    save_json(out / RECIPE, setting.recipe.model_dump(mode="json") | {"data": data.name})
    optimizer = make_optimizer(module, setting.recipe.optimizer)
    rate = LearningRate(optimizer, setting.recipe, batches.steps)
    watch = DeadLossWatch(classes)
    return Run(module, setting, classes, data, batches, optimizer, rate, out, progress, about, watch)


def _train(run: Run) -> Summary:
    with interrupts() as interrupt:
        for epoch in range(run.recipe.epochs):
            try:
                trained = _train_epoch(run, epoch, interrupt)
                score = None if interrupt.requested else _validate(run, interrupt)
            except DataError as error:
                raise DataError(f"{error}{_keep(run)}") from error
            if score is None:
                break
            _finish_epoch(run, trained, score)
        if run.recipe.evaluate == "ten_crop" and not interrupt.requested:
            score = evaluate(run.module, interrupt.until(run.batches.validate("ten_crop")))
            if not interrupt.requested:
                run.final, run.final_view = score, "ten crops"
        return _finish(run, interrupt.requested and run.epochs < run.recipe.epochs)


def _train_epoch(run: Run, epoch: int, interrupt: Interrupt) -> Meter:
    """Train for an epoch, or until an interrupt."""
    torch.manual_seed(stream_seed(run.recipe.seed, epoch, 2))  # for dropout
    module, optimizer, meter = run.module.train(), run.optimizer, Meter(run.setting.device)
    for images, labels in run.batches.train(epoch):
        run.rate.before_step(run.step)
        logits = module(images)
        loss = cross_entropy(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        run.step += 1
        meter.count(loss.detach(), logits.detach(), labels)
        if warning := run.watch.see(run.step, loss.detach()):
            run.progress.warn(warning)
        if meter.due():
            _show(run, meter)
        if interrupt.requested:
            break
    meter.stop()
    _show(run, meter)
    run.training_seconds += meter.seconds
    return meter


def _show(run: Run, meter: Meter) -> None:
    """Report where the epoch stands; raises TrainError where the loss is no longer a number."""
    _check_number(run, meter.loss)
    epochs_left = run.recipe.epochs - run.epochs
    steps_left = epochs_left * run.batches.steps - meter.steps
    seconds_left = steps_left * meter.seconds / max(meter.steps, 1)
    seconds_left += epochs_left * run.validation_seconds / max(run.epochs, 1)
    tick = Tick(run.epochs + 1, meter.steps, meter.loss, meter.accuracy, meter.speed, seconds_left)
    run.progress.tick(tick)


def _validate(run: Run, interrupt: Interrupt) -> Score | None:
    """Score the network on the centre crops, or nothing after an interrupt."""
    started = time.perf_counter()
    score = evaluate(run.module, interrupt.until(run.batches.validate()))
    run.validation_seconds += time.perf_counter() - started
    if interrupt.requested:
        return None
    _check_number(run, score.loss)
    return score


def _finish_epoch(run: Run, trained: Meter, score: Score) -> None:
    """Save, log and show one epoch."""
    run.epochs += 1
    run.final = score
    rate = run.rate.now
    run.rate.after_epoch(score.top1_error)
    improved = run.best is None or score.top1_error < run.best.top1_error
    if improved:
        run.best, run.best_epoch = score, run.epochs
        save(run.out / BEST, _weights(run))
    save(run.out / CHECKPOINT, _content(run))
    report = EpochReport(
        epoch=run.epochs,
        lr=rate,
        loss=trained.loss,
        accuracy=trained.accuracy,
        val=score,
        improved=improved,
        images_per_second=trained.speed,
        seconds=time.perf_counter() - trained.started,
    )
    append_line(run.out / LOG, asdict(report) | {"steps": run.step})
    run.progress.epoch(report)
    if warning := exploded(trained.loss, run.classes, rate):
        run.progress.warn(warning)


def _finish(run: Run, interrupted: bool) -> Summary:
    """Save the weights, and the place in the run where it was interrupted."""
    if interrupted:
        save(run.out / CHECKPOINT, _content(run))
    save(run.out / WEIGHTS, _weights(run))
    return Summary(
        epochs=run.epochs,
        steps=run.step,
        seconds=time.perf_counter() - run.started,
        images_per_second=run.step * run.batches.batch / max(run.training_seconds, 1e-9),
        final=run.final,
        final_view=run.final_view,
        best=run.best,
        best_epoch=run.best_epoch,
        weights=run.out / WEIGHTS,
        best_weights=run.out / BEST if run.best else None,
        checkpoint=run.out / CHECKPOINT,
        interrupted=interrupted,
    )


def _keep(run: Run) -> str:
    """Save what a fault in the images would lose, and say where."""
    if not run.step:
        return ""
    save(run.out / CHECKPOINT, _content(run))
    return f" (training so far, {run.step:,} steps, is kept in {run.out / CHECKPOINT})"


def _content(run: Run) -> dict[str, object]:
    """What a checkpoint holds: tensors and plain values only, so that loading it runs no code."""
    return {
        "format": 1,
        "model": _weights(run),
        "optimizer": run.optimizer.state_dict(),
        "schedule": run.rate.state_dict(),
        "epoch": run.epochs,
        "step": run.step,
        "recipe": run.recipe.model_dump(mode="json"),
        "data": run.data.name,
        "classes": run.classes,
        "class_names": list(run.data.class_names),
        "input_shape": list(run.setting.input_shape),
        "preprocessing": asdict(run.batches.preprocessing),
        "best": None if run.best is None else asdict(run.best) | {"epoch": run.best_epoch},
        "about": dict(run.about),
    }


def _weights(run: Run) -> dict[str, Tensor]:
    """The state_dict, laid out plainly, whatever layout the device likes."""
    return {name: value.contiguous() for name, value in run.module.state_dict().items()}


def _count_outputs(module: nn.Module, setting: Setting) -> int:
    """Try the module on one black image; raises TrainError where it does not give a row of logits."""
    training = module.training
    with torch.no_grad():
        logits = module.eval()(torch.zeros(1, *setting.input_shape, device=setting.device))
    module.train(training)
    if isinstance(logits, Tensor) and logits.dim() == 2:
        return logits.shape[1]
    found = "x".join(map(str, logits.shape[1:])) if isinstance(logits, Tensor) else "several outputs"
    raise TrainError(
        f"training needs a network that ends in one score for each class, and this gives {found}"
    )


def _plan(run: Run) -> Plan:
    return Plan(
        data=run.data.name,
        train_images=run.data.train_images,
        val_images=run.data.val_images,
        classes=len(run.data.class_names),
        batch=run.batches.batch,
        epochs=run.recipe.epochs,
        steps_per_epoch=run.batches.steps,
        parameters=sum(p.numel() for p in run.module.parameters()),
        device=str(run.setting.device),
        out=run.out,
    )


def _check_number(run: Run, loss: float) -> None:
    if not math.isfinite(loss):
        kept = (
            f"epoch {run.epochs} is kept in {run.out / CHECKPOINT}" if run.epochs else "nothing was saved yet"
        )
        message = (
            f"the loss is no longer a number in epoch {run.epochs + 1}, at learning rate {run.rate.now:.3g}"
        )
        raise TrainError(f"{message}: lower it with --lr ({kept})")
