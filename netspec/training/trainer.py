"""Training: a module, a recipe and images to saved weights, from the start or from a checkpoint."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from netspec.build.device import choose_device, keep_memory, memory_explained, place
from netspec.checkpoint.log import RunLog
from netspec.checkpoint.store import claimed, save_text
from netspec.datasets.base import Data, LoaderConfig, check_fit
from netspec.errors import DataError, TrainError
from netspec.recipe import Recipe, write
from netspec.training import state
from netspec.training.distributed import Processes
from netspec.training.divergence import DeadLossWatch
from netspec.training.ema import Average
from netspec.training.interrupt import Interrupt, interrupts
from netspec.training.loop import (
    BEST,
    CHECKPOINT,
    RECIPE,
    WEIGHTS,
    finish_epoch,
    save_checkpoint,
    save_weights,
    scored,
    train_epoch,
    validate,
)
from netspec.training.loss import Objective
from netspec.training.meter import Meter
from netspec.training.optim import make_optimizer
from netspec.training.precision import Machine, choose
from netspec.training.preflight import doubts, heading, seen_whole
from netspec.training.progress import Progress, Silent
from netspec.training.report import Plan, Summary
from netspec.training.schedule import LearningRate
from netspec.training.sharding import spread
from netspec.training.state import Run


@dataclass(frozen=True)
class Means:
    """What a run is given beside its recipe: the machine's part, which the result should not depend on.

    `workers` processes read image files, None for as many as suit the machine; `save_every` is in seconds,
    beside the end of each epoch; `shard` cuts the weights over the processes; `tensorboard` writes its event
    files too; `resume` is the content of the checkpoint to go on from.
    """

    device: str = "auto"
    workers: int | None = None
    save_every: float = math.inf
    shard: bool = False
    tensorboard: bool = False
    resume: Mapping[str, Any] | None = None
    processes: Processes = field(default_factory=Processes)


def train(
    module: nn.Module,
    input_shape: tuple[int, ...],
    recipe: Recipe,
    data: Data,
    out: Path,
    *,
    progress: Progress,
    means: Means | None = None,
    objective: Objective | None = None,
    macs: int = 0,
    about: Mapping[str, object] | None = None,
    citation: str | None = None,
) -> Summary:
    """Train a module as a recipe says, and save it under `out`.

    `input_shape` is channels, height, width; the module gives logits, N x classes, and in training whatever
    `objective` takes. Build it after `torch.manual_seed(recipe.seed)`: then the same seed, thread count and
    precision give the same weights on a CPU. `macs`, for one image, help to choose the precision; `about` is
    kept in every checkpoint as it is. Raises DataError and TrainError; Ctrl-C and SIGTERM end the run with a
    checkpoint.
    """
    means = means or Means()
    if not means.processes.first:
        progress = Silent()
    device = choose_device(means.device, means.processes.local_rank)
    setting = LoaderConfig(
        check_fit(data, input_shape),
        recipe,
        device,
        means.workers,
        means.processes.rank,
        means.processes.world,
    )
    if device.type == "cpu":
        keep_memory()
    run: Run | None = None
    with claimed(out, CHECKPOINT, taken=means.resume is not None) if means.processes.first else nullcontext():
        try:
            with memory_explained(recipe.batch):
                objective = objective or Objective()
                objective = replace(objective, label_smoothing=recipe.loss.label_smoothing)
                run = _prepare(module, setting, data, out, progress, about or {}, objective, macs, means)
                _begin(run, means, citation)
                return _train(run)
        finally:
            progress.end()
            if run and run.log:
                run.log.close()


def _prepare(
    module: nn.Module,
    setting: LoaderConfig,
    data: Data,
    out: Path,
    progress: Progress,
    about: Mapping[str, object],
    objective: Objective,
    macs: int,
    means: Means,
) -> Run:
    recipe, processes = setting.recipe, means.processes
    if means.shard and processes.world == 1:
        message = "one process has no others to share weights with: start several with torchrun"
        raise TrainError(message, wrong_use=True)
    if means.shard and recipe.ema is not None:
        raise TrainError("weights that are cut up are not averaged: leave out --shard, or ema in the recipe")
    batches = data.open(setting)
    if recipe.accumulate > (each := batches.batch // processes.world):
        raise TrainError(f"{each} images cannot be worked on in {recipe.accumulate} parts: lower accumulate")
    machine = choose(recipe, setting.device, macs, recipe.epochs * batches.steps, shard=means.shard)
    setting = replace(setting, recipe=machine.settled(recipe).model_copy(update={"data": data.name}))
    place(module, machine.device, channels_last=machine.memory_format == "channels_last")
    classes = _count_outputs(module, setting, machine)
    if classes < len(data.class_names):
        message = f"{data.name} has {len(data.class_names)} classes, but the network tells {classes} apart"
        raise TrainError(f"{message}: set classes={len(data.class_names)}")
    trained = spread(module, processes, shard=True) if means.shard else module
    if machine.compile:
        trained = torch.compile(trained)  # type: ignore[assignment]
    if not means.shard:
        trained = spread(trained, processes, shard=False)
    optimizer = make_optimizer(module, recipe.optimizer)
    return Run(
        module=module,
        trained=trained,
        machine=machine,
        processes=processes,
        setting=setting,
        objective=objective,
        classes=classes,
        data=data,
        batches=batches,
        optimizer=optimizer,
        scaler=machine.scaler(),
        average=Average.of(module, recipe),
        rate=LearningRate(optimizer, recipe, batches.steps),
        out=out,
        progress=progress,
        about=about,
        watch=DeadLossWatch(classes),
        meter=Meter(setting.device, processes.sum),
        save_every=means.save_every,
    )


def _begin(run: Run, means: Means, citation: str | None) -> None:
    """Go on from the checkpoint, or write the first one, so that a run can go on from any moment."""
    if means.resume is not None:
        state.restore(run, means.resume)
    if run.processes.first:
        run.log = RunLog(run.out, step=run.step, tensorboard=means.tensorboard)
    run.progress.begin(_plan(run, citation))
    for doubt in doubts(run):
        run.progress.warn(doubt)
    if means.resume is None:
        if run.processes.first:
            save_text(run.out / RECIPE, heading(run.about) + write(run.recipe, citation))
        save_checkpoint(run)


def _train(run: Run) -> Summary:
    with interrupts() as interrupt:
        for epoch in range(run.epochs, run.recipe.epochs):
            try:
                whole = train_epoch(run, epoch, interrupt)
                score = validate(run, interrupt) if whole else None
            except DataError as error:
                raise DataError(f"{error}{_keep(run)}") from error
            if score is None:
                break
            finish_epoch(run, score)
        ten = run.recipe.evaluate == "ten_crop" and not seen_whole(run)
        if ten and run.epochs == run.recipe.epochs:
            score = scored(run, interrupt, "ten_crop")
            if score is not None:
                run.final, run.final_view = score, "ten crops"
        return _finish(run, interrupt)


def _finish(run: Run, interrupt: Interrupt) -> Summary:
    """Save the weights, and the place in the run where it was interrupted."""
    interrupted = interrupt.requested and run.epochs < run.recipe.epochs
    if interrupted:
        save_checkpoint(run)
    save_weights(run, WEIGHTS)
    return Summary(
        epochs=run.epochs,
        steps=run.step,
        seconds=time.perf_counter() - run.started,
        images_per_second=run.step * run.batches.batch / max(_training_seconds(run), 1e-9),
        final=run.final,
        final_view=run.final_view,
        best=run.best,
        best_epoch=run.best_epoch,
        weights=run.out / WEIGHTS,
        best_weights=run.out / BEST if run.best else None,
        checkpoint=run.out / CHECKPOINT,
        interrupted=interrupt.signal if interrupted else 0,
    )


def _training_seconds(run: Run) -> float:
    """Time spent training, an epoch under way included."""
    under_way = run.step > run.epochs * run.batches.steps
    return run.training_seconds + (run.meter.seconds if under_way and not run.meter.stopped else 0.0)


def _keep(run: Run) -> str:
    """Save what a fault in the images would lose, and say where."""
    if not run.step or run.processes.world > 1:
        return ""
    save_checkpoint(run)
    return f" (training so far, {run.step:,} steps, is kept in {run.out / CHECKPOINT})"


def _count_outputs(module: nn.Module, setting: LoaderConfig, machine: Machine) -> int:
    """Try the module on one black image; raises TrainError where it does not give a row of logits."""
    training = module.training
    with torch.no_grad(), machine.autocast():
        logits = module.eval()(torch.zeros(1, *setting.input_shape, device=setting.device))
    module.train(training)
    if isinstance(logits, Tensor) and logits.dim() == 2:
        return logits.shape[1]
    found = "x".join(map(str, logits.shape[1:])) if isinstance(logits, Tensor) else "several outputs"
    raise TrainError(
        f"training needs a network that ends in one score for each class, and this gives {found}"
    )


def _plan(run: Run, citation: str | None) -> Plan:
    return Plan(
        data=run.data.name,
        train_images=run.data.train_images,
        val_images=run.data.val_images,
        classes=len(run.data.class_names),
        batch=run.batches.batch,
        epochs=run.recipe.epochs,
        steps_per_epoch=run.batches.steps,
        parameters=sum(p.numel() for p in run.module.parameters()),
        machine=run.machine.words,
        processes=run.processes.world,
        out=run.out,
        done=run.step,
        citation=citation,
    )
