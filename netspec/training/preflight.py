"""Checks before the first step, and warnings about settings that have no effect."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from netspec.build import Execution
from netspec.datasets.base import Data, check_fit
from netspec.datasets.layout import find_parts
from netspec.errors import DataError, TrainError
from netspec.graph import Net
from netspec.language.values import spell
from netspec.recipe import Recipe
from netspec.training.config import RunConfig
from netspec.training.distributed import Processes
from netspec.training.state import RunState


def check_network(net: Net, data: Data) -> None:
    """Check that a network can be trained on a data set.

    Raises:
        DataError: the network has several inputs or outputs, or does not match the images and classes.
    """
    if len(net.inputs) != 1:
        raise DataError(f"{net.name} has {len(net.inputs)} inputs; training needs a network with one")
    outputs = [o for o in net.outputs if not o.training]
    if len(outputs) != 1:
        names = ", ".join(o.name for o in outputs)
        message = f"{net.name} has the outputs {names}"
        raise DataError(f"{message}; training needs one, besides those marked `when training`")
    check_fit(data, net.inputs[0].shape)
    classes = len(data.class_names)
    for output in net.outputs:
        shape = net.nodes[output.node].shape
        if len(shape) != 1:
            message = f"{output.name} has shape {shape}, expected one number for each of {classes} classes"
            way = (
                "flatten it first" if shape.numbers == classes else f"end with flatten and linear({classes})"
            )
            raise DataError(f"{message}: {way}")
        if shape.features != classes:
            settable = net.arguments.get("classes", classes) != classes
            remedy = f"set `classes={classes}`" if settable else f"give its layer {classes}"
            message = f"{data.name} has {classes} classes, but {output.name} has {shape.features} outputs"
            raise DataError(f"{message}: {remedy}")


def check_config(config: RunConfig, processes: Processes) -> None:
    """Raise TrainError if the settings of a run are incompatible."""
    if config.shard and processes.world == 1:
        message = "one process cannot shard weights: start several with torchrun"
        raise TrainError(message, wrong_use=True)
    if config.shard and config.recipe.ema is not None:
        raise TrainError("sharded weights cannot be averaged: leave out `shard`, or ema in the recipe")


def check_accumulate(recipe: Recipe, batch: int, processes: Processes) -> None:
    """Raise TrainError if a batch has fewer images than the parts into which `accumulate` divides it."""
    if recipe.accumulate > (each := batch // processes.world):
        message = f"{each} images cannot be processed in {recipe.accumulate} parts"
        raise TrainError(f"{message}: use a smaller `train.accumulate`")


def check_batch_norm(
    module: nn.Module, input_shape: tuple[int, int, int], recipe: Recipe, batch: int, execution: Execution
) -> None:
    """Check that each batch norm layer gets at least two values per channel in every part of a batch.

    `batch` is the number of images of one process.

    Raises:
        TrainError: a batch norm layer gets a single value, so its variance is zero.
    """
    part = -(-batch // recipe.accumulate)
    least = batch - part * (-(-batch // part) - 1)
    if least > 1:
        return
    single: list[str] = []

    def note(name: str, norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if inputs[0].numel() == inputs[0].shape[1]:
            single.append(name)

    norms = [(n, m) for n, m in module.named_modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    hooks = [norm.register_forward_pre_hook(partial(note, name)) for name, norm in norms]
    count_outputs(module, input_shape, execution)
    for hook in hooks:
        hook.remove()
    if single:
        images = f"{batch} image{'s' * (batch > 1)}"
        images += f" in {recipe.accumulate} parts" if recipe.accumulate > 1 else ""
        message = f"the batch norm {single[0]} would get a single value per channel in a step of {images}"
        raise TrainError(f"{message}, which has no variance: use a larger `train.batch`")


def count_outputs(module: nn.Module, input_shape: tuple[int, int, int], execution: Execution) -> int:
    """Return the number of logits that a module computes for a black image.

    Raises:
        TrainError: the output is not N x classes.
    """
    training = module.training
    with torch.no_grad(), execution.autocast():
        logits = module.eval()(torch.zeros(1, *input_shape, device=execution.device))
    module.train(training)
    if isinstance(logits, Tensor) and logits.dim() == 2:
        return logits.shape[1]
    found = "x".join(map(str, logits.shape[1:])) if isinstance(logits, Tensor) else "several outputs"
    raise TrainError(f"training needs a network whose output is one score for each class, found {found}")


def preflight_warnings(state: RunState) -> Iterator[str]:
    """Yield warnings about settings of the recipe that have no effect on this run."""
    recipe, data = state.recipe, state.data
    if recipe.schedule.warmup >= recipe.epochs:
        warmup = f"the warmup takes {recipe.schedule.warmup:g} epochs"
        yield f"{warmup}, but the run has {recipe.epochs}: the learning rate never reaches its full value"
    if recipe.batch > state.batches.batch:
        images = f"{data.name} has {data.train_images:,} training images"
        yield f"{images}: each step uses all of them, not {recipe.batch:,}"
    unused = [name for name in ("resize", "crop") if getattr(recipe, name)]
    unused += ["evaluate: ten_crop"] * (recipe.evaluate == "ten_crop")
    if state.uses_whole_images and unused:
        resized = f"images of {data.name} are resized to the network's input"
        yield f"{resized}: {' and '.join(unused)} ha{'s' if len(unused) == 1 else 've'} no effect"
    if recipe.val_share != Recipe().val_share and not _holds_out(data.name):
        yield f"val_share applies only to image folders without val/: it has no effect on {data.name}"


def _holds_out(data: str) -> bool:
    """Return True if a data set is a folder without `val/`, from which a share is held out."""
    kind, _, path = data.partition(":")
    return kind == "folder" and find_parts(Path(path)) is None


def recipe_heading(about: Mapping[str, object]) -> str:
    """Return the first line of a run's recipe file: a comment with the command that trains the network.

    The command has no recipe options, because the file sets them. For specs given as text, the result is "".
    """
    arguments, inputs = about.get("arguments"), about.get("inputs")
    words = [f"--set {n}={spell(v)}" for n, v in arguments.items()] if isinstance(arguments, dict) else []
    words += [f"--input {n}={spell(tuple(s))}" for n, s in inputs.items()] if isinstance(inputs, dict) else []
    words += [f"--weights {_one_line(about['weights'])}"] if about.get("weights") else []
    path = _one_line(about.get("path", ""))
    return f"# netspec train {' '.join([path, *words])}\n" if path and path != "<text>" else ""


def _one_line(text: object) -> str:
    return " ".join(str(text).split())
