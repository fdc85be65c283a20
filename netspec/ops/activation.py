"""Elementwise functions and the softmax."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from netspec.ops.base import Code, Op, Tensor, code
from netspec.registry import class_attributes
from netspec.shape import Cost, Free, Shape, axis_of, is_image, torch_axis


class Activation(Op):
    """An elementwise function; a subclass defines its PyTorch module and the operations for one element."""

    if TYPE_CHECKING:
        function: ClassVar[str]
        value_cost: ClassVar[Cost]
        in_place: ClassVar[bool]
        """Whether the PyTorch module has an `inplace` option."""

    kind = "activation"
    takes_raw = True

    def infer(self, x: Shape) -> Shape:
        return x

    def cost(self, x: Shape, *, y: Shape) -> Cost:
        e, n = self.value_cost, x.numbers
        return Cost(0, e.comparisons * n, e.additions * n, 0, e.divisions * n, e.exponentials * n)

    def torch_module(self, x: Shape) -> Code | None:
        return code(self.function)


class_attributes(Activation, function="", value_cost=Cost(), in_place=False)


class Relu(Activation, keyword="relu"):
    """max(x, 0)."""

    example = "64x8x8; relu -> 64x8x8"

    function, value_cost, in_place = "nn.ReLU", Cost(comparisons=1), True


class Relu6(Activation, keyword="relu6"):
    """min(max(x, 0), 6)."""

    example = "64x8x8; relu6 -> 64x8x8"

    function, value_cost, in_place = "nn.ReLU6", Cost(comparisons=2), True


class LeakyRelu(Activation, keyword="leaky_relu"):
    """x for positive values, slope * x for negative values."""

    example = "64x8x8; leaky_relu(0.2) -> 64x8x8"

    slope: float = 0.01
    """Factor by which negative values are multiplied."""

    function, value_cost, in_place = "nn.LeakyReLU", Cost(comparisons=1), True

    def torch_module(self, x: Shape) -> Code:
        return code(self.function, negative_slope=(self.slope, 0.01))


class Elu(Activation, keyword="elu"):
    """x for positive values, alpha * (exp(x) - 1) for negative values (Clevert et al., 2016)."""

    example = "64x8x8; elu(alpha=0.5) -> 64x8x8"

    alpha: float = 1.0
    """Factor of the exponential term; for large negative values, the output approaches -alpha."""

    function, value_cost = "nn.ELU", Cost(comparisons=1, additions=1, exponentials=1)

    def torch_module(self, x: Shape) -> Code:
        return code(self.function, alpha=(self.alpha, 1.0))


class Selu(Activation, keyword="selu"):
    """The scaled ELU of self-normalizing networks (Klambauer et al., 2017)."""

    example = "4096; selu -> 4096"

    function, value_cost = "nn.SELU", Cost(comparisons=1, additions=1, exponentials=1)


class Gelu(Activation, keyword="gelu"):
    """x times the cumulative normal distribution at x (Hendrycks and Gimpel, 2016)."""

    example = "197x768; gelu -> 197x768"

    approximate: Literal["none", "tanh"] = "none"
    """How the distribution is computed: exactly, or approximated with a hyperbolic tangent."""

    positional = 0

    function, value_cost = "nn.GELU", Cost(additions=1, exponentials=1)

    def torch_module(self, x: Shape) -> Code:
        return code(self.function, approximate=(self.approximate, "none"))


class Sigmoid(Activation, keyword="sigmoid"):
    """1 / (1 + exp(-x))."""

    example = "64x1x1; sigmoid -> 64x1x1"

    function, value_cost = "nn.Sigmoid", Cost(additions=1, divisions=1, exponentials=1)


class Tanh(Activation, keyword="tanh"):
    """The hyperbolic tangent, `scale * tanh(slope * x)`.

    `tanh(1.7159, 2/3)` is the activation of LeNet-5 (LeCun et al., 1998, appendix A).
    """

    example = "6x28x28; tanh(1.7159, 2/3) -> 6x28x28"

    positional = 2

    scale: float = 1.0
    """Factor by which the result is multiplied."""
    slope: float = 1.0
    """Factor by which x is multiplied."""

    function, value_cost = "nn.Tanh", Cost(additions=2, divisions=1, exponentials=1)

    def torch_module(self, x: Shape) -> Code | None:
        return code(self.function) if (self.scale, self.slope) == (1.0, 1.0) else None

    def torch_expr(self, x: str) -> str | None:
        if (self.scale, self.slope) == (1.0, 1.0):
            return None
        return f"{self.scale!r} * torch.tanh({self.slope!r} * {x})"


class Silu(Activation, keyword="silu"):
    """x * sigmoid(x), also called swish (Ramachandran et al., 2017)."""

    example = "32x112x112; silu -> 32x112x112"

    function, value_cost, in_place = "nn.SiLU", Cost(additions=1, divisions=1, exponentials=1), True


class Softplus(Activation, keyword="softplus"):
    """log(1 + exp(x))."""

    example = "100; softplus -> 100"

    function, value_cost = "nn.Softplus", Cost(additions=1, exponentials=2)


class Hardswish(Activation, keyword="hardswish"):
    """x * relu6(x + 3) / 6."""

    example = "16x112x112; hardswish -> 16x112x112"

    function, value_cost, in_place = "nn.Hardswish", Cost(comparisons=2, additions=1, divisions=1), True


class Hardsigmoid(Activation, keyword="hardsigmoid"):
    """relu6(x + 3) / 6."""

    example = "64x1x1; hardsigmoid -> 64x1x1"

    function, value_cost, in_place = "nn.Hardsigmoid", Cost(comparisons=2, additions=1, divisions=1), True


class Prelu(Op, keyword="prelu"):
    """x for positive values, a learned slope times x for negative values (He et al., 2015)."""

    example = "64x8x8; prelu(per_channel=true) -> 64x8x8"

    positional = 0

    per_channel: bool = False
    """Whether each channel has its own slope; otherwise all channels share one."""

    kind = "activation"

    def infer(self, x: Shape) -> Shape:
        return x

    def tensors(self, x: Shape) -> tuple[Tensor, ...]:
        return (Tensor("weight", (self.slopes(x),)),)

    def slopes(self, x: Shape) -> int:
        return x.channels if self.per_channel else 1

    def cost(self, x: Shape, *, y: Shape) -> Cost:
        return Cost(comparisons=x.numbers)

    def torch_module(self, x: Shape) -> Code:
        return code("nn.PReLU", num_parameters=(self.slopes(x), 1))


class Softmax(Activation, keyword="softmax"):
    """exp(x) divided by its sum over the features, or over the channels of an image."""

    example = "1000; softmax -> 1000"

    axis: int | None = None
    """Index of the axis, excluding the batch axis; by default the channels of an image, or the last axis."""

    positional = 0
    function, value_cost = "nn.Softmax", Cost(additions=1, divisions=1, exponentials=1)

    def infer(self, x: Shape) -> Shape:
        if self.axis is not None:
            axis_of(self.axis, x)
        return x

    def torch_module(self, x: Shape) -> Code:
        channels = is_image(x) and not isinstance(x, Free)
        axis = torch_axis(self.axis) if self.axis is not None else 1 if channels else -1
        return code(self.function, dim=(axis, None))


class LogSoftmax(Softmax, keyword="log_softmax"):
    """The logarithm of the softmax."""

    example = "10; log_softmax -> 10"

    function = "nn.LogSoftmax"
