"""What every part of a recipe is: one frozen value whose fields are its arguments, in order."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

NonNegative: TypeAlias = Annotated[float, Field(ge=0)]
Positive: TypeAlias = Annotated[float, Field(gt=0)]
Momentum: TypeAlias = Annotated[float, Field(ge=0, lt=1)]
Factor: TypeAlias = Annotated[float, Field(gt=0, lt=1)]


class Part(BaseModel):
    """One named choice of a recipe, such as `sgd(lr=0.01)`; its fields are the arguments, in order."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
