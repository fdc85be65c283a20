"""The types of arguments, and the rules by which sizes apply to the axes of an input."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from netspec.language.values import Call, described
from netspec.shape import Grid, Shape, Signal, is_image, require


class WrongType(ValueError):
    """A value has the wrong type for an argument; validators raise it, and pydantic catches it."""


OTHER_PADDINGS = {
    "valid": "padding=0 is what other frameworks call `valid`",
    "full": "padding=kernel - 1 is what other frameworks call `full`",
}
"""What to write for other frameworks' names of paddings, except `same`."""


def to_sizes(value: object) -> object:
    """Return a number as a pair of equal sizes, which applies to any number of axes; return a size unchanged.

    Raises:
        ValueError: the value is neither; pydantic reports the message.
    """
    if isinstance(value, str | Call):
        help = OTHER_PADDINGS.get(str(value).strip('"').lower())
        same = "for an odd kernel at stride 1, padding=kernel // 2 keeps the size"
        raise WrongType(f"must be a number, not {value}: {help or same}")
    if isinstance(value, tuple) and len(value) not in (2, 3):
        raise WrongType("must be one number or a size such as 3x5 (height x width)")
    if not isinstance(value, tuple) and (isinstance(value, bool) or not isinstance(value, int)):
        raise WrongType(f"must be a whole number or a size such as 3x5, not {described(value)}")
    return (value, value) if isinstance(value, int) else value


def at_least(least: int) -> AfterValidator:
    """Return a validator that requires all sizes to be at least `least`."""

    def check(sizes: tuple[int, ...]) -> tuple[int, ...]:
        if min(sizes) < least:
            raise ValueError(f"must be at least {least}, not {min(sizes)}")
        return sizes

    return AfterValidator(check)


def fit(sizes: tuple[int, ...], count: int, name: str) -> tuple[int, ...]:
    """Return the sizes of an argument for `count` axes. Equal sizes apply to any number of axes.

    >>> fit((3, 3), 1, "kernel"), fit((1, 7, 7), 3, "kernel")
    ((3,), (1, 7, 7))

    Raises:
        ShapeError: the number of sizes differs from `count`.
    """
    if len(sizes) == count:
        return sizes
    given = "x".join(map(str, sizes))
    fact = f"{name}={given} has {len(sizes)} sizes, but the input has {AXES[count]}"
    require(len(set(sizes)) == 1, fact, "argument-range")
    return sizes[:1] * count


AXES = {1: "only a length", 2: "height and width", 3: "depth, height and width"}


def require_spatial(x: Shape, what: str) -> None:
    """Raise `ShapeError` unless `x` can be read as channels and one to three spatial axes."""
    if len(x) == 4 or (len(x) == 2 and (x[0] != x[1] or isinstance(x, Signal))):
        return
    require_image(x, what)


def like(x: Shape, channels: int, sizes: tuple[int, ...]) -> Shape:
    """Return the shape of a signal, image or volume with these channels and sizes."""
    return Signal((channels, *sizes)) if len(sizes) == 1 else Shape((channels, *sizes))


def require_image(x: Shape, what: str) -> None:
    """Raise `ShapeError` unless `x` is channels x height x width."""
    help = "put `channels_first` before it" if isinstance(x, Grid) else None
    if len(x) == 2 and x[0] == x[1]:
        help = f"a grey image of this size is written 1x{x[0]}x{x[1]}"
    fact = f"{what} takes an image (channels x height x width), but its input is {x.noun}"
    require(is_image(x), fact, help=help)


Positive = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Sizes = Annotated[tuple[int, ...], at_least(1), BeforeValidator(to_sizes)]
"""One number, or a size for each axis that a window slides along."""
Pads = Annotated[tuple[int, ...], at_least(0), BeforeValidator(to_sizes)]
"""As `Sizes`, but sizes can be zero."""
