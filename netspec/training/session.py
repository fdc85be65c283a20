"""`netspec train`: bring spec, data set and recipe together, refuse what does not fit, and train."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from netspec.build.compile import build
from netspec.checker import Report
from netspec.checkpoint.spec import describe, restore
from netspec.checkpoint.store import fresh_folder, load
from netspec.datasets.base import Data, announce, check_fit
from netspec.datasets.registry import located, open_data
from netspec.diagnostics import SpecError
from netspec.emit.reports import show_diagnostics
from netspec.errors import DataError, TrainError
from netspec.evaluation.load import read_recipe
from netspec.graph import Net
from netspec.memory import recipe_of
from netspec.recipe import Recipe, RecipeError
from netspec.training.distributed import Processes, joined
from netspec.training.loop import CHECKPOINT
from netspec.training.loss import Objective
from netspec.training.pretrained import start_from
from netspec.training.progress import open_progress
from netspec.training.trainer import Means, train

TROUBLE = (DataError, TrainError, RecipeError, SpecError)
"""What can be wrong for a reason the user can mend."""


@dataclass(frozen=True)
class Options:
    """What the command says beside the recipe: where things lie, and how the machine is used.

    `save_every` is in minutes; `weights` are those to start from, of the zoo, a run or a file.
    """

    root: Path | None = None
    out: Path | None = None
    device: str = "auto"
    workers: int | None = None
    save_every: float = 10.0
    shard: bool = False
    tensorboard: bool = False
    weights: str | None = None

    def means(self, processes: Processes, resume: Mapping[str, Any] | None = None) -> Means:
        """The machine's part of the run."""
        every = self.save_every * 60 or math.inf
        return Means(self.device, self.workers, every, self.shard, self.tensorboard, resume, processes)


@dataclass(frozen=True)
class Job:
    """A network to train, by what recipe, on what images, where to, and what a checkpoint says of it."""

    net: Net
    recipe: Recipe
    data: Data
    out: Path
    about: Mapping[str, object]


def train_spec(
    check: Callable[..., Report],
    spec: str,
    arguments: Mapping[str, object],
    overrides: Mapping[str, Any],
    **options: Any,
) -> int:
    """Train a spec on a data set and give the exit status: 0, 1 for faults in the spec, 128 + n by a signal.

    `check` checks the spec, with further parameters by keyword; `classes` follows the data set unless
    `arguments` sets it. `overrides` are those of `Recipe.with_overrides`, `options` those of `Options`.

    Raises:
        DataError, TrainError, RecipeError: what does not fit or cannot be read, before the first step.
    """
    chosen = Options(**options)
    with joined(chosen.device) as processes:
        report = check()
        if not report.net:
            return shown(report, processes)
        recipe = recipe_of(report.net).with_overrides(**overrides)
        if recipe.data is None:
            raise DataError("the spec's recipe names no data set: say which with --data", wrong_use=True)
        source = opened(located(recipe.data), chosen.root, recipe, processes)
        if "classes" in report.net.arguments and "classes" not in arguments:
            report = check(classes=len(source.class_names))
        status = shown(report, processes)
        if not report.net:
            return status
        folder = chosen.out or fresh_folder(Path("runs") / report.net.name.lower())
        root = chosen.root and chosen.root.absolute()
        about = describe(report, spec, root=root, val_share=recipe.val_share) | {"weights": chosen.weights}
        job = Job(report.net, recipe, source, processes.same(folder), about)
        return run_job(job, chosen.means(processes))


def resume_run(folder: Path, **options: Any) -> int:
    """Go on with the run in a folder, from its checkpoint alone, and give the exit status as `train_spec`.

    The spec, the recipe and the data set are those of the checkpoint; `options` are those of `Options`, and
    of them `root` may say where the images lie now.

    Raises:
        DataError, TrainError: the checkpoint or the images cannot be read, or do not fit.
    """
    chosen = Options(**options)
    path = folder / CHECKPOINT
    if not path.is_file():
        raise TrainError(f"{folder} holds no run to go on with: it has no {CHECKPOINT}")
    with joined(chosen.device) as processes:
        content = load(path)
        net = restore(content.get("about") or {}, path)
        recipe, about = read_recipe(content, path), content["about"]
        told = about.get("root")
        root = chosen.root or (Path(told) if isinstance(told, str) else None)
        source = opened(str(content.get("data")), root, recipe, processes)
        if list(source.class_names) != content.get("class_names"):
            raise DataError(f"{source.name} has other classes now than when the run in {folder} began")
        return run_job(Job(net, recipe, source, folder, about), chosen.means(processes, content))


def run_job(job: Job, means: Means) -> int:
    """Train, tell how it went, and give the exit status."""
    refuse_unfit(job.net, job.data)
    torch.manual_seed(job.recipe.seed)
    progress = open_progress()
    module = build(job.net)
    if means.resume is None and (start := job.about.get("weights")) is not None:
        take_weights(str(start), job, module, means.processes)
    summary = train(
        module,
        job.net.inputs[0].shape,
        job.recipe,
        job.data,
        job.out,
        progress=progress,
        means=means,
        objective=Objective.of(job.net, job.recipe.loss.label_smoothing),
        macs=job.net.totals.macs,
        about=job.about,
        citation=job.net.recipe_citation,
    )
    if means.processes.first:
        progress.summary(summary)
    return 128 + summary.interrupted if summary.interrupted else 0


def take_weights(start: str, job: Job, module: nn.Module, processes: Processes) -> None:
    """Start from given weights, the first process before the others: they may have to be fetched."""
    for turn in (True, False):
        if processes.first == turn:
            said = start_from(start, str(job.about["path"]), job.net, module, job.recipe)
            for sentence in said * turn:
                announce(sentence)
        processes.wait()


def shown(report: Report, processes: Processes) -> int:
    """Show what checking found, once, and give its exit status."""
    if processes.first:
        show_diagnostics(report)
    return report.status


def opened(name: str, root: Path | None, recipe: Recipe, processes: Processes) -> Data:
    """Open a data set, the first process before the others: it may have to be fetched."""
    if processes.first:
        data = open_data(name, root, val_share=recipe.val_share, seed=recipe.seed)
    processes.wait()
    return data if processes.first else open_data(name, root, val_share=recipe.val_share, seed=recipe.seed)


def refuse_unfit(net: Net, data: Data) -> None:
    """Refuse a network that cannot be trained on a data set, with the way out."""
    if len(net.inputs) != 1:
        raise DataError(f"{net.name} has {len(net.inputs)} inputs; training feeds one image to one input")
    always = [o for o in net.outputs if not o.training]
    if len(always) != 1:
        names = ", ".join(o.name for o in always)
        raise DataError(
            f"{net.name} has the outputs {names}; training takes one, beside those that are `when training`"
        )
    check_fit(data, net.inputs[0].shape)
    classes = len(data.class_names)
    for output in net.outputs:
        shape = net.nodes[output.node].shape
        if len(shape) != 1:
            message = f"{output.name} gives {shape}, not one number for each of the {classes} classes"
            raise DataError(f"{message}: flatten it first")
        if shape.features != classes:
            way = "--set classes=" if "classes" in net.arguments else "its last layer takes "
            message = f"{data.name} has {classes} classes, but {output.name} tells {shape.features} apart"
            raise DataError(f"{message}: {way}{classes}")
