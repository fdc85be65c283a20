"""Initializers: the functions of `torch.nn.init` that specs can name, and the layers that accept them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import BeforeValidator

from netspec.language.values import Call, kind_of
from netspec.ops.arguments import WrongType
from netspec.ops.base import Op

INITS: Mapping[str, tuple[str, ...]] = {
    "zeros": (),
    "ones": (),
    "constant": ("val",),
    "normal": ("std", "mean"),
    "trunc_normal": ("std", "mean", "a", "b"),
    "uniform": ("a", "b"),
    "xavier_uniform": ("gain",),
    "xavier_normal": ("gain",),
    "kaiming_uniform": ("a", "mode", "nonlinearity"),
    "kaiming_normal": ("a", "mode", "nonlinearity"),
}
"""The initializers with the order of their arguments; `normal` means `nn.init.normal_`, and so on."""

WORDS = {
    "mode": ("fan_in", "fan_out"),
    "nonlinearity": ("linear", "conv2d", "sigmoid", "tanh", "relu", "leaky_relu", "selu"),
}
"""The arguments of initializers that are words, with the words that each accepts."""

NEEDS_FANS = ("xavier_uniform", "xavier_normal", "kaiming_uniform", "kaiming_normal")
"""The initializers that use fan-in or fan-out, so they need a tensor with at least two axes."""


def to_init(value: object) -> object:
    """Convert `normal(0.01)`, `zeros` or a number to an initializer.

    Raises:
        ValueError: the value is not an initializer; pydantic reports the message.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Call("constant", (), {"val": float(value)})
    if not isinstance(value, Call):
        raise WrongType(
            f"must be an initializer such as normal(0.01), zeros or a number, not {kind_of(value)}"
        )
    if value.name not in INITS:
        raise ValueError(f"must be an initializer, not `{value.name}`: one of {', '.join(INITS)}")
    known = INITS[value.name]
    if len(value.args) > len(known):
        raise ValueError(f"`{value.name}` takes at most {len(known)} arguments, not {len(value.args)}")
    given = {**dict(zip(known, value.args, strict=False)), **value.kwargs}
    options = {name: option(value.name, name, argument) for name, argument in given.items()}
    refuse_ranges(value.name, options)
    return Call(value.name, (), options)


def option(start: str, name: str, argument: object) -> float | str:
    """Check an argument of an initializer and return it: a number, or one of the accepted words."""
    if name not in INITS[start]:
        takes = ", ".join(INITS[start]) or "none"
        raise ValueError(f"`{start}` has no argument `{name}`: it takes {takes}")
    if name in WORDS:
        if not isinstance(argument, str | Call) or str(argument) not in WORDS[name]:
            raise ValueError(f"`{name}` of `{start}` must be one of {', '.join(WORDS[name])}")
        return str(argument)
    if isinstance(argument, bool) or not isinstance(argument, int | float):
        raise ValueError(f"`{name}` of `{start}` must be a number, not {kind_of(argument)}")
    return argument


def refuse_ranges(start: str, options: Mapping[str, float | str]) -> None:
    """Raise ValueError for values that PyTorch would reject when it builds the network."""
    for name in ("std", "gain"):
        if isinstance(least := options.get(name, 0), int | float) and least < 0:
            raise ValueError(f"`{name}` of `{start}` must be at least 0, not {least:g}")
    low, high = (0, 1) if start == "uniform" else (-2, 2)
    low, high = options.get("a", low), options.get("b", high)  # type: ignore[assignment]
    if start in ("uniform", "trunc_normal") and low >= high:
        raise ValueError(f"`a` of `{start}` must be less than `b`, but {low:g} is not less than {high:g}")


Init = Annotated[Call, BeforeValidator(to_init)]


class Weighted(Op):
    """A layer whose weight and bias can have initializers in a spec."""

    def starts(self) -> dict[str, Call]:
        """Return the initializers in the spec, keyed by the names of their tensors."""
        given = {"weight": getattr(self, "init", None), "bias": getattr(self, "bias_init", None)}
        if getattr(self, "bias", True) is False:
            given.pop("bias")
        learned = getattr(self, "affine", True)
        return {name: call for name, call in given.items() if call is not None and learned}
