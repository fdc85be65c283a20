"""The losses and initializers that a recipe can name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from netspec.language.values import Call, spell
from netspec.recipe.parts import Part, kind_of
from netspec.registry import Registry, class_attributes

LOSSES: Registry[type[Loss]] = Registry("loss")


class Loss(Part):
    """The base class of losses. The fields of a subclass are the keyword arguments of its torch function.

    Auxiliary heads add their own losses, multiplied by the weights of their outputs in the spec. Defining a
    subclass with a `kind` registers it.
    """

    if TYPE_CHECKING:
        torch: ClassVar[str]
        """The dotted name of the torch function, called with the logits and the targets."""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        LOSSES.add(kind_of(cls), cls)


class_attributes(Loss, torch="")


class CrossEntropy(Loss):
    """Cross-entropy. A fraction `label_smoothing` of each target is spread evenly over all classes."""

    torch = "torch.nn.functional.cross_entropy"
    kind: Literal["cross_entropy"] = "cross_entropy"
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0


def _as_text(value: object) -> object:
    """Return an initializer as text in the language of specs."""
    if isinstance(value, Call):
        return str(value)
    return spell(value) if isinstance(value, int | float) else value


Initializer = Annotated[str | None, BeforeValidator(_as_text)]


class Start(Part):
    """Initializers for the layers whose names match a pattern. They replace the spec's initializers.

    An example is `start("fc*", normal(0.01), bias=0.1)`. `layers` is a shell pattern for the dotted names of
    layers. If several patterns match a layer, the last one applies.
    """

    kind: Literal["start"] = "start"
    layers: str
    weight: Initializer = None
    bias: Initializer = None


INITIALIZERS: Registry[type[Part]] = Registry("initializer")
INITIALIZERS.add(kind_of(Start), Start)
