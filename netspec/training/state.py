"""What a run holds, what a checkpoint holds of it, and a run set back to where one was written."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from netspec.checkpoint.log import RunLog
from netspec.datasets.base import Batches, Data, LoaderConfig
from netspec.errors import TrainError
from netspec.evaluation.scoring import Score
from netspec.recipe import Recipe
from netspec.training.distributed import Processes
from netspec.training.divergence import DeadLossWatch
from netspec.training.ema import Average
from netspec.training.loss import Objective
from netspec.training.meter import Meter
from netspec.training.precision import Machine
from netspec.training.progress import Progress
from netspec.training.schedule import LearningRate
from netspec.training.sharding import full_states, set_full_states, sharded

FORMAT = 2


@dataclass
class Run:
    """Everything that a training run holds and changes.

    `trained` is the module as it is called in training: itself, or compiled, or spread over processes.
    """

    module: nn.Module
    trained: nn.Module
    machine: Machine
    processes: Processes
    setting: LoaderConfig
    objective: Objective
    classes: int
    data: Data
    batches: Batches
    optimizer: Optimizer
    scaler: torch.amp.GradScaler
    average: Average | None
    rate: LearningRate
    out: Path
    progress: Progress
    about: Mapping[str, object]
    watch: DeadLossWatch
    meter: Meter
    log: RunLog | None = None
    save_every: float = math.inf
    step: int = 0
    epochs: int = 0
    final: Score | None = None
    final_view: str = "centre crop"
    best: Score | None = None
    best_epoch: int = 0
    started: float = field(default_factory=time.perf_counter)
    saved: float = field(default_factory=time.perf_counter)
    training_seconds: float = 0.0
    validation_seconds: float = 0.0

    @property
    def recipe(self) -> Recipe:
        """The recipe that runs."""
        return self.setting.recipe

    @property
    def scored(self) -> nn.Module:
        """The module that is validated: the averaged weights where the recipe averages."""
        return self.average.module if self.average else self.module


def content(run: Run) -> dict[str, object]:
    """What a checkpoint holds: tensors and plain values only, so that loading it runs no code.

    Random streams need no state: every draw follows from the seed, the epoch and the step. All processes call
    this together, and the first one's content is whole.
    """
    model, optimizer = states(run.module, run.optimizer)
    return {
        "format": FORMAT,
        "model": model,
        "optimizer": optimizer,
        "schedule": run.rate.state_dict(),
        "scaler": run.scaler.state_dict(),
        "ema": None if run.average is None else plain(run.average.module.state_dict()),
        "ema_updates": None if run.average is None else int(run.average.averaged.n_averaged),
        "epoch": run.epochs,
        "step": run.step,
        "meter": run.meter.state_dict(),
        "watch": run.watch.state_dict(),
        "recipe": run.recipe.model_dump(mode="json"),
        "machine": run.machine.words,
        "processes": run.processes.world,
        "data": run.data.name,
        "classes": run.classes,
        "class_names": list(run.data.class_names),
        "input_shape": list(run.setting.input_shape),
        "preprocessing": run.batches.preprocessing.to_plain(),
        "best": None if run.best is None else asdict(run.best) | {"epoch": run.best_epoch},
        "final": None if run.final is None else asdict(run.final),
        "seconds": {"training": run.training_seconds, "validation": run.validation_seconds},
        "about": dict(run.about),
    }


def restore(run: Run, saved: Mapping[str, Any]) -> None:
    """Set a run back to a checkpoint; raises TrainError for one that is not this run's."""
    if saved.get("format") != FORMAT:
        raise TrainError(f"the checkpoint has format {saved.get('format')}, and this netspec reads {FORMAT}")
    if saved["recipe"] != run.recipe.model_dump(mode="json"):
        raise TrainError("the checkpoint was written by another recipe: a run goes on by its own")
    there, here = (
        f"{words}, {count} process{'es' * (count != 1)}"
        for words, count in (
            (saved["machine"], saved["processes"]),
            (run.machine.words, run.processes.world),
        )
    )
    if there != here:
        run.progress.warn(f"the run began with {there}, and goes on with {here}: its numbers will differ")
    try:
        set_states(run.module, run.optimizer, saved["model"], saved["optimizer"])
        if run.average is not None:
            run.average.module.load_state_dict(saved["ema"])
            run.average.averaged.n_averaged.fill_(saved["ema_updates"])
    except (KeyError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise TrainError(f"the checkpoint does not fit this network: {reason}") from error
    run.rate.load_state_dict(saved["schedule"])
    run.scaler.load_state_dict(saved["scaler"])
    run.meter.load_state_dict(saved["meter"], run.processes.first)
    run.watch.load_state_dict(saved["watch"])
    run.epochs, run.step = saved["epoch"], saved["step"]
    if best := saved["best"]:
        run.best_epoch = best["epoch"]
        run.best = Score(**{key: value for key, value in best.items() if key != "epoch"})
    run.final = Score(**saved["final"]) if saved["final"] else None
    run.training_seconds = saved["seconds"]["training"]
    run.validation_seconds = saved["seconds"]["validation"]


def states(module: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Weights and optimizer state, whole and on the CPU where they are sharded."""
    if sharded(module):
        return full_states(module, optimizer)
    return plain(module.state_dict()), optimizer.state_dict()


def set_states(
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    weights: dict[str, Tensor],
    state: dict[str, Any],
) -> None:
    """Take weights and optimizer state back, each tensor laid out as the parameter that it belongs to."""
    check_optimizer_state(module, optimizer, state)
    if sharded(module):
        set_full_states(module, optimizer, weights, state)
        return
    module.load_state_dict(weights)
    optimizer.load_state_dict(state)
    for parameter, values in optimizer.state.items():
        for name, value in values.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                values[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def check_optimizer_state(module: nn.Module, optimizer: Optimizer, state: Mapping[str, Any]) -> None:
    """Raise ValueError unless each saved tensor is whole and has the shape and kind of its parameter's.

    Fused kernels do not check: a shorter tensor is read and written past its end. Sharded state goes by the
    names of parameters, other state by their numbers.
    """
    ordered = [p for group in optimizer.param_groups for p in group["params"]]
    parameters: dict[object, Tensor] = {**dict(enumerate(ordered)), **dict(module.named_parameters())}
    for key, values in state["state"].items():
        parameter = parameters.get(key)
        if parameter is None or not isinstance(values, dict):
            raise ValueError(f"the optimizer's state names a parameter {key!r} that is not there")
        for name, value in values.items():
            if not isinstance(value, Tensor):
                continue
            wanted = (torch.Size(),) if name == "step" else (parameter.shape,)
            whole = value.layout == torch.strided and value.device.type == "cpu" and not value.is_quantized
            whole = whole and value.is_floating_point()
            whole = whole and value.untyped_storage().nbytes() >= value.numel() * value.element_size()
            if value.shape not in wanted or not whole:
                takes = "x".join(map(str, parameter.shape)) or "1"
                raise ValueError(f"the optimizer's {name} of a parameter of {takes} is {tuple(value.shape)}")


def weights_of(run: Run) -> dict[str, Tensor]:
    """The weights that are validated and saved as the result: the average where there is one."""
    module = run.scored
    return full_states(module, None)[0] if sharded(module) else plain(module.state_dict())


def plain(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state_dict laid out plainly, whatever layout the device likes."""
    return {name: value.contiguous() for name, value in state.items()}
