"""Runs a training run: prepares its state, trains its epochs, and saves its results."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace

import torch
from torch import nn

from netspec.build import choose_device, choose_execution, keep_memory, memory_errors
from netspec.checkpoint import CHECKPOINT, RECIPE, WEIGHTS, lock_run, read_checkpoint, save_text
from netspec.datasets.base import Data, LoaderConfig, check_fit
from netspec.errors import DataError
from netspec.evaluation.run import Run, history
from netspec.recipe import write
from netspec.training.callbacks import Callback, RunLog, TensorBoard, stop_signals
from netspec.training.config import RunConfig
from netspec.training.distributed import Processes, parallelize
from netspec.training.loop import (
    finish_epoch,
    save_checkpoint,
    save_evaluated,
    score_view,
    train_epoch,
    validate,
)
from netspec.training.loss import DeadLossCheck, Meter, Objective
from netspec.training.optim import LearningRate, WeightAverage, make_optimizer
from netspec.training.preflight import (
    check_accumulate,
    check_batch_norm,
    check_config,
    count_outputs,
    preflight_warnings,
    recipe_heading,
)
from netspec.training.saved_state import restore
from netspec.training.state import RunState


def fit(
    module: nn.Module,
    input_shape: tuple[int, ...],
    data: Data,
    config: RunConfig,
    callbacks: Sequence[Callback] = (),
    *,
    objective: Objective | None = None,
    processes: Processes | None = None,
    macs: int = 0,
    about: Mapping[str, object] | None = None,
    citation: str | None = None,
) -> Run:
    """Train a module on an opened data set, write the files of the run, and return its record.

    `input_shape` is channels, height, width. In evaluation, the module returns logits, N x classes; in
    training, the outputs that `objective` expects. If the module was built after
    `torch.manual_seed(config.recipe.seed)`, the same seed, number of threads and precision give the same
    weights on a CPU. `macs` is the number of MACs per image, which decides the precision if the recipe has
    `precision: auto`. `about` is stored in every checkpoint. Ctrl-C and SIGTERM end the run, which then
    writes a checkpoint.

    Raises:
        DataError: the images do not match the network or cannot be read.
        TrainError: the configuration is invalid, the loss is not finite, or a file cannot be written.
    """
    processes = processes or Processes()
    device = choose_device(config.device, processes.local_rank)
    shape = check_fit(data, input_shape)
    loader = LoaderConfig(shape, config.recipe, device, config.workers, processes.rank, processes.world)
    if device.type == "cpu":
        keep_memory()
    own = [RunLog(), *([TensorBoard()] if config.tensorboard else [])]
    active = [*own, *callbacks] if processes.is_first else []
    with ExitStack() as stack:
        if processes.is_first:
            stack.enter_context(lock_run(config.out, resume=config.resume))
        for callback in active:
            stack.callback(callback.close)
        stack.enter_context(memory_errors(f"a batch of {config.recipe.batch}"))
        objective = objective or Objective(loss=config.recipe.loss)
        state = prepare(module, data, loader, config, active, objective, processes, macs)
        state.about, state.citation = about or {}, citation
        stack.enter_context(stop_signals(state.stop))
        start(state)
        return run_epochs(state)


def prepare(
    module: nn.Module,
    data: Data,
    loader: LoaderConfig,
    config: RunConfig,
    callbacks: Sequence[Callback],
    objective: Objective,
    processes: Processes,
    macs: int,
) -> RunState:
    """Return the state of a run before its first step; raises the same errors as `fit`."""
    recipe = config.recipe
    check_config(config, processes)
    batches = data.open(loader)
    check_accumulate(recipe, batches.batch, processes)
    steps = recipe.epochs * batches.steps
    execution = choose_execution(recipe, loader.device, macs, steps, shard=config.shard)
    recipe = execution.resolve(recipe).model_copy(update={"data": data.name})
    execution.place(module)
    check_batch_norm(module, loader.input_shape, recipe, batches.batch // processes.world, execution)
    classes = count_outputs(module, loader.input_shape, execution)
    if classes < len(data.class_names):
        needed = len(data.class_names)
        message = f"{data.name} has {needed} classes, but the network has {classes} outputs"
        raise DataError(f"{message}: set `classes={needed}`")
    trained = parallelize(module, processes, shard=True) if config.shard else module
    if execution.compile:
        trained = torch.compile(trained)  # type: ignore[assignment]
    if not config.shard:
        trained = parallelize(trained, processes, shard=False)
    optimizer = make_optimizer(module, recipe.optimizer)
    return RunState(
        config=replace(config, recipe=recipe),
        module=module,
        trained=trained,
        input_shape=loader.input_shape,
        classes=classes,
        data=data,
        batches=batches,
        execution=execution,
        processes=processes,
        objective=objective,
        optimizer=optimizer,
        schedule=LearningRate(optimizer, recipe, batches.steps),
        scaler=execution.grad_scaler(),
        average=WeightAverage.of(module, recipe),
        meter=Meter(loader.device, processes.sum),
        dead_loss=DeadLossCheck(classes),
        callbacks=callbacks,
        about={},
    )


def start(state: RunState) -> None:
    """Restore the checkpoint of a resumed run, or write the first checkpoint of a new run."""
    resume = state.config.resume
    changed = not resume
    if resume:
        content = read_checkpoint(state.out / CHECKPOINT)
        restore(state, content)
        changed = content.recipe != state.recipe
        del content  # its tensors would stay in memory during the run
    for callback in state.callbacks:
        callback.on_start(state)
    for warning in preflight_warnings(state):
        state.warn(warning)
    if changed and state.processes.is_first:
        save_text(state.out / RECIPE, recipe_heading(state.about) + write(state.recipe, state.citation))
    if not resume:
        save_checkpoint(state)


def run_epochs(state: RunState) -> Run:
    """Train the remaining epochs, unless the run is stopped, and return the run's record."""
    for epoch in range(state.epoch, state.recipe.epochs):
        try:
            score = validate(state) if train_epoch(state, epoch) else None
        except DataError as error:
            raise DataError(f"{error}{_save_progress(state)}") from error
        if score is None:
            break
        finish_epoch(state, score)
    finished = state.epoch == state.recipe.epochs
    if finished and state.recipe.evaluate == "ten_crop" and not state.uses_whole_images:
        score = score_view(state, "ten_crop")
        if score is not None:
            state.final, state.final_view = score, "ten crops"
    return finish(state)


def finish(state: RunState) -> Run:
    """Save the weights (and a checkpoint if the run was stopped early) and return the run's record."""
    stopped_early = bool(state.stop_signal) and state.epoch < state.recipe.epochs
    if stopped_early:
        save_checkpoint(state)
    save_evaluated(state, WEIGHTS)
    run = Run(
        folder=state.out,
        history=history(state.out),
        epochs=state.epoch,
        steps=state.step,
        final=state.final,
        best=state.best,
        best_epoch=state.best_epoch,
        seconds=time.perf_counter() - state.started,
        images_per_second=state.step * state.batches.batch / max(_training_seconds(state), 1e-9),
        final_view=state.final_view,
        interrupted=state.stop_signal if stopped_early else 0,
    )
    for callback in state.callbacks:
        callback.on_end(state, run)
    return run


def _training_seconds(state: RunState) -> float:
    """Return the seconds spent training, including those in an unfinished epoch."""
    unfinished = state.step > state.epoch * state.batches.steps
    return state.training_seconds + (state.meter.seconds if unfinished and not state.meter.stopped else 0.0)


def _save_progress(state: RunState) -> str:
    """Save a checkpoint when an image cannot be read and return a note that names the checkpoint."""
    if not state.step or state.processes.world > 1:
        return ""
    save_checkpoint(state)
    return f" (the {state.step:,} steps trained so far are saved in {state.out / CHECKPOINT})"
