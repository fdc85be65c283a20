"""What a recipe minimises, and from where: losses, and how layers start."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from netspec.language.values import Call, spell
from netspec.recipe.parts import Part


class CrossEntropy(Part):
    """Cross-entropy with the true classes, `label_smoothing` of each target spread over all classes.

    Auxiliary heads add their own, each times the weight that the spec gives its output.
    """

    kind: Literal["cross_entropy"] = "cross_entropy"
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0


def spelled(value: object) -> object:
    """A start as text, as the spec's language writes it."""
    return (
        str(value) if isinstance(value, Call) else spell(value) if isinstance(value, int | float) else value
    )


Spelled = Annotated[str | None, BeforeValidator(spelled)]


class Start(Part):
    """How the layers that match a pattern start, in place of what the spec says.

    As in `start("fc*", normal(0.01), bias=0.1)`. Patterns are the shell's, over dotted
    names; a later start wins over an earlier one.
    """

    kind: Literal["start"] = "start"
    layers: str
    weight: Spelled = None
    bias: Spelled = None
