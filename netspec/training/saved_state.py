"""Saves the state of a training run in checkpoints and restores it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from copy import copy
from dataclasses import asdict
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from netspec.checkpoint import Checkpoint
from netspec.checkpoint.content import FORMAT, SavedOptimizer, is_complete
from netspec.errors import TrainError, WeightsError
from netspec.evaluation.metrics import Score
from netspec.recipe import optimizers
from netspec.training.distributed import gather_states, is_sharded, scatter_states
from netspec.training.optim import WeightAverage, make_optimizer
from netspec.training.state import RunState
from netspec.weights import check_state

RATES = ("lr", "velocity_lr")
"""The options of an optimizer's parameter group that change during training."""


def checkpoint_content(state: RunState) -> dict[str, object]:
    """Return the content of a checkpoint: only tensors and plain values, so that loading it runs no code.

    States of random generators are not needed, because every draw depends only on the seed, the epoch and the
    step. All processes must call this; only the first process gets the complete content.
    """
    model, optimizer = _states(state.module, state.optimizer)
    average = state.average
    return {
        "format": FORMAT,
        "model": model,
        "optimizer": optimizer,
        "schedule": state.schedule.state_dict(),
        "scaler": state.scaler.state_dict(),
        "ema": None if average is None else contiguous(average.module.state_dict()),
        "ema_updates": None if average is None else int(average.averaged.n_averaged),
        "epoch": state.epoch,
        "step": state.step,
        "meter": state.meter.state_dict(),
        "watch": state.dead_loss.state_dict(),
        "recipe": state.recipe.model_dump(mode="json"),
        "machine": str(state.execution),
        "processes": state.processes.world,
        "data": state.data.name,
        "classes": state.classes,
        "class_names": list(state.data.class_names),
        "input_shape": list(state.input_shape),
        "preprocessing": state.batches.preprocessing.to_plain(),
        "best": None if state.best is None else asdict(state.best) | {"epoch": state.best_epoch},
        "final": None if state.final is None else asdict(state.final),
        "seconds": {"training": state.training_seconds, "validation": state.validation_seconds},
        "about": dict(state.about),
    }


def restore(state: RunState, content: Checkpoint) -> None:
    """Restore the state of a run from a checkpoint's content.

    Raises:
        TrainError: the checkpoint belongs to another recipe, network or data set.
    """
    if content.recipe.model_copy(update={"epochs": state.recipe.epochs}) != state.recipe:
        raise TrainError("cannot resume: the checkpoint has a different recipe")
    _check_progress(state, content)
    _warn_of_changes(state, content)
    try:
        _load_states(state, content)
        if state.average is not None:
            _load_average(state.average, content)
    except (KeyError, ValueError, RuntimeError, WeightsError) as error:
        reason = str(error).splitlines()[0]
        raise TrainError(f"the checkpoint does not match this network: {reason}") from error
    state.schedule.load_state_dict(content.schedule.model_dump())
    if content.scaler is not None:
        state.scaler.load_state_dict(content.scaler.model_dump(by_alias=True))
    state.meter.load_state_dict(dict(content.meter), state.processes.is_first)
    state.dead_loss.load_state_dict(content.watch.model_dump())
    state.epoch, state.step = content.epoch, content.step
    if content.best:
        state.best_epoch = content.best.epoch
    state.best, state.final = Score.of(content.best), Score.of(content.final)
    state.training_seconds = content.seconds.training
    state.validation_seconds = content.seconds.validation


def _check_progress(state: RunState, content: Checkpoint) -> None:
    """Raise TrainError if the checkpoint's epochs and steps contradict each other, the recipe or the data."""
    steps = state.batches.steps
    last = min(content.epoch + 1, state.recipe.epochs) * steps
    if content.epoch > state.recipe.epochs or not content.epoch * steps <= content.step <= last:
        message = f"the checkpoint is at step {content.step:,} after {content.epoch} finished epochs"
        raise TrainError(f"cannot resume: {message}, but an epoch has {steps:,} steps")


def _load_average(average: WeightAverage, content: Checkpoint) -> None:
    """Restore the averaged weights; raises ValueError or WeightsError if they are missing or do not match."""
    if content.ema is None or content.ema_updates is None:
        raise ValueError("it has no averaged weights")
    check_state(average.module, content.ema, "the averaged weights")
    average.module.load_state_dict(content.ema)
    average.averaged.n_averaged.fill_(content.ema_updates)


def _warn_of_changes(state: RunState, content: Checkpoint) -> None:
    """Warn if the device, the precision or the number of processes has changed, which affects rounding."""
    then, now = (
        f"{execution}, {count} process{'es' * (count != 1)}"
        for execution, count in (
            (content.machine, content.processes),
            (state.execution, state.processes.world),
        )
    )
    if then != now:
        state.warn(f"the run started with {then} and resumes with {now}: its results will differ slightly")


def evaluated_weights(state: RunState) -> dict[str, Tensor]:
    """Return the weights of the evaluated module; sharded weights are gathered on the CPU.

    Every process must call this.
    """
    module = state.evaluated
    return gather_states(module, None)[0] if is_sharded(module) else contiguous(module.state_dict())


def contiguous(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a state_dict with contiguous tensors, whatever their memory format was."""
    return {name: value.contiguous() for name, value in state.items()}


def _states(module: nn.Module, optimizer: Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return weights and optimizer state; if sharded, they are gathered on the CPU."""
    if is_sharded(module):
        return gather_states(module, optimizer)
    return contiguous(module.state_dict()), optimizer.state_dict()


def _load_states(state: RunState, content: Checkpoint) -> None:
    """Load weights and optimizer state; each tensor gets the memory format of its parameter."""
    module, optimizer = state.module, state.optimizer
    check_state(module, content.model, "its weights")
    saved = content.optimizer
    check_optimizer_state(module, optimizer, saved, state_after_a_step(state.recipe.optimizer))
    if is_sharded(module):
        scatter_states(module, optimizer, content.model, saved.model_dump())
        return
    module.load_state_dict(content.model)
    saved_state = saved.state | _missing_state(state, saved.state)
    optimizer.load_state_dict({"state": saved_state, "param_groups": _groups(optimizer, saved)})
    for parameter, values in optimizer.state.items():
        for name, value in values.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                values[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def _groups(optimizer: Optimizer, saved: SavedOptimizer) -> list[dict[str, Any]]:
    """Return the parameter groups of an optimizer with the saved learning rates.

    Other options are those of the recipe.

    Raises:
        ValueError: the number of groups differs, or a rate is missing or not a finite number >= 0.
    """
    own = optimizer.state_dict()["param_groups"]
    if len(saved.param_groups) != len(own):
        raise ValueError(f"the optimizer has {len(own)} groups, but {len(saved.param_groups)} are saved")
    groups = []
    for group, other in zip(own, saved.param_groups, strict=True):
        rates = {name: other.get(name) for name in RATES if name in group}
        if not all(isinstance(rate, float | int) and 0 <= rate < math.inf for rate in rates.values()):
            raise ValueError("the optimizer's learning rate is not a finite number >= 0")
        groups.append(group | rates)
    return groups


def _missing_state(state: RunState, saved: Mapping[Any, Any]) -> dict[int, dict[str, Any]]:
    """Return new optimizer state for parameters without saved state, and warn about them.

    torch's fused kernels need state for all parameters or for none. Parameters of unused layers have no saved
    state, because they get no gradients.
    """
    ordered = [p for group in state.optimizer.param_groups for p in group["params"]]
    missing = [k for k in range(len(ordered)) if k not in saved] if saved else []
    if not missing:
        return {}
    count = f"{len(missing)} parameter{'s' * (len(missing) > 1)}"
    state.warn(f"the checkpoint has no optimizer state for {count}, so this state is reset")
    fresh = state_after_a_step(state.recipe.optimizer)
    return {
        k: {
            name: value.view(-1)[:1].expand(ordered[k].shape).clone() if _is_moment(value) else copy(value)
            for name, value in fresh.items()
        }
        for k in missing
    }


def _is_moment(value: object) -> TypeGuard[Tensor]:
    """Return True if a value in an optimizer's state has the shape of its parameter, like momentum."""
    return isinstance(value, Tensor) and value.dim() > 0


def state_after_a_step(recipe: optimizers.Optimizer) -> dict[str, object]:
    """Return the state that an optimizer stores for a parameter after one step with a zero gradient."""
    module = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(module.weight)
    optimizer = make_optimizer(module, recipe)
    module.weight.grad = torch.zeros_like(module.weight)
    optimizer.step()
    return dict(optimizer.state[module.weight])


def check_optimizer_state(
    module: nn.Module, optimizer: Optimizer, saved: SavedOptimizer, expected: Mapping[str, object]
) -> None:
    """Check that each tensor in a saved optimizer state is complete and matches its parameter.

    Fused kernels do not check this: they would read and write past the end of a shorter tensor. The keys are
    the names of parameters for sharded weights, otherwise their indices. `expected` is the state of any
    parameter after a step.

    Raises:
        ValueError: an entry does not match, is missing, or does not belong to a parameter.
    """
    ordered = [p for group in optimizer.param_groups for p in group["params"]]
    parameters: dict[object, Tensor] = {**dict(enumerate(ordered)), **dict(module.named_parameters())}
    for key, values in saved.state.items():
        parameter = parameters.get(key)
        if parameter is None:
            raise ValueError("the optimizer's state is for a parameter that does not exist")
        if values.keys() != expected.keys():
            raise ValueError(f"the entries of the optimizer's state must be {', '.join(expected) or 'empty'}")
        for name, value in values.items():
            _check_value(name, value, expected[name], parameter)


def _check_value(name: str, value: object, expected: object, parameter: Tensor) -> None:
    """Raise ValueError if a value in an optimizer's state does not match its parameter."""
    if not isinstance(expected, Tensor):
        if type(value) is not type(expected):
            raise ValueError(f"the optimizer's {name} has the wrong type")
        return
    shape = parameter.shape if expected.dim() else expected.shape
    if not isinstance(value, Tensor) or value.shape != shape or not _is_complete_float(value):
        size = "x".join(map(str, parameter.shape)) or "1"
        found = tuple(value.shape) if isinstance(value, Tensor) else "none"
        raise ValueError(f"the optimizer's {name} has shape {found} for a parameter of {size}")
    if not expected.dim() and not (value.isfinite() and value >= 0):
        raise ValueError(f"the optimizer's {name} is {value.item()}, expected a finite number >= 0")


def _is_complete_float(value: Tensor) -> bool:
    return is_complete(value) and value.is_floating_point()
