"""Entries of a recipe to values: names looked up, arguments bound, and every fault as a sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, TypeVar

from pydantic import ValidationError

from netspec.errors import NetspecError
from netspec.language.values import Call, spell
from netspec.recipe.images import AUGMENTATIONS, NORMALIZATIONS
from netspec.recipe.objective import CrossEntropy, Start
from netspec.recipe.optimizers import AdaGrad, Adam, AdamW, NAdam, RAdam, RmsProp, Sgd
from netspec.recipe.parts import Part
from netspec.recipe.schedules import (
    Constant,
    Cosine,
    Exponential,
    Inv,
    Multistep,
    OneCycle,
    Plateau,
    Poly,
    Step,
)


def _named(*parts: type[Part]) -> dict[str, type[Part]]:
    return {part.model_fields["kind"].default: part for part in parts}


PARTS: Mapping[str, Mapping[str, type[Part]]] = {
    "augment": AUGMENTATIONS,
    "normalize": NORMALIZATIONS,
    "init": _named(Start),
    "loss": _named(CrossEntropy),
    "optimizer": _named(Sgd, Adam, AdamW, NAdam, RAdam, RmsProp, AdaGrad),
    "schedule": _named(Constant, Plateau, Step, Multistep, Exponential, Inv, Poly, Cosine, OneCycle),
}

LISTS = ("augment", "init")
"""The entries that take several parts."""


@dataclass(frozen=True)
class Fault:
    """What is wrong with one entry of a recipe: its key, a sentence, and how to put it right."""

    key: str
    message: str
    help: str | None = None


class RecipeError(NetspecError):
    """A recipe that cannot be used; `faults` holds everything that is wrong with it.

    With `wrong_use`, it is the command that asked for it.
    """

    def __init__(self, faults: tuple[Fault, ...], *, wrong_use: bool = False) -> None:
        super().__init__("; ".join(fault.message for fault in faults), wrong_use=wrong_use)
        self.faults = faults


def did_you_mean(word: str, known: Mapping[str, object] | Sequence[str]) -> str:
    """Suggest the known word that is nearest, or list them all."""
    near = get_close_matches(word, list(known), n=1)
    return f"did you mean {near[0]}?" if near else "expected one of " + ", ".join(known)


def value_of(key: str, entry: object, faults: list[Fault]) -> object:
    """Turn one entry into what its field takes, or None where a fault was found."""
    if key in LISTS:
        calls = entry if isinstance(entry, list | tuple) else [] if entry in (None, Call("none")) else [entry]
        parts = [part_of(key, call, faults) for call in calls]
        return tuple(part for part in parts if part is not None)
    if key in PARTS:
        return part_of(key, entry, faults)
    if isinstance(entry, Call) and not entry.args and not entry.kwargs:
        return entry.name
    if isinstance(entry, Call):
        faults.append(Fault(key, f"{key} takes a plain value, not {entry}"))
        return None
    return entry


def part_of(key: str, entry: object, faults: list[Fault]) -> Part | None:
    table = PARTS[key]
    if entry is None:
        entry = "none"  # which the language has as a value of its own
    call = Call(entry) if isinstance(entry, str) else entry
    if not isinstance(call, Call):
        choices = ", ".join(table)
        faults.append(Fault(key, f"{key} takes a name, not {spell(entry)}", f"expected one of {choices}"))
        return None
    if call.name not in table:
        faults.append(Fault(key, f"{key} has no choice named {call.name}", did_you_mean(call.name, table)))
        return None
    part = table[call.name]
    arguments = bound(key, call, parameters(part), faults)
    return None if arguments is None else validated(part, arguments, key, faults)


def bind(key: str, call: Call) -> dict[str, object]:
    """The arguments of a call by name, as far as they have one."""
    part = PARTS[key].get(call.name)
    names = parameters(part) if part else []
    return {**dict(zip(names, call.args, strict=False)), **call.kwargs}


def parameters(part: type[Part]) -> list[str]:
    """The arguments of a part in order: its own first, then those that all of its kind take."""
    return [n for n in dict.fromkeys([*part.__annotations__, *part.model_fields]) if n != "kind"]


def bound(key: str, call: Call, names: list[str], faults: list[Fault]) -> dict[str, object] | None:
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
    return {name: plain(value) for name, value in bound.items()}


def plain(value: object) -> object:
    """An argument as fields take it: a list as a tuple, a bare word as a text."""
    if isinstance(value, Call) and not value.args and not value.kwargs:
        return value.name
    return tuple(value) if isinstance(value, list) else value


P = TypeVar("P", bound=Part)


def validated(part: type[P], values: Mapping[str, object], key: str | None, faults: list[Fault]) -> P | None:
    """Make a part of its values; faults go under `key`, or under the field's own name."""
    try:
        return part(**values)
    except ValidationError as error:
        for detail in error.errors():
            field = str(detail["loc"][0])
            owner = "" if key is None else f" of {part.model_fields['kind'].default}"
            faults.append(Fault(key or field, sentence(f"{field}{owner}", detail)))
        return None


REQUIREMENTS = {
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
    "order": "must have its lower bound first",
    "literal_error": "must be {expected}",
}


def sentence(what: str, detail: Any) -> str:
    """Say a pydantic error as a sentence about the recipe."""
    if detail["type"] == "missing":
        return f"{what} has too few values" if len(detail["loc"]) > 1 else f"{what} is missing"
    if detail["type"] == "too_long":
        return f"{what} has too many values"
    template = REQUIREMENTS.get(detail["type"])
    requirement = template.format(**detail.get("ctx", {})) if template else f"is refused ({detail['msg']})"
    return f"{what} {requirement}, and is {spell(detail['input'])}"
