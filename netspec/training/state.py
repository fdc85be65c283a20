"""The state of a training run, and saving and restoring it in checkpoints."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from netspec.build import Execution
from netspec.checkpoint import CHECKPOINT, read_recipe
from netspec.datasets.base import Batches, Data
from netspec.errors import TrainError
from netspec.evaluation.metrics import Score
from netspec.recipe import Recipe
from netspec.training.callbacks import Callback
from netspec.training.config import RunConfig
from netspec.training.distributed import Processes, gather_states, is_sharded, scatter_states
from netspec.training.loss import DeadLossCheck, Meter, Objective
from netspec.training.optim import LearningRate, WeightAverage

T = TypeVar("T")
FORMAT = 2
logger = logging.getLogger(__name__)


@dataclass
class RunState:
    """The state of a training run, which every step changes.

    `trained` is the module as training calls it: `module` itself, compiled, or replicated over processes.
    `step` and `epoch` count finished steps and epochs. `about` describes the network in every checkpoint, and
    `citation` is the source of its recipe.
    """

    config: RunConfig
    module: nn.Module
    trained: nn.Module
    input_shape: tuple[int, int, int]
    classes: int
    data: Data
    batches: Batches
    execution: Execution
    processes: Processes
    objective: Objective
    optimizer: Optimizer
    schedule: LearningRate
    scaler: torch.amp.GradScaler
    average: WeightAverage | None
    meter: Meter
    dead_loss: DeadLossCheck
    callbacks: Sequence[Callback]
    about: Mapping[str, object]
    citation: str | None = None
    step: int = 0
    epoch: int = 0
    final: Score | None = None
    final_view: str = "centre crop"
    best: Score | None = None
    best_epoch: int = 0
    stop_signal: int = 0
    started: float = field(default_factory=time.perf_counter)
    saved: float = field(default_factory=time.perf_counter)
    training_seconds: float = 0.0
    validation_seconds: float = 0.0

    @property
    def recipe(self) -> Recipe:
        """The recipe of the run, with every `auto` resolved for the device."""
        return self.config.recipe

    @property
    def out(self) -> Path:
        """The folder of the run."""
        return self.config.out

    @property
    def parameters(self) -> int:
        """The number of parameters of the network."""
        return sum(p.numel() for p in self.module.parameters())

    @property
    def evaluated(self) -> nn.Module:
        """The module that is validated and saved as the result: the averaged one if the recipe has `ema`."""
        return self.average.module if self.average else self.module

    @property
    def uses_whole_images(self) -> bool:
        """Whether images are resized to the network's input, so that no crops are taken."""
        return isinstance(self.batches.preprocessing.resize, tuple)

    def stop(self, signal: int = signal.SIGTERM) -> None:
        """End the run after the current step, with a checkpoint, as the signal would."""
        self.stop_signal = self.stop_signal or int(signal)

    def until_stopped(self, items: Iterable[T]) -> Iterator[T]:
        """Yield items until the run is stopped."""
        for item in items:
            yield item
            if self.stop_signal:
                return

    def warn(self, message: str) -> None:
        """Log a warning, in the first process."""
        if self.processes.is_first:
            logger.warning(message)


def checkpoint_content(state: RunState) -> dict[str, object]:
    """The content of a checkpoint: tensors and plain values only, so that loading it runs no code.

    The states of random generators are not needed, because every draw depends only on the seed, the epoch and
    the step. All processes must call this; only the first one gets the complete content.
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


def restore(state: RunState, content: Mapping[str, Any]) -> None:
    """Restore the state of a run from a checkpoint's content.

    Raises:
        TrainError: the checkpoint has another format, recipe or network.
    """
    if content.get("format") != FORMAT:
        found = content.get("format")
        raise TrainError(f"the checkpoint has format {found}, and this version of netspec reads {FORMAT}")
    if read_recipe(content, state.out / CHECKPOINT) != state.recipe:
        raise TrainError("cannot resume: the checkpoint used a different recipe")
    _warn_of_changes(state, content)
    try:
        _load_states(state.module, state.optimizer, content["model"], content["optimizer"])
        if state.average is not None:
            state.average.module.load_state_dict(content["ema"])
            state.average.averaged.n_averaged.fill_(content["ema_updates"])
    except (KeyError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise TrainError(f"the checkpoint does not fit this network: {reason}") from error
    state.schedule.load_state_dict(content["schedule"])
    state.scaler.load_state_dict(content["scaler"])
    state.meter.load_state_dict(content["meter"], state.processes.is_first)
    state.dead_loss.load_state_dict(content["watch"])
    state.epoch, state.step = content["epoch"], content["step"]
    if best := content["best"]:
        state.best_epoch = best["epoch"]
        state.best = Score(**{key: value for key, value in best.items() if key != "epoch"})
    state.final = Score(**content["final"]) if content["final"] else None
    state.training_seconds = content["seconds"]["training"]
    state.validation_seconds = content["seconds"]["validation"]


def _warn_of_changes(state: RunState, content: Mapping[str, Any]) -> None:
    """Warn if the device, precision or number of processes has changed, which changes rounding."""
    then, now = (
        f"{execution}, {count} process{'es' * (count != 1)}"
        for execution, count in (
            (content["machine"], content["processes"]),
            (state.execution, state.processes.world),
        )
    )
    if then != now:
        state.warn(f"the run started with {then} and resumes with {now}: its results will differ slightly")


def evaluated_weights(state: RunState) -> dict[str, Tensor]:
    """The weights of the evaluated module, complete on the CPU if sharded; every process must call this."""
    module = state.evaluated
    return gather_states(module, None)[0] if is_sharded(module) else contiguous(module.state_dict())


def contiguous(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state_dict whose tensors are contiguous, whatever memory format the device prefers."""
    return {name: value.contiguous() for name, value in state.items()}


def _states(module: nn.Module, optimizer: Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Weights and optimizer state, gathered on the CPU where they are sharded."""
    if is_sharded(module):
        return gather_states(module, optimizer)
    return contiguous(module.state_dict()), optimizer.state_dict()


def _load_states(
    module: nn.Module, optimizer: Optimizer, weights: dict[str, Tensor], state: dict[str, Any]
) -> None:
    """Load weights and optimizer state, each tensor in the memory format of its parameter."""
    check_optimizer_state(module, optimizer, state)
    if is_sharded(module):
        scatter_states(module, optimizer, weights, state)
        return
    module.load_state_dict(weights)
    optimizer.load_state_dict(state)
    for parameter, values in optimizer.state.items():
        for name, value in values.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                values[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def check_optimizer_state(module: nn.Module, optimizer: Optimizer, state: Mapping[str, Any]) -> None:
    """Check that each tensor of a saved state is complete and has the shape and type of its parameter.

    Fused kernels do not check this, and read and write past the end of a shorter tensor. The state of
    sharded weights is keyed by parameter names, other state by parameter numbers.

    Raises:
        ValueError: a tensor does not match, or has no parameter.
    """
    ordered = [p for group in optimizer.param_groups for p in group["params"]]
    parameters: dict[object, Tensor] = {**dict(enumerate(ordered)), **dict(module.named_parameters())}
    for key, values in state["state"].items():
        parameter = parameters.get(key)
        if parameter is None or not isinstance(values, dict):
            raise ValueError(f"the optimizer's state is for a parameter {key!r} that does not exist")
        for name, value in values.items():
            if not isinstance(value, Tensor):
                continue
            expected = torch.Size() if name == "step" else parameter.shape
            if value.shape != expected or not _is_dense_float(value):
                size = "x".join(map(str, parameter.shape)) or "1"
                found = tuple(value.shape)
                raise ValueError(f"the optimizer's {name} has shape {found} for a parameter of {size}")


def _is_dense_float(value: Tensor) -> bool:
    """Whether a tensor is dense, on the CPU, of floating-point numbers, and stored in full."""
    dense = value.layout == torch.strided and value.device.type == "cpu" and not value.is_quantized
    complete = dense and value.untyped_storage().nbytes() >= value.numel() * value.element_size()
    return complete and value.is_floating_point()
