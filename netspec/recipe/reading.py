"""Reads the entries of a recipe: looks up names, matches arguments, and collects all faults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, TypeVar

from pydantic import ValidationError

from netspec.errors import NetspecError
from netspec.language.values import Call, spell
from netspec.recipe.images import AUGMENTATIONS, NORMALIZATIONS
from netspec.recipe.objective import INITIALIZERS, LOSSES
from netspec.recipe.optimizers import OPTIMIZERS
from netspec.recipe.parts import Part, kind_of
from netspec.recipe.schedules import SCHEDULES

PARTS: Mapping[str, Mapping[str, type[Part]]] = {
    "augment": AUGMENTATIONS,
    "normalize": NORMALIZATIONS,
    "init": INITIALIZERS,
    "loss": LOSSES,
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
}
"""The choices for each entry that takes a named choice, such as `sgd(lr=0.01)`."""

LISTS = ("augment", "init")
"""The entries that take a list of named choices."""


@dataclass(frozen=True)
class Fault:
    """An error in one entry of a recipe: its key, a message, and a help line."""

    key: str
    message: str
    help: str | None = None


class RecipeError(NetspecError):
    """An invalid recipe. `faults` contains every error in it.

    `wrong_use` is True if the fault is in the arguments of a call or command, and False if it is in the text
    of a recipe.
    """

    def __init__(self, faults: tuple[Fault, ...], *, wrong_use: bool = False) -> None:
        super().__init__("; ".join(fault.message for fault in faults), wrong_use=wrong_use)
        self.faults = faults


def did_you_mean(word: str, known: Mapping[str, object] | Sequence[str]) -> str:
    """Return a text that suggests the known word most similar to an unknown one, or lists all known words."""
    near = get_close_matches(word, list(known), n=1)
    return f"did you mean {near[0]}?" if near else "expected one of " + ", ".join(known)


def value_of(key: str, entry: object, faults: list[Fault]) -> object:
    """Return the value for an entry's field; on an error, add to `faults` and return None."""
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
    """Return the Part for an entry such as `sgd(lr=0.01)`; on an error, add to `faults` and return None."""
    table = PARTS[key]
    if entry is None:
        entry = "none"  # the word `none` of a spec is read as the value None
    call = Call(entry) if isinstance(entry, str) else entry
    if not isinstance(call, Call):
        known = f"expected one of {', '.join(table)}"
        faults.append(Fault(key, f"{key} takes a name, not {spell(entry)}", known))
        return None
    if call.name not in table:
        faults.append(Fault(key, f"{key} has no choice named {call.name}", did_you_mean(call.name, table)))
        return None
    part = table[call.name]
    arguments = _bound(key, call, parameters(part), faults)
    return None if arguments is None else validated(part, arguments, key, faults)


def bind(key: str, call: Call) -> dict[str, object]:
    """Return the arguments of a call by name; surplus positional arguments are dropped."""
    part = PARTS[key].get(call.name)
    names = parameters(part) if part else []
    return {**dict(zip(names, call.args, strict=False)), **call.kwargs}


def parameters(part: type[Part]) -> list[str]:
    """Return the names of a Part's parameters in order: first its own, then inherited ones."""
    own = [name for name in part.__annotations__ if name in part.model_fields]
    return [name for name in dict.fromkeys([*own, *part.model_fields]) if name != "kind"]


def _bound(key: str, call: Call, names: list[str], faults: list[Fault]) -> dict[str, object] | None:
    """Return the arguments of a call keyed by parameter; on an error, add to `faults` and return None."""
    before = len(faults)
    if len(call.args) > len(names):
        takes = f"at most {len(names)} argument{'s' * (len(names) != 1)}" if names else "no arguments"
        faults.append(Fault(key, f"{call.name} takes {takes}, not {len(call.args)}"))
    bound = dict(zip(names, call.args, strict=False))
    for name, value in call.kwargs.items():
        if name not in names:
            help = did_you_mean(name, names) if names else f"write {call.name} without arguments"
            faults.append(Fault(key, f"{call.name} has no argument named {name}", help))
        elif name in bound:
            faults.append(Fault(key, f"{name} of {call.name} is given twice"))
        bound[name] = value
    if len(faults) > before:
        return None
    return {name: _argument(value) for name, value in bound.items()}


def _argument(value: object) -> object:
    """Convert an argument to the type that its field expects: a list to a tuple, a bare word to a string."""
    if isinstance(value, Call) and not value.args and not value.kwargs:
        return value.name
    return tuple(value) if isinstance(value, list) else value


P = TypeVar("P", bound=Part)


def validated(part: type[P], values: Mapping[str, object], key: str | None, faults: list[Fault]) -> P | None:
    """Build a Part with these values; on an error, add to `faults` and return None.

    Faults are reported for the entry `key`; if it is None, for the entry named like the field.
    """
    try:
        return part(**values)
    except ValidationError as error:
        for detail in error.errors():
            field = str(detail["loc"][0])
            owner = "" if key is None else f" of {kind_of(part)}"
            faults.append(Fault(key or field, sentence(f"{field}{owner}", detail)))
        return None


REQUIREMENTS = {
    "greater_than": "must be above {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be below {lt}",
    "less_than_equal": "must be at most {le}",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "string_type": "must be a name or a string",
    "tuple_type": "must be a list",
    "order": "must have its lower bound first",
    "literal_error": "must be {expected}",
}
"""The requirement that a value violates, keyed by the kind of pydantic's error."""


def sentence(what: str, detail: Any) -> str:
    """Return a sentence for one of pydantic's errors; `what` names the invalid value."""
    if detail["type"] == "missing":
        return f"{what} has too few values" if len(detail["loc"]) > 1 else f"{what} is missing"
    if detail["type"] == "too_long":
        return f"{what} has too many values"
    template, context = REQUIREMENTS.get(detail["type"]), detail.get("ctx", {})
    written = {key: value if isinstance(value, str) else f"{value:,.12g}" for key, value in context.items()}
    requirement = template.format(**written) if template else f"is invalid ({detail['msg']})"
    return f"{what} {requirement}, found {spell(detail['input'])}"
