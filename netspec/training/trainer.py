"""Trains checked networks: `train` starts a run and `resume` continues a run."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import torch

from netspec.build import build, choose_device
from netspec.checker import Report, check_file, check_source, lint
from netspec.checkpoint import CHECKPOINT, Checkpoint, describe, new_folder, read_checkpoint, restore
from netspec.datasets.base import Data
from netspec.datasets.registry import located, open_data
from netspec.datasets.screening import screened
from netspec.diagnostics import Source
from netspec.errors import DataError, TrainError
from netspec.evaluation.run import Run
from netspec.graph import Net
from netspec.library import locate
from netspec.memory import recipe_of, require_memory, training_bytes
from netspec.recipe import Recipe
from netspec.recipe.parts import kind_of
from netspec.training.callbacks import Callback, SkippedPhotos
from netspec.training.config import RunConfig
from netspec.training.distributed import Processes, join_processes
from netspec.training.engine import fit
from netspec.training.loss import Objective
from netspec.training.preflight import check_network
from netspec.transforms.pixels import BadImage
from netspec.weights import load_initial_weights

logger = logging.getLogger(__name__)


class LoadedNetwork(Protocol):
    """A network with the report of its check, as returned by `netspec.load`."""

    @property
    def report(self) -> Report | None: ...
    @property
    def spec(self) -> str: ...


Trainable: TypeAlias = LoadedNetwork | Report | str | Path
"""What can be trained: a loaded network, the report of a check, or the path or name of a spec."""


def train(
    network: Trainable,
    *,
    data: str | None = None,
    root: str | Path | None = None,
    out: str | Path | None = None,
    epochs: int | None = None,
    batch: int | None = None,
    lr: float | None = None,
    seed: int | None = None,
    val_share: float | None = None,
    device: str = "auto",
    workers: int | None = None,
    save_every: float = 10.0,
    shard: bool = False,
    tensorboard: bool = False,
    weights: str | None = None,
    skip_bad: bool = False,
    callbacks: Sequence[Callback] = (),
    name: str | None = None,
) -> Run:
    """Train a network according to its recipe and return the record of the run.

    `data`, `epochs`, `batch`, `lr`, `seed` and `val_share` replace entries of the recipe. If the network's
    parameter `classes` has its default value, it is set to the number of classes of the data set. `out` is
    the folder of the run, by default a new folder in `runs`. `root`, `device`, `workers`, `save_every`
    (minutes), `shard` and `tensorboard` are as in `RunConfig`. `weights` are the initial weights: a name on
    the network's card, the folder of a run, or a file. With `skip_bad`, unreadable images are left out and
    listed in the folder of the run. `name` is the spec's name in the files of the run, by default its path.

    Raises:
        SpecError: the spec has errors.
        RecipeError: a value in the recipe is out of range.
        DataError: the images cannot be read or do not match the network.
        TrainError: the settings are invalid, training diverges, or a file cannot be written.
    """
    report, spec = _report(network)
    net = report.require()
    overrides = {"epochs": epochs, "batch": batch, "lr": lr, "seed": seed, "val_share": val_share}
    recipe = recipe_of(net).with_overrides(data=data, **overrides)  # type: ignore[arg-type]
    if recipe.data is None:
        raise DataError("the recipe names no data set: choose one with `data`", wrong_use=True)
    folder = None if root is None else Path(root)
    with join_processes(device) as processes:
        source, skipped = _open(located(recipe.data), folder, recipe, processes, skip_bad)
        report = with_classes(report, len(source.class_names))
        net = report.require()
        if not net.recipe:  # otherwise the check warns
            for diagnostic in lint.unfit_scores(net):
                logger.warning("%s; %s", diagnostic.message, diagnostic.help)
        target = Path(out) if out else new_folder(Path("runs") / net.name.lower())
        absolute = None if folder is None else folder.absolute()
        about = describe(report, name or spec, root=absolute, val_share=recipe.val_share)
        config = RunConfig(
            recipe=recipe,
            out=processes.broadcast(target),
            root=absolute,
            device=device,
            workers=workers,
            save_every=save_every,
            shard=shard,
            tensorboard=tensorboard,
            weights=weights,
        )
        about |= {"weights": weights, "skip_bad": skip_bad}
        return _run(net, source, config, [*_listed(skipped), *callbacks], processes, about)


def resume(
    folder: str | Path,
    *,
    epochs: int | None = None,
    root: str | Path | None = None,
    device: str = "auto",
    workers: int | None = None,
    save_every: float = 10.0,
    shard: bool = False,
    tensorboard: bool = False,
    callbacks: Sequence[Callback] = (),
) -> Run:
    """Continue the run in a folder from its checkpoint and return its record.

    The spec, the recipe and the data set are those in the checkpoint. `epochs` changes the length of the run,
    for example to train a finished run for longer. `root` is the folder of the data set if it has moved. The
    other parameters are as in `train`.

    Raises:
        DataError: the images cannot be read, or their classes have changed.
        RecipeError: `epochs` is out of range.
        TrainError: the folder holds no run, its checkpoint is damaged, `epochs` is less than the
            number already completed, or a file cannot be written.
    """
    folder = Path(folder)
    path = folder / CHECKPOINT
    if not path.is_file():
        raise TrainError(f"{folder} holds no run to resume: it has no {CHECKPOINT}")
    with join_processes(device) as processes:
        content = read_checkpoint(path)
        net, about = restore(content.about, path), content.about
        recipe = _prolonged(content, epochs, folder)
        where = Path(root) if root else Path(about.root) if about.root is not None else None
        source, skipped = _open(content.data, where, recipe, processes, about.skip_bad)
        if source.class_names != content.class_names:
            raise DataError(f"the classes of {source.name} have changed since the run in {folder} started")
        del content  # its tensors would stay in memory during the run
        config = RunConfig(
            recipe=recipe,
            out=folder,
            root=where,
            device=device,
            workers=workers,
            save_every=save_every,
            shard=shard,
            tensorboard=tensorboard,
            resume=True,
        )
        active = [*_listed(skipped), *callbacks]
        return _run(net, source, config, active, processes, about.model_dump(exclude_unset=True))


def _prolonged(content: Checkpoint, epochs: int | None, folder: Path) -> Recipe:
    """Return the recipe of a checkpoint with another number of epochs.

    Raises:
        TrainError: more epochs are already finished.
    """
    recipe = content.recipe.with_overrides(epochs=epochs)
    if recipe.epochs < content.epoch:
        message = f"the run in {folder} has finished {content.epoch} epochs"
        raise TrainError(f"{message}: `epochs` must be at least that, not {recipe.epochs}", wrong_use=True)
    if recipe.epochs != content.recipe.epochs and recipe.schedule.ends_with_run and content.step:
        name = kind_of(type(recipe.schedule))
        message = f"the schedule {name} ends with the run, which now has {recipe.epochs} epochs"
        logger.warning("%s instead of %d: the learning rate jumps", message, content.recipe.epochs)
    return recipe


TEXT = "<text>"
"""The name of a spec that was given as text."""


def _report(network: Trainable) -> tuple[Report, str]:
    """Return the report of a network's check, and the name of its spec."""
    if isinstance(network, str) and "\n" in network:
        return check_source(Source(TEXT, network), Path()), TEXT
    if isinstance(network, str | Path):
        found = locate(network)
        return check_file(found.path, found.arguments), str(network)
    if isinstance(network, Report):
        return network, network.source.path
    if network.report is None:
        raise TrainError("the network has no report of its check: load it with `netspec.load`")
    return network.report, network.spec


def with_classes(report: Report, classes: int) -> Report:
    """Return a report with `classes` set to this number if `classes` has its default value."""
    arguments = dict(report.arguments)
    if arguments.pop("classes", classes) == classes:
        return report
    folder = Path(report.source.path).parent
    recipe = {f"train.{name}": setting.value for name, setting in report.require().recipe.items()}
    if check_source(report.source, folder, arguments, report.inputs).arguments != report.arguments:
        return report
    changed = {**arguments, **recipe, "classes": classes}
    return check_source(report.source, folder, changed, report.inputs)


def _open(
    name: str, root: Path | None, recipe: Recipe, processes: Processes, skip_bad: bool
) -> tuple[Data, list[BadImage]]:
    """Open a data set; return it without its unreadable images, and a list of those images.

    One process goes first, because the data set may have to be downloaded.
    """
    with processes.first_goes_first():
        data = open_data(name, root, val_share=recipe.val_share, seed=recipe.seed)
        return screened(data, skip_bad=skip_bad)


def _listed(skipped: list[BadImage]) -> list[Callback]:
    """Return a callback, in a list, that writes the list of the images left out; [] if there are none."""
    return [SkippedPhotos(skipped)] if skipped else []


def _run(
    net: Net,
    data: Data,
    config: RunConfig,
    callbacks: Sequence[Callback],
    processes: Processes,
    about: dict[str, Any],
) -> Run:
    """Build the network, train it, and return the run's record."""
    check_network(net, data)
    if choose_device(config.device).type == "cpu":
        batch = max(min(config.recipe.batch, data.train_images) // processes.world, 1)
        what, needed = f"training {net.name} on batches of {batch}", training_bytes(net, config.recipe, batch)
        require_memory(needed, what, "use a smaller `batch`, or a smaller network")
    torch.manual_seed(config.recipe.seed)
    module = build(net)
    if config.weights is not None:
        with processes.first_goes_first():
            warnings = load_initial_weights(config.weights, str(about["path"]), net, module, config.recipe)
        for warning in warnings if processes.is_first else ():
            logger.warning(warning)
    return fit(
        module,
        net.inputs[0].shape,
        data,
        config,
        callbacks,
        objective=Objective.of(net, config.recipe.loss),
        processes=processes,
        macs=net.totals.macs,
        about=about,
        citation=net.recipe_citation,
    )
