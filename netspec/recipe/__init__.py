"""The training recipe: what the `train { ... }` section of a spec says, as one frozen value.

Nothing here needs torch: the checker reads recipes too, and must start fast.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from netspec.language.values import Call
from netspec.recipe.images import Augment, MeanStd, Normalize
from netspec.recipe.objective import CrossEntropy, Start
from netspec.recipe.optimizers import Optimizer, Sgd
from netspec.recipe.parts import Factor, Part, Positive
from netspec.recipe.reading import (
    PARTS,
    Fault,
    RecipeError,
    bind,
    did_you_mean,
    validated,
    value_of,
)
from netspec.recipe.schedules import Constant, Schedule
from netspec.recipe.writing import as_call, write


class Recipe(Part):
    """How a network is trained; every field has a default, so an empty `train {}` is a recipe.

    `resize` is the short side in pixels; `resize` and `crop` concern folders of photos, since small sets are
    resized to the network's input. `val_share` is what a folder without `val/` holds out. `batch` is in
    images over all devices, worked on in `accumulate` parts; `optimizer.lr` is the rate before the schedule.
    `ema` is the decay of an exponential moving average of the weights, taken every `ema_every` steps.
    `random_labels` gives each training image a class drawn once (Zhang et al., 2017). `precision`,
    `memory_format` and `compile` follow the machine where they are `auto`.
    """

    data: str | None = None
    val_share: Factor = 0.2
    resize: PositiveInt | None = None
    crop: PositiveInt | None = None
    augment: tuple[Augment, ...] = ()
    normalize: Normalize = MeanStd()
    batch: PositiveInt = 64
    epochs: PositiveInt = 10
    accumulate: PositiveInt = 1
    optimizer: Optimizer = Sgd(lr=0.01, momentum=0.9)
    schedule: Schedule = Constant()
    loss: CrossEntropy = CrossEntropy()
    init: tuple[Start, ...] = ()
    clip_grad_norm: Positive | None = None
    ema: Factor | None = None
    ema_every: PositiveInt = 1
    random_labels: bool = False
    evaluate: Literal["center_crop", "ten_crop"] = "center_crop"
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    memory_format: Literal["auto", "contiguous", "channels_last"] = "auto"
    compile: Literal["auto"] | bool = "auto"

    def with_overrides(
        self,
        *,
        data: str | None = None,
        epochs: int | None = None,
        batch: int | None = None,
        lr: float | None = None,
        seed: int | None = None,
        val_share: float | None = None,
    ) -> Recipe:
        """Replace what is given; raises RecipeError for values out of range."""
        faults: list[Fault] = []
        given = {"data": data, "epochs": epochs, "batch": batch, "seed": seed, "val_share": val_share}
        values = dict(self) | {key: value for key, value in given.items() if value is not None}
        if lr is not None:
            rate = validated(type(self.optimizer), dict(self.optimizer) | {"lr": lr}, "lr", faults)
            values["optimizer"] = rate or self.optimizer
        recipe = validated(Recipe, values, None, faults)
        return complete(recipe, faults, wrong_use=True)


def read(entries: Mapping[str, object]) -> Recipe:
    """Make a recipe of the entries of a train section; raises RecipeError with all faults at once.

    >>> read({"batch": 128, "optimizer": Call("sgd", (), {"lr": 0.1})}).optimizer.lr
    0.1
    """
    faults: list[Fault] = []
    values: dict[str, object] = {}
    for key, entry in entries.items():
        if key not in Recipe.model_fields:
            help = did_you_mean(key, Recipe.model_fields)
            faults.append(Fault(key, f"a recipe has no entry named {key}", help))
        elif (value := value_of(key, entry, faults)) is not None:
            values[key] = value
    recipe = validated(Recipe, values, None, faults)
    if recipe and recipe.resize and recipe.crop and recipe.resize < recipe.crop:
        message = f"crops of {recipe.crop} pixels cannot be cut from images resized to {recipe.resize}"
        faults.append(Fault("crop", message, f"resize to {recipe.crop} or more"))
    return complete(recipe, faults)


def with_argument(key: str, present: object, name: str, value: object) -> object:
    """An entry with one argument of its call replaced; `present` is None where the recipe is silent."""
    default = Recipe.model_fields[key].default
    if present is None and isinstance(default, Part):
        present = as_call(default)
    call = present if isinstance(present, Call) else Call(str(present or "none"))
    return Call(call.name, (), {**bind(key, call), name: value})


def complete(recipe: Recipe | None, faults: list[Fault], *, wrong_use: bool = False) -> Recipe:
    if recipe is None or faults:
        raise RecipeError(tuple(faults), wrong_use=wrong_use)
    return recipe


__all__ = [
    "PARTS",
    "Fault",
    "Recipe",
    "RecipeError",
    "bind",
    "did_you_mean",
    "read",
    "with_argument",
    "write",
]
