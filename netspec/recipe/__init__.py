"""The training recipe: the `train { ... }` section of a spec, as a frozen object.

Nothing here imports torch, because the checker also reads recipes and must start fast.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, SerializeAsAny

from netspec.language.values import Call
from netspec.recipe.images import Augment, MeanStd, Normalize
from netspec.recipe.objective import LOSSES, CrossEntropy, Loss, Start
from netspec.recipe.optimizers import OPTIMIZERS, Optimizer, Sgd
from netspec.recipe.parts import MAX_ITEMS, Count, Factor, Part, Positive, Side, one_of
from netspec.recipe.reading import (
    PARTS,
    Fault,
    RecipeError,
    bind,
    did_you_mean,
    validated,
    value_of,
)
from netspec.recipe.schedules import SCHEDULES, Constant, Schedule
from netspec.recipe.writing import as_call, write


class Recipe(Part):
    """How a network is trained; every field has a default, so an empty `train {}` is valid.

    `resize` is the length of an image's shorter side in pixels. `resize` and `crop` apply only to image
    files, since the images of small data sets are resized to the network's input. `val_share` is the fraction
    of a folder without `val/` that is held out for validation. `batch` counts images over all devices; they
    are processed in `accumulate` parts. `optimizer.lr` is the learning rate before the schedule. `ema` is the
    decay of an exponential moving average of the weights, updated every `ema_every` steps. `random_labels`
    gives each training image a random class, drawn once (Zhang et al., 2017). Where `precision`,
    `memory_format` and `compile` are `auto`, the device decides.
    """

    data: str | None = None
    val_share: Factor = 0.2
    resize: Side | None = None
    crop: Side | None = None
    augment: Annotated[tuple[Augment, ...], Field(max_length=MAX_ITEMS)] = ()
    normalize: Normalize = MeanStd()
    batch: Count = 64
    epochs: Count = 10
    accumulate: Count = 1
    optimizer: Annotated[SerializeAsAny[Optimizer], one_of(OPTIMIZERS)] = Sgd(lr=0.01, momentum=0.9)
    schedule: Annotated[SerializeAsAny[Schedule], one_of(SCHEDULES)] = Constant()
    loss: Annotated[SerializeAsAny[Loss], one_of(LOSSES)] = CrossEntropy()
    init: Annotated[tuple[Start, ...], Field(max_length=MAX_ITEMS)] = ()
    clip_grad_norm: Positive | None = None
    ema: Factor | None = None
    ema_every: Count = 1
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
        """Return a copy with the given entries replaced; raises RecipeError for values out of range."""
        faults: list[Fault] = []
        given = {"data": data, "epochs": epochs, "batch": batch, "seed": seed, "val_share": val_share}
        values = dict(self) | {key: value for key, value in given.items() if value is not None}
        if lr is not None:
            rate = validated(type(self.optimizer), dict(self.optimizer) | {"lr": lr}, "lr", faults)
            values["optimizer"] = rate or self.optimizer
        recipe = validated(Recipe, values, None, faults)
        return complete(recipe, faults, wrong_use=True)


def read(entries: Mapping[str, object]) -> Recipe:
    """Return the recipe with the entries of a `train` section; raises RecipeError with every fault.

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
        message = f"a crop of {recipe.crop} pixels does not fit into images resized to {recipe.resize}"
        faults.append(Fault("crop", message, f"resize to at least {recipe.crop}"))
    return complete(recipe, faults)


def with_argument(key: str, present: object, name: str, value: object) -> object:
    """Return an entry's value with one argument replaced, such as `lr` of `sgd(lr=0.1)`.

    `present` is the entry's current value, or None if the recipe has no such entry.
    """
    default = Recipe.model_fields[key].default
    if present is None and isinstance(default, Part):
        present = as_call(default)
    call = present if isinstance(present, Call) else Call(str(present or "none"))
    return Call(call.name, (), {**bind(key, call), name: value})


def complete(recipe: Recipe | None, faults: list[Fault], *, wrong_use: bool = False) -> Recipe:
    """Return the recipe; raises RecipeError if there are faults."""
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
