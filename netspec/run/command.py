"""`netspec train`: bring spec, data set and recipe together, refuse what does not fit, and train."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from netspec.check import Report
from netspec.diagnostics import SpecError
from netspec.emit.reports import show_diagnostics
from netspec.graph import Net
from netspec.memory import recipe_of
from netspec.recipe import RecipeError
from netspec.run.build import build
from netspec.run.checkpoint import TrainError, fresh_folder
from netspec.run.data import Data, DataError, check_fit, open_data
from netspec.run.description import describe
from netspec.run.progress import open_progress
from netspec.run.train import train

TROUBLE = (DataError, TrainError, RecipeError, SpecError)
"""What can be wrong for a reason the user can mend."""


def train_spec(
    check: Callable[..., Report],
    spec: str,
    arguments: Mapping[str, object],
    *,
    data: str | None,
    root: Path | None,
    out: Path | None,
    epochs: int | None,
    batch: int | None,
    lr: float | None,
    seed: int | None,
    device: str,
    workers: int | None,
    val_share: float,
) -> int:
    """Train a spec on a data set and give the exit status: 0, 1 for faults in the spec, 130 after Ctrl-C.

    `check` checks the spec, with further parameters by keyword; `classes` follows the data set unless
    `arguments` sets it.

    Raises:
        DataError, TrainError, RecipeError: what does not fit or cannot be read, before the first step.
    """
    report = check()
    if not report.net:
        show_diagnostics(report)
        return report.status
    recipe = recipe_of(report.net).with_overrides(data=data, epochs=epochs, batch=batch, lr=lr, seed=seed)
    if recipe.data is None:
        raise DataError("the spec's recipe names no data set: say which with --data", wrong_use=True)
    source = open_data(recipe.data, root, val_share=val_share, seed=recipe.seed)
    if "classes" in report.net.arguments and "classes" not in arguments:
        report = check(classes=len(source.class_names))
    show_diagnostics(report)
    if not report.net:
        return report.status
    refuse_unfit(report.net, source)
    torch.manual_seed(recipe.seed)
    module = build(report.net)
    folder = out or fresh_folder(Path("runs") / report.net.name.lower())
    about = describe(report, spec, root=root, val_share=val_share)
    progress = open_progress()
    shape = report.net.inputs[0].shape
    summary = train(
        module, shape, recipe, source, folder, device=device, workers=workers, progress=progress, about=about
    )
    progress.summary(summary)
    return 130 if summary.interrupted else 0


def refuse_unfit(net: Net, data: Data) -> None:
    """Refuse a network that cannot be trained on a data set, with the way out."""
    if len(net.inputs) != 1:
        raise DataError(f"{net.name} has {len(net.inputs)} inputs; training feeds one image to one input")
    always = [o for o in net.outputs if not o.training]
    if len(net.outputs) != 1:
        names = ", ".join(o.name for o in net.outputs)
        way = ": --set aux=false leaves the others out" if net.arguments.get("aux") is True else ""
        raise DataError(f"{net.name} has the outputs {names}; training takes a network with one output{way}")
    check_fit(data, net.inputs[0].shape)
    shape, classes = net.nodes[always[0].node].shape, len(data.class_names)
    if len(shape) != 1:
        message = f"{always[0].name} gives {shape}, not one number for each of the {classes} classes"
        raise DataError(f"{message}: flatten it first")
    if shape.features < classes:
        way = "--set classes=" if "classes" in net.arguments else "its last layer takes "
        message = f"{data.name} has {classes} classes, but {always[0].name} tells {shape.features} apart"
        raise DataError(f"{message}: {way}{classes}")
