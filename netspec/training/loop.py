"""The steps of a training run, and its epochs."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from contextlib import nullcontext

from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from netspec.checkpoint.store import save
from netspec.datasets.base import Batch
from netspec.errors import TrainError
from netspec.evaluation.scoring import Score, evaluate
from netspec.training import state
from netspec.training.divergence import exploded
from netspec.training.interrupt import Interrupt
from netspec.training.meter import Meter
from netspec.training.report import EpochReport, Tick
from netspec.training.sharding import sharded
from netspec.training.state import Run
from netspec.transforms.augment import mixed, mixes
from netspec.transforms.crops import View
from netspec.transforms.seeds import generator, stream_seed

CHECKPOINT, WEIGHTS, BEST, RECIPE = "checkpoint.pt", "weights.pt", "best.pt", "recipe.net"


def train_epoch(run: Run, epoch: int, interrupt: Interrupt) -> bool:
    """Train from where the run stands to the end of an epoch; False where it was interrupted."""
    done = run.step - epoch * run.batches.steps
    if not done:
        run.meter = Meter(run.machine.device, run.processes.sum)
    run.trained.train()
    for images, labels in run.meter.wait_for(run.batches.train(epoch, done)):
        _step(run, epoch, images, labels)
        look = run.meter.due()
        if look:
            _show(run)
        overdue = look and time.perf_counter() - run.saved > run.save_every
        ends, saves = run.processes.any(interrupt.requested, overdue)
        if ends:
            interrupt.signal = interrupt.signal or 15
            _show(run)
            return False
        if saves:
            save_checkpoint(run)
    run.meter.stop()
    _show(run)
    run.training_seconds += run.meter.seconds
    return True


def _step(run: Run, epoch: int, images: Tensor, labels: Tensor) -> None:
    """Update the weights by one batch, worked on in as many parts as the recipe says."""
    run.rate.before_step(run.step)
    run.machine.seed(stream_seed(run.recipe.seed, epoch, run.step, 2 + run.processes.rank))
    images, targets = _mixed(run, epoch, images, labels)
    size = -(-len(labels) // run.recipe.accumulate)
    parts = list(zip(images.split(size), labels.split(size), targets.split(size), strict=True))
    run.optimizer.zero_grad()
    for k, (some, classes, wanted) in enumerate(parts):
        last = k == len(parts) - 1
        alone = isinstance(run.trained, DistributedDataParallel) and not last
        with run.trained.no_sync() if alone else nullcontext():  # type: ignore[operator]
            with run.machine.autocast():
                outputs = run.trained(some)
            loss, logits = run.objective(outputs, wanted)
            run.scaler.scale(loss * (len(some) / len(labels))).backward()
        run.meter.count(loss.detach(), logits.detach(), classes)
    if run.recipe.clip_grad_norm is not None:
        run.scaler.unscale_(run.optimizer)
        nn.utils.clip_grad_norm_(run.module.parameters(), run.recipe.clip_grad_norm)
    run.scaler.step(run.optimizer)
    run.scaler.update()
    run.step += 1
    if run.average:
        run.average.see(run.module, run.step)
    if warning := run.watch.see(run.step, loss.detach() / run.objective.weight):
        run.progress.warn(warning)


def _mixed(run: Run, epoch: int, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The batch with its targets, blended where the recipe blends images."""
    if not mixes(run.recipe):
        return images, labels
    stream = generator(run.recipe.seed, epoch, 2, run.step)
    return mixed(images, labels, run.classes, run.recipe, stream)


def _show(run: Run) -> None:
    """Report where the epoch stands; raises TrainError where the loss is no longer a number."""
    meter = run.meter
    check_number(run, meter.loss)
    epochs_left = run.recipe.epochs - run.epochs
    step = run.step - run.epochs * run.batches.steps
    seconds_left = (epochs_left * run.batches.steps - step) * meter.seconds / max(step, 1)
    seconds_left += epochs_left * run.validation_seconds / max(run.epochs, 1)
    speed = meter.speed * (1 if meter.stopped else run.processes.world)
    run.progress.tick(
        Tick(run.epochs + 1, step, meter.loss, meter.accuracy, speed, seconds_left, meter.waiting)
    )


def validate(run: Run, interrupt: Interrupt) -> Score | None:
    """Score the network on the centre crops, or nothing after an interrupt."""
    started = time.perf_counter()
    score = scored(run, interrupt, "center_crop")
    run.validation_seconds += time.perf_counter() - started
    if score is not None:
        check_number(run, score.loss)
    return score


def scored(run: Run, interrupt: Interrupt, view: View) -> Score | None:
    """Score the network by a view, or nothing after an interrupt in any process."""
    run.processes.share_buffers(run.scored)
    batches = run.batches.validate(view)
    watched = in_step(run, batches, interrupt) if sharded(run.module) else interrupt.until(batches)
    with run.machine.autocast():
        score = evaluate(run.scored, watched, run.processes)
    (ends,) = run.processes.any(interrupt.requested)
    if ends:
        interrupt.signal = interrupt.signal or 15
        return None
    return score


def in_step(run: Run, batches: Iterable[Batch], interrupt: Interrupt) -> Iterator[Batch]:
    """As many batches in every process, empty ones at the end, since all gather sharded weights together."""
    iterator, last = iter(batches), None
    while True:
        item = next(iterator, None)
        more, ends = run.processes.any(item is not None, interrupt.requested)
        if not more or ends:
            return
        if item is None and last is None:
            raise TrainError("a process has no image to validate on: train with fewer processes")
        last = item or last
        if last is not None:
            yield item or (last[0][:0], last[1][:0])


def finish_epoch(run: Run, score: Score) -> None:
    """Log, save and show one epoch; the checkpoint comes last, since going on repeats what follows it."""
    run.epochs += 1
    run.final = score
    rate = run.rate.now
    run.rate.after_epoch(score.top1_error)
    improved = run.best is None or score.top1_error < run.best.top1_error
    report = EpochReport(
        epoch=run.epochs,
        lr=rate,
        loss=run.meter.loss,
        accuracy=run.meter.accuracy,
        val=score,
        improved=improved,
        images_per_second=run.meter.speed,
        seconds=time.perf_counter() - run.meter.started + run.meter.before,
        waiting=run.meter.waiting,
    )
    if improved:
        run.best, run.best_epoch = score, run.epochs
        save_weights(run, BEST)
    if run.log:
        run.log.epoch(report, run.step)
    save_checkpoint(run)
    run.progress.epoch(report)
    if warning := exploded(run.meter.loss / run.objective.weight, run.classes, rate):
        run.progress.warn(warning)


def save_checkpoint(run: Run) -> None:
    """Write the checkpoint; all processes call this together."""
    content = state.content(run)
    if run.processes.first:
        save(run.out / CHECKPOINT, content)
    run.saved = time.perf_counter()


def save_weights(run: Run, name: str) -> None:
    """Write the weights that are validated; all processes call this together."""
    weights = state.weights_of(run)
    if run.processes.first:
        save(run.out / name, weights)


def check_number(run: Run, loss: float) -> None:
    """Raise TrainError, with what was kept, where the loss is no number."""
    if not math.isfinite(loss):
        kept = f"step {run.epochs * run.batches.steps:,} is kept in {run.out / CHECKPOINT}"
        if run.epochs:
            kept = f"epoch {run.epochs} is kept in {run.out / CHECKPOINT}"
        message = (
            f"the loss is no longer a number in epoch {run.epochs + 1}, at learning rate {run.rate.now:.3g}"
        )
        raise TrainError(f"{message}: lower it with --lr ({kept})")
