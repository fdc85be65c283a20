"""The base class of a recipe's named choices, such as optimizers, and the types of their arguments."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo

from netspec.registry import Registry

MAX_VALUE = 1e9
MAX_COUNT = 10**6
MAX_ITEMS = 1000
MAX_SIDE = 2**13
"""The maximum length of a side of a resized image in pixels."""

NonNegative: TypeAlias = Annotated[float, Field(ge=0, le=MAX_VALUE)]
Positive: TypeAlias = Annotated[float, Field(gt=0, le=MAX_VALUE)]
Count: TypeAlias = Annotated[int, Field(gt=0, le=MAX_COUNT)]
Side: TypeAlias = Annotated[int, Field(gt=0, le=MAX_SIDE)]
Probability: TypeAlias = Annotated[float, Field(gt=0, le=1)]
Momentum: TypeAlias = Annotated[float, Field(ge=0, lt=1)]
Factor: TypeAlias = Annotated[float, Field(gt=0, lt=1)]


class Part(BaseModel):
    """One named choice in a recipe, such as `sgd(lr=0.01)`. Its fields are the arguments, in order."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def kind_of(part: type[Part]) -> str:
    """Return the name of a choice in recipes: the default of its field `kind`."""
    name: str = part.model_fields["kind"].default
    return name


def one_of(registry: Registry[Any]) -> BeforeValidator:
    """Return a validator for a field that holds a member of a registry, chosen by its `kind`."""

    def find(value: object, info: ValidationInfo) -> object:
        if not isinstance(value, Mapping):
            return value
        part = registry.find(str(value.get("kind")))
        if part is None:
            raise ValueError(f"there is no {registry.noun} named {value.get('kind')}")
        return part.model_validate_json(json.dumps(value)) if info.mode == "json" else part(**value)

    return BeforeValidator(find)
