"""The content of a checkpoint, validated as a whole before any part of it is used.

Checkpoints may come from untrusted sources, and torch's fused kernels do not check their tensors.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import torch
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from torch import Tensor

from netspec.checkpoint.files import load
from netspec.errors import TrainError
from netspec.recipe import Recipe

FORMAT = 2
"""The version of the checkpoint format that netspec writes and reads."""
MAX_COUNT = 2**53
MAX_SIDE = 2**16
M = TypeVar("M", bound=BaseModel)


def is_complete(tensor: Tensor) -> bool:
    """Return True if a tensor is dense, on the CPU, and its storage holds all of its elements."""
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.device.type != "cpu":
        return False
    return tensor.untyped_storage().nbytes() >= tensor.numel() * tensor.element_size()


def _finite(tensor: Tensor) -> Tensor:
    if not is_complete(tensor) or tensor.is_complex() or not tensor.isfinite().all():
        raise ValueError("is not a complete tensor of finite numbers")
    return tensor


def _two_sums(tensor: Tensor) -> Tensor:
    if tensor.shape != (2,) or not tensor.is_floating_point():
        raise ValueError("is not a tensor of two numbers")
    return _finite(tensor)


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("contains control characters")
    return text


def _unique(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise ValueError("contains a name twice")
    return names


def _as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _none_if_empty(value: object) -> object:
    return None if value == {} else value


def _resize(value: object) -> object:
    sides = value if isinstance(value, tuple) and len(value) == 2 else (value,)
    if value is not None and not all(type(side) is int and 1 <= side <= MAX_SIDE for side in sides):
        raise ValueError(f"should be one or two lengths of 1 to {MAX_SIDE} pixels")
    return value


def _read_recipe(value: object) -> Recipe:
    if not isinstance(value, dict):
        raise ValueError("should be a dictionary")
    try:
        return Recipe.model_validate_json(json.dumps(value))
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError("is a recipe that this version of netspec cannot read") from error


Count = Annotated[int, Field(ge=0, le=MAX_COUNT)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Line = Annotated[str, Field(max_length=1000), AfterValidator(_printable)]
Side = Annotated[int, Field(ge=1, le=MAX_SIDE)]
Sizes = Annotated[tuple[Side, Side], BeforeValidator(_as_tuple)]
Numbers = Annotated[tuple[Number, ...], BeforeValidator(_as_tuple), Field(min_length=1, max_length=MAX_SIDE)]
Axes = Annotated[
    tuple[Annotated[int, Field(ge=1, lt=10**9)], ...],
    BeforeValidator(_as_tuple),
    Field(min_length=1, max_length=3),
]
Names = Annotated[
    tuple[str, ...],
    BeforeValidator(_as_tuple),
    Field(min_length=1, max_length=10**7),
    AfterValidator(_unique),
]
Weights = dict[str, Tensor]
FiniteTensor = Annotated[Tensor, AfterValidator(_finite)]
Sums = Annotated[Tensor, AfterValidator(_two_sums)]


class Part(BaseModel):
    """A section of a checkpoint. Its values must have the declared types; unknown entries are ignored."""

    model_config = ConfigDict(strict=True, frozen=True, arbitrary_types_allowed=True)


class About(Part):
    """How the network was built: its spec, the texts of the files that the spec uses, and its arguments.

    `root` is the folder of the images. `spec` is empty if a module was trained without a spec.
    """

    spec: str = ""
    path: str = ""
    used: dict[str, str] = {}
    arguments: dict[str, Any] = {}
    inputs: dict[str, Axes] = {}
    root: str | None = None
    val_share: Annotated[float, Field(gt=0, lt=1)] | None = None
    weights: str | None = None
    skip_bad: bool = False


class SavedPreprocessing(Part):
    """The preprocessing of images. The oldest checkpoints store only a mean and a scale."""

    mean: Numbers
    scale: Numbers
    resize: Annotated[Any, BeforeValidator(_as_tuple), AfterValidator(_resize)] = None
    crop: Sizes | None = None
    interpolation: str = "bilinear"
    mean_image: FiniteTensor | None = None


class SavedScore(Part):
    """Validation scores. `loss` is infinite or NaN if training has diverged."""

    images: Count
    loss: float
    top1_error: Fraction
    top5_error: Fraction


class BestScore(SavedScore):
    """The best score, and the epoch that reached it."""

    epoch: Count


class SavedOptimizer(Part):
    """The state_dict of an optimizer. `state` has an entry for each parameter, by its index or name."""

    state: dict[int | str, dict[str, Any]]
    param_groups: list[dict[str, Any]]


class SavedSchedule(Part):
    """The progress of a schedule that depends on the validation error. `best` is infinite at first."""

    best: Annotated[float, Field(ge=0)]
    waited: Count
    drops: Count


class SavedScaler(Part):
    """The state of the gradient scaler used for float16."""

    scale: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    growth_factor: Annotated[float, Field(gt=1, allow_inf_nan=False)]
    backoff_factor: Annotated[float, Field(gt=0, lt=1)]
    growth_interval: Annotated[int, Field(ge=1, le=MAX_COUNT)]
    growth_tracker: Count = Field(alias="_growth_tracker")


class SavedMeter(Part):
    """The sums over an unfinished epoch: the loss and the number of correctly classified images."""

    images: Count
    sums: Sums
    waited: Seconds
    seconds: Seconds


class SavedDeadLoss(Part):
    """The state of the check for a loss that never improves on random guessing."""

    window: float
    done: bool


class SavedSeconds(Part):
    """The time spent in training and in validation."""

    training: Seconds
    validation: Seconds


class Checkpoint(Part):
    """The content of a checkpoint. Its tensors are checked later, against the network and the optimizer."""

    model: Weights
    optimizer: SavedOptimizer
    schedule: SavedSchedule
    scaler: Annotated[SavedScaler | None, BeforeValidator(_none_if_empty)]
    ema: Weights | None
    ema_updates: Count | None
    epoch: Count
    step: Count
    meter: SavedMeter
    watch: SavedDeadLoss
    recipe: Annotated[Recipe, BeforeValidator(_read_recipe)]
    machine: Line
    processes: Annotated[int, Field(ge=1, le=10**6)]
    data: Line
    classes: Count
    class_names: Names
    input_shape: Axes
    preprocessing: SavedPreprocessing
    best: BestScore | None
    final: SavedScore | None
    seconds: SavedSeconds
    about: About


def read_checkpoint(path: Path) -> Checkpoint:
    """Load a checkpoint and check its content; no code from the file is run.

    Raises:
        TrainError: the file cannot be read, or is not a complete checkpoint of this format.
    """
    return read_content(load(path), path)


def read_content(content: Mapping[str, Any], path: Path) -> Checkpoint:
    """Validate the content of a checkpoint and return it; `path` names the file in errors.

    Raises:
        TrainError: an entry is missing or damaged, or the checkpoint has another format version.
    """
    if "model" not in content or "about" not in content:
        raise TrainError(f"{path} is not a netspec checkpoint: it contains no spec")
    if (found := content.get("format")) != FORMAT:
        number = f"format {found}" if type(found) is int else "an unknown format"
        raise TrainError(f"{path} has {number}, and this version of netspec reads format {FORMAT}")
    return _validate(Checkpoint, content, path)


def read_about(content: Mapping[str, Any], path: Path) -> About:
    """Return the description of a network; raises TrainError if an entry is missing or damaged."""
    return _validate(About, content, path, "about.")


def _validate(model: type[M], content: Mapping[str, Any], path: Path, prefix: str = "") -> M:
    try:
        return model.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = prefix + _place(first["loc"])
        if first["type"] == "missing":
            problem = "is missing"
        else:
            problem = first["msg"].removeprefix("Input ").removeprefix("Value error, ")
        problem = problem[0].lower() + problem[1:]
        raise TrainError(f"{path} is not a complete checkpoint: its entry `{place}` {problem}") from error
    except RecursionError as error:
        raise TrainError(f"{path} is not a complete checkpoint: its entries are nested too deeply") from error


def _place(location: Iterable[int | str]) -> str:
    """Return the path of an entry for a message, cut before any name that could corrupt terminal output."""
    names: list[str] = []
    for part in location:
        if not isinstance(part, str) or not part.isidentifier() or not part.isascii():
            break
        names.append(part)
    return ".".join(names)[:60]
