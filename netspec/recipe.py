"""The training recipe: what the `train { ... }` section of a spec says, as one frozen value.

Nothing here needs torch: the checker reads recipes too, and must start fast.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, PositiveInt, ValidationError

from netspec.recipe_parts import (
    Augment,
    Constant,
    Cosine,
    Crop,
    Flip,
    ImageNet,
    Inv,
    Lighting,
    Mean,
    MeanStd,
    Multistep,
    Normalize,
    Optimizer,
    Part,
    Plateau,
    Poly,
    Raw,
    Scale,
    Schedule,
    Sgd,
    Step,
)
from netspec.values import Call, spell


def _named(*parts: type[Part]) -> dict[str, type[Part]]:
    return {part.model_fields["kind"].default: part for part in parts}


PARTS: Mapping[str, Mapping[str, type[Part]]] = {
    "augment": _named(Flip, Lighting, Crop),
    "normalize": _named(Raw, Scale, Mean, MeanStd, ImageNet),
    "optimizer": _named(Sgd),
    "schedule": _named(Constant, Plateau, Step, Multistep, Inv, Poly, Cosine),
}


class Recipe(Part):
    """How a network is trained; every field has a default, so an empty `train {}` is a recipe.

    `resize` is the short side in pixels; `resize` and `crop` concern folders of photos, since small sets are
    resized to the network's input. `batch` is in images, `optimizer.lr` the rate before the schedule.
    """

    data: str | None = None
    resize: PositiveInt | None = None
    crop: PositiveInt | None = None
    augment: tuple[Augment, ...] = ()
    normalize: Normalize = MeanStd()
    batch: PositiveInt = 64
    epochs: PositiveInt = 10
    optimizer: Optimizer = Sgd(lr=0.01, momentum=0.9)
    schedule: Schedule = Constant()
    evaluate: Literal["center_crop", "ten_crop"] = "center_crop"
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0

    def with_overrides(
        self,
        *,
        data: str | None = None,
        epochs: int | None = None,
        batch: int | None = None,
        lr: float | None = None,
        seed: int | None = None,
    ) -> Recipe:
        """Replace what is given; raises RecipeError for values out of range."""
        faults: list[Fault] = []
        given = {"data": data, "epochs": epochs, "batch": batch, "seed": seed}
        values = dict(self) | {key: value for key, value in given.items() if value is not None}
        if lr is not None:
            rate = _validated(type(self.optimizer), dict(self.optimizer) | {"lr": lr}, "lr", faults)
            values["optimizer"] = rate or self.optimizer
        recipe = _validated(Recipe, values, None, faults)
        return _complete(recipe, faults)


@dataclass(frozen=True)
class Fault:
    """What is wrong with one entry of a recipe: its key, a sentence, and how to put it right."""

    key: str
    message: str
    help: str | None = None


class RecipeError(Exception):
    """A recipe that cannot be used; `faults` holds everything that is wrong with it."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__("; ".join(fault.message for fault in faults))
        self.faults = faults


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
        elif (value := _value(key, entry, faults)) is not None:
            values[key] = value
    recipe = _validated(Recipe, values, None, faults)
    if recipe and recipe.resize and recipe.crop and recipe.resize < recipe.crop:
        message = f"crops of {recipe.crop} pixels cannot be cut from images resized to {recipe.resize}"
        faults.append(Fault("crop", message, f"resize to {recipe.crop} or more"))
    return _complete(recipe, faults)


def did_you_mean(word: str, known: Mapping[str, object] | Sequence[str]) -> str:
    """Suggest the known word that is nearest, or list them all."""
    near = get_close_matches(word, list(known), n=1)
    return f"did you mean {near[0]}?" if near else "known are " + ", ".join(known)


def _complete(recipe: Recipe | None, faults: list[Fault]) -> Recipe:
    if recipe is None or faults:
        raise RecipeError(tuple(faults))
    return recipe


def _value(key: str, entry: object, faults: list[Fault]) -> object:
    """Turn one entry into what its field takes, or None where a fault was found."""
    if key == "augment":
        calls = entry if isinstance(entry, list | tuple) else [] if entry == Call("none") else [entry]
        parts = [_part(key, call, faults) for call in calls]
        return tuple(part for part in parts if part is not None)
    if key in PARTS:
        return _part(key, entry, faults)
    if isinstance(entry, Call) and not entry.args and not entry.kwargs:
        return entry.name
    if isinstance(entry, Call):
        faults.append(Fault(key, f"{key} takes a plain value, not {entry}"))
        return None
    return entry


def _part(key: str, entry: object, faults: list[Fault]) -> Part | None:
    table = PARTS[key]
    call = Call(entry) if isinstance(entry, str) else entry
    if not isinstance(call, Call):
        choices = ", ".join(table)
        faults.append(Fault(key, f"{key} takes a name, not {spell(entry)}", f"known are {choices}"))
        return None
    if call.name not in table:
        faults.append(Fault(key, f"{key} has no choice named {call.name}", did_you_mean(call.name, table)))
        return None
    part = table[call.name]
    arguments = _arguments(key, call, _parameters(part), faults)
    return None if arguments is None else _validated(part, arguments, key, faults)


def _parameters(part: type[Part]) -> list[str]:
    return [name for name in part.model_fields if name != "kind"]


def _arguments(key: str, call: Call, names: list[str], faults: list[Fault]) -> dict[str, object] | None:
    """Bind a call's arguments to parameter names, or None where that fails."""
    before = len(faults)
    if len(call.args) > len(names):
        takes = f"at most {len(names)} argument{'s' * (len(names) != 1)}" if names else "no arguments"
        faults.append(Fault(key, f"{call.name} takes {takes}, and {len(call.args)} are given"))
    bound = dict(zip(names, call.args, strict=False))
    for name, value in call.kwargs.items():
        if name not in names:
            help = did_you_mean(name, names) if names else f"write {call.name} alone"
            faults.append(Fault(key, f"{call.name} has no argument named {name}", help))
        elif name in bound:
            faults.append(Fault(key, f"{name} of {call.name} is given twice"))
        bound[name] = value
    if len(faults) > before:
        return None
    return {name: tuple(value) if isinstance(value, list) else value for name, value in bound.items()}


P = TypeVar("P", bound=Part)


def _validated(part: type[P], values: Mapping[str, object], key: str | None, faults: list[Fault]) -> P | None:
    """Make a part of its values; faults go under `key`, or under the field's own name."""
    try:
        return part(**values)
    except ValidationError as error:
        for detail in error.errors():
            field = str(detail["loc"][0])
            owner = "" if key is None else f" of {part.model_fields['kind'].default}"
            faults.append(Fault(key or field, _sentence(f"{field}{owner}", detail)))
        return None


_REQUIREMENTS = {
    "greater_than": "must be above {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than": "must be below {lt:g}",
    "less_than_equal": "must be at most {le:g}",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "string_type": "must be a name or a text",
    "tuple_type": "must be a list",
    "literal_error": "must be {expected}",
}


def _sentence(what: str, detail: Any) -> str:
    """Say a pydantic error as a sentence about the recipe."""
    if detail["type"] == "missing":
        return f"{what} is missing"
    template = _REQUIREMENTS.get(detail["type"])
    requirement = template.format(**detail.get("ctx", {})) if template else f"is refused ({detail['msg']})"
    return f"{what} {requirement}, and is {spell(detail['input'])}"
