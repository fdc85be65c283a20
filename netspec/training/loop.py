"""The training loop: runs steps, epochs and validation, and writes checkpoints and weights."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from contextlib import nullcontext

from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from netspec.checkpoint import BEST, CHECKPOINT, save, save_weights
from netspec.datasets.base import Batch
from netspec.errors import TrainError
from netspec.evaluation.metrics import Score, score_batches
from netspec.training.callbacks import EpochReport, Progress
from netspec.training.distributed import is_sharded
from netspec.training.loss import Meter, divergence_warning, nothing_learned_warning
from netspec.training.saved_state import checkpoint_content, evaluated_weights
from netspec.training.state import RunState
from netspec.transforms.augment import mixed, mixes
from netspec.transforms.crops import View
from netspec.transforms.seeds import generator, stream_seed


def train_epoch(state: RunState, epoch: int) -> bool:
    """Train to the end of an epoch (0-based); return False if the run is stopped before the end."""
    done = state.step - epoch * state.batches.steps
    if not done:
        state.meter = Meter(state.execution.device, state.processes.sum)
    state.trained.train()
    for images, labels in state.meter.timed(state.batches.train(epoch, done)):
        train_step(state, epoch, images, labels)
        due = state.meter.due()
        if due:
            report_progress(state)
        overdue = due and time.perf_counter() - state.saved > state.config.save_seconds
        stops, saves = state.processes.any(bool(state.stop_signal), overdue)
        if stops:
            state.stop()
            report_progress(state)
            return False
        if saves:
            save_checkpoint(state)
    state.meter.stop()
    report_progress(state)
    state.training_seconds += state.meter.seconds
    return True


def train_step(state: RunState, epoch: int, images: Tensor, labels: Tensor) -> None:
    """Update the weights with one batch, processed in as many parts as the recipe's `accumulate`."""
    state.schedule.before_step(state.step)
    state.execution.seed(stream_seed(state.recipe.seed, epoch, state.step, 2 + state.processes.rank))
    images, targets = _mix(state, epoch, images, labels)
    size = -(-len(labels) // state.recipe.accumulate)
    parts = list(zip(images.split(size), labels.split(size), targets.split(size), strict=True))
    state.optimizer.zero_grad()
    for number, (part_images, part_labels, part_targets) in enumerate(parts, 1):
        unsynchronised = isinstance(state.trained, DistributedDataParallel) and number < len(parts)
        with state.trained.no_sync() if unsynchronised else nullcontext():  # type: ignore[operator]
            with state.execution.autocast():
                outputs = state.trained(part_images)
            loss, logits = state.objective(outputs, part_targets)
            state.scaler.scale(loss * (len(part_images) / len(labels))).backward()
        state.meter.add(loss.detach(), logits.detach(), part_labels)
    if state.recipe.clip_grad_norm is not None:
        state.scaler.unscale_(state.optimizer)
        nn.utils.clip_grad_norm_(state.module.parameters(), state.recipe.clip_grad_norm)
    state.scaler.step(state.optimizer)
    state.scaler.update()
    state.step += 1
    if state.average:
        state.average.update(state.module, state.step)
    if warning := state.dead_loss.update(state.step, loss.detach() / state.objective.total_weight):
        state.warn(warning)


def _mix(state: RunState, epoch: int, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return a batch and its targets, mixed if the recipe has MixUp or CutMix."""
    if not mixes(state.recipe):
        return images, labels
    stream = generator(state.recipe.seed, epoch, 2, state.step)
    return mixed(images, labels, state.classes, state.recipe, stream)


def report_progress(state: RunState) -> None:
    """Call `on_progress` of the callbacks; raises TrainError if the loss is not finite."""
    meter = state.meter
    check_finite(state, meter.loss)
    epochs_left = state.recipe.epochs - state.epoch
    step = state.step - state.epoch * state.batches.steps
    seconds_left = (epochs_left * state.batches.steps - step) * meter.seconds / max(step, 1)
    seconds_left += epochs_left * state.validation_seconds / max(state.epoch, 1)
    speed = meter.speed * (1 if meter.stopped else state.processes.world)
    progress = Progress(state.epoch + 1, step, meter.loss, meter.accuracy, speed, seconds_left, meter.waiting)
    for callback in state.callbacks:
        callback.on_progress(state, progress)


def validate(state: RunState) -> Score | None:
    """Return the validation score on centre crops, or None if the run is stopped meanwhile."""
    started = time.perf_counter()
    score = score_view(state, "center_crop")
    state.validation_seconds += time.perf_counter() - started
    if score is not None:
        check_finite(state, score.loss)
    return score


def score_view(state: RunState, view: View) -> Score | None:
    """Return the validation score on the crops `view`, or None if any process is stopped meanwhile."""
    state.processes.broadcast_buffers(state.evaluated)
    batches = state.batches.validate(view)
    watched = in_lockstep(state, batches) if is_sharded(state.module) else state.until_stopped(batches)
    with state.execution.autocast():
        score = score_batches(state.evaluated, watched, state.processes.sum)
    (stops,) = state.processes.any(bool(state.stop_signal))
    if stops:
        state.stop()
        return None
    return score


def in_lockstep(state: RunState, batches: Iterable[Batch]) -> Iterator[Batch]:
    """Yield the same number of batches in every process, since all must gather sharded weights together.

    A process that has run out of images gets empty batches.

    Raises:
        TrainError: a process has no images.
    """
    iterator, last = iter(batches), None
    while True:
        item = next(iterator, None)
        more, stops = state.processes.any(item is not None, bool(state.stop_signal))
        if not more or stops:
            return
        if item is None and last is None:
            raise TrainError("a process has no validation image: train with fewer processes")
        last = item or last
        if last is not None:
            yield item or (last[0][:0], last[1][:0])


def finish_epoch(state: RunState, score: Score) -> None:
    """Record a finished epoch. Its checkpoint is written last, so a killed run repeats the epoch."""
    state.epoch += 1
    state.final = score
    rate = state.schedule.current
    state.schedule.after_epoch(score.top1_error)
    improved = state.best is None or score.top1_error < state.best.top1_error
    report = EpochReport(
        epoch=state.epoch,
        lr=rate,
        loss=state.meter.loss,
        accuracy=state.meter.accuracy,
        val=score,
        improved=improved,
        images_per_second=state.meter.speed,
        seconds=time.perf_counter() - state.meter.started + state.meter.before,
        waiting=state.meter.waiting,
    )
    if improved:
        state.best, state.best_epoch = score, state.epoch
        save_evaluated(state, BEST)
    for callback in state.callbacks:
        callback.on_epoch_end(state, report)
    save_checkpoint(state)
    for callback in state.callbacks:
        callback.on_epoch_saved(state, report)
    peak = state.recipe.optimizer.lr
    if warning := divergence_warning(state.meter.loss / state.objective.total_weight, state.classes, peak):
        state.warn(warning)
    if state.epoch == state.recipe.epochs and not state.has_random_labels:
        loss = state.meter.loss / state.objective.total_weight
        if warning := nothing_learned_warning(loss, 1 - score.top1_error, state.classes):
            state.warn(warning)


def save_checkpoint(state: RunState) -> None:
    """Write the checkpoint; every process must call this."""
    content = checkpoint_content(state)
    if state.processes.is_first:
        save(state.out / CHECKPOINT, content)
    state.saved = time.perf_counter()


def save_evaluated(state: RunState, name: str) -> None:
    """Write the weights of the evaluated module (averaged for `ema`); every process must call this."""
    weights = evaluated_weights(state)
    if state.processes.is_first:
        save_weights(state.out / name, weights)


def check_finite(state: RunState, loss: float) -> None:
    """Raise TrainError if the loss is not finite; the message names the last checkpoint."""
    if not math.isfinite(loss):
        where = f"in epoch {state.epoch + 1}, with a learning rate of {state.recipe.optimizer.lr:.3g}"
        kept = f"the last checkpoint is {state.out / CHECKPOINT}"
        raise TrainError(f"the loss is not finite {where}: use a smaller `lr` ({kept})")
