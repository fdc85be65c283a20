"""The base class of layer types: arguments, shape inference, tensors, cost, and PyTorch code."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from inspect import Parameter, signature
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from netspec.language.values import python
from netspec.registry import Registry, class_attributes
from netspec.shape import Axis, Cost, Indices, Shape, require

OPS: Registry[type[Op]] = Registry("layer type", "netspec.ops")
"""All layer types, keyed by keyword. Defining a class registers it."""

Reach = tuple[int, int, int]
"""A window along one axis: its extent, its stride, and the padding at the start of the image."""


@dataclass(frozen=True)
class Tensor:
    """A weight or buffer of a layer. `name` is its name in the state_dict of the layer's module."""

    name: str
    shape: tuple[int, ...]
    trainable: bool = True

    @property
    def count(self) -> int:
        return prod(self.shape)


@dataclass(frozen=True)
class Option:
    """A keyword argument of a PyTorch call, omitted if its value is PyTorch's default."""

    value: object
    default: object


@dataclass(frozen=True)
class Code:
    """A call in the generated Python, such as `nn.Conv2d(3, 96, 11, stride=4)`."""

    function: str
    args: tuple[object, ...] = ()
    options: Mapping[str, Option] = field(default_factory=dict)

    def __str__(self) -> str:
        options = [f"{k}={python(o.value)}" for k, o in self.options.items() if o.value != o.default]
        return f"{self.function}({', '.join([*map(repr, self.args), *options])})"


def code(function: str, *args: object, **options: tuple[object, object]) -> Code:
    """Return a call; `options` are pairs of a value and PyTorch's default."""
    return Code(
        function, tuple(map(single, args)), {k: Option(single(v), single(d)) for k, (v, d) in options.items()}
    )


def single(value: object) -> object:
    """Return a single number for a tuple of equal numbers, and other values unchanged."""
    return (
        value[0]
        if isinstance(value, tuple) and len(value) > 1 and all(n == value[0] for n in value)
        else value
    )


def last_two(reaches: Iterable[Reach]) -> tuple[Reach, Reach]:
    """Return the windows along height and width; the length of a signal counts as its width."""
    height, width = [(1, 1, 0), (1, 1, 0), *reaches][-2:]
    return height, width


COMMON_ARGUMENTS = {
    "bias": "Whether to add a learned bias.",
    "init": "Initializer of the weight, such as `normal(0.01)`; PyTorch's default if omitted.",
    "bias_init": "Initializer of the bias, such as `zeros`; PyTorch's default if omitted.",
    "eps": "Added to the variance to avoid division by zero.",
    "affine": "Whether to apply a learned scale and shift after normalization.",
    "groups": "Number of channel groups, convolved separately; a depthwise layer has one group per channel.",
    "dilation": "Distance between the elements of the kernel, in pixels.",
    "heads": "Number of attention heads; it must divide the features.",
}
"""The descriptions of arguments that have the same meaning in several layer types."""

Kind = Literal[
    "input",
    "conv",
    "pool",
    "norm",
    "activation",
    "dense",
    "attention",
    "dropout",
    "merge",
    "reshape",
    "tensor",
]


class Op(BaseModel):
    """A layer type; its fields are its arguments in a spec, in order.

    Methods take the shapes of the inputs as `x` or `*xs`, and some take the shape of the output as `y`.
    `infer` has one parameter for each input.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, defer_build=True, arbitrary_types_allowed=True
    )

    if TYPE_CHECKING:
        keyword: ClassVar[str]
        """The name in a spec; empty for base classes."""

        example: ClassVar[str]
        """An example for the documentation: the input's shape and statements, separated by `; `."""

        kind: ClassVar[Kind]
        new_memory: ClassVar[bool]
        """Whether the next layer may overwrite the output: it is not a view and not needed for gradients."""

        torch_source: ClassVar[str]
        """Python source of classes and functions that the op uses and torch does not have.

        It includes their imports. It is copied into the generated source of each network that uses the op.
        """

        positional: ClassVar[int | None]
        """The number of arguments that can be given by position.

        With None, these are the required arguments, or the first one if no argument is required.
        """

        takes_raw: ClassVar[bool]
        """Whether the op also accepts raw tensors, which have no batch axis."""

        mixes_raw: ClassVar[bool]
        """Whether the op accepts raw tensors together with tensors that have a batch axis."""

        takes_indices: ClassVar[bool]
        """Whether an input can be indices; operations on axes then return indices."""

        inner_linears: ClassVar[tuple[str, ...]]
        """The names of the nn.Linear layers inside the module."""

    def __init_subclass__(cls, keyword: str = "", **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.keyword = keyword
        if keyword:
            OPS.add(keyword, cls)

    @classmethod
    @cache
    def arity(cls) -> tuple[int, int | None]:
        """Return the minimum and maximum number of inputs of `infer`; a maximum of None means unlimited."""
        inputs = [p for name, p in signature(cls.infer).parameters.items() if name != "self"]
        if any(p.kind is Parameter.VAR_POSITIONAL for p in inputs):
            return 2, None
        return len(inputs), len(inputs)

    if TYPE_CHECKING:
        infer: ClassVar[Callable[..., Shape]]
        """Returns the shape of the output; raises `ShapeError` for invalid inputs."""

    def output(self, *xs: Shape) -> Shape:
        """Return the shape of the output, as `infer` does; raises `ShapeError` for unexpected indices."""
        found = [x for x in xs if isinstance(x, Indices)]
        fact = f"{self.keyword} takes numbers, but its input is {found[0].noun}" if found else ""
        help = "`embedding(COUNT, FEATURES)` turns indices into features"
        require(self.takes_indices or not found, fact, help=help)
        shape: Shape = self.infer(*xs)
        kept = xs and isinstance(xs[0], Indices) and self.kind == "reshape"
        return Indices(shape) if kept else shape

    def check_arguments(self) -> None:
        """Raise `ShapeError` if a combination of arguments is invalid for every input."""

    def tensors(self, *xs: Any) -> tuple[Tensor, ...]:
        """Return the weights and buffers in the order of PyTorch's state_dict."""
        return ()

    def cost(self, *xs: Any, **y: Any) -> Cost:
        """Return the number of operations for one image."""
        return Cost()

    def axes(self, *xs: Any) -> tuple[Axis, ...]:
        """Return the sliding windows along each axis; empty for a layer without a window."""
        return ()

    def reach(self, *xs: Any) -> tuple[Reach, Reach] | None:
        """Return the window for the receptive field in height and width; None for the whole image."""
        return last_two((a.reach, a.stride, a.padding) for a in self.axes(*xs))

    def explain(self, *xs: Any, **y: Any) -> tuple[str, ...]:
        """Return the arithmetic of the output's sizes, one string for each axis."""
        axes = self.axes(xs[0]) if len(xs) == 1 else ()
        return tuple(dict.fromkeys(axis.explain() for axis in axes))

    def torch_module(self, *xs: Any) -> Code | None:
        """Return the constructor call of the PyTorch module, or None if the op needs no module."""
        return None

    def torch_expr(self, *xs: Any) -> str | None:
        """Return an expression in the expressions of the op's inputs, or None if the op is a module."""
        return None

    def torch_call(self, module: str, *xs: Any) -> str:
        """Return the expression with which `forward` calls the module; `{}` stands for the input."""
        return f"{module}({{}})"

    def variants(self, x: Any) -> Iterator[tuple[int, str, Op]]:
        """Yield ops with one changed argument, to correct a layer that does not have the claimed shape.

        Each op is preceded by a cost, which is low for a likely correction, and by the changed argument.
        """
        return iter(())

    @classmethod
    def by_position(cls) -> list[str]:
        """Return the names of the arguments that can be given by position."""
        required = sum(field.is_required() for field in cls.model_fields.values())
        return list(cls.model_fields)[: (required or 1) if cls.positional is None else cls.positional]

    def summary(self) -> dict[str, object]:
        """Return the arguments that differ from their defaults."""
        fields = type(self).model_fields
        given = {name: getattr(self, name) for name, f in fields.items() if getattr(self, name) != f.default}
        return {name: single(value) for name, value in given.items()}


class_attributes(
    Op,
    keyword="",
    example="",
    kind="reshape",
    new_memory=False,
    torch_source="",
    positional=None,
    takes_raw=False,
    mixes_raw=False,
    takes_indices=False,
    inner_linears=(),
)
