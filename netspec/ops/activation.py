"""Elementwise functions, and the softmax."""

from __future__ import annotations

from typing import ClassVar

from netspec.ops.base import Code, Op, Tensor, code
from netspec.shape import Cost, Shape, is_image


class Activation(Op):
    """A function of each value alone; its class says the function of PyTorch and what one value costs."""

    function: ClassVar[str] = ""
    value_cost: ClassVar[Cost] = Cost()
    in_place: ClassVar[bool] = False
    """Whether PyTorch can overwrite the input."""

    kind = "activation"

    def infer(self, x: Shape) -> Shape:
        return x

    def cost(self, x: Shape, *, y: Shape) -> Cost:
        e, n = self.value_cost, x.numbers
        return Cost(0, e.comparisons * n, e.additions * n, 0, e.divisions * n, e.exponentials * n)

    def torch_module(self, x: Shape) -> Code | None:
        return code(self.function)


class Relu(Activation, keyword="relu"):
    """max(x, 0)."""

    function, value_cost, in_place = "nn.ReLU", Cost(comparisons=1), True


class Relu6(Activation, keyword="relu6"):
    """min(max(x, 0), 6)."""

    function, value_cost, in_place = "nn.ReLU6", Cost(comparisons=2), True


class LeakyRelu(Activation, keyword="leaky_relu"):
    """x where it is positive, slope * x elsewhere."""

    slope: float = 0.01

    function, value_cost, in_place = "nn.LeakyReLU", Cost(comparisons=1), True

    def torch_module(self, x: Shape) -> Code:
        return code(self.function, negative_slope=(self.slope, 0.01))


class Elu(Activation, keyword="elu"):
    """x where it is positive, alpha * (exp(x) - 1) elsewhere."""

    alpha: float = 1.0

    function, value_cost = "nn.ELU", Cost(comparisons=1, additions=1, exponentials=1)

    def torch_module(self, x: Shape) -> Code:
        return code(self.function, alpha=(self.alpha, 1.0))


class Selu(Activation, keyword="selu"):
    """The self-normalising scaled ELU."""

    function, value_cost = "nn.SELU", Cost(comparisons=1, additions=1, exponentials=1)


class Gelu(Activation, keyword="gelu"):
    """x times the normal distribution function of x."""

    function, value_cost = "nn.GELU", Cost(additions=1, exponentials=1)


class Sigmoid(Activation, keyword="sigmoid"):
    """1 / (1 + exp(-x))."""

    function, value_cost = "nn.Sigmoid", Cost(additions=1, divisions=1, exponentials=1)


class Tanh(Activation, keyword="tanh"):
    """The hyperbolic tangent, `scale * tanh(slope * x)`; LeCun's 1.7159 tanh(2x/3) is `tanh(1.7159, 2/3)`."""

    scale: float = 1.0
    slope: float = 1.0

    function, value_cost = "nn.Tanh", Cost(additions=2, divisions=1, exponentials=1)

    def torch_module(self, x: Shape) -> Code | None:
        return code(self.function) if (self.scale, self.slope) == (1.0, 1.0) else None

    def torch_expr(self, x: str) -> str | None:
        if (self.scale, self.slope) == (1.0, 1.0):
            return None
        return f"{self.scale!r} * torch.tanh({self.slope!r} * {x})"


class Silu(Activation, keyword="silu"):
    """x times its sigmoid."""

    function, value_cost, in_place = "nn.SiLU", Cost(additions=1, divisions=1, exponentials=1), True


class Softplus(Activation, keyword="softplus"):
    """log(1 + exp(x))."""

    function, value_cost = "nn.Softplus", Cost(additions=1, exponentials=2)


class Hardswish(Activation, keyword="hardswish"):
    """x * relu6(x + 3) / 6."""

    function, value_cost, in_place = "nn.Hardswish", Cost(comparisons=2, additions=1, divisions=1), True


class Hardsigmoid(Activation, keyword="hardsigmoid"):
    """relu6(x + 3) / 6."""

    function, value_cost, in_place = "nn.Hardsigmoid", Cost(comparisons=2, additions=1, divisions=1), True


class Prelu(Op, keyword="prelu"):
    """x where it is positive, a learned slope times x elsewhere (He et al., 2015)."""

    per_channel: bool = False

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

    function, value_cost = "nn.Softmax", Cost(additions=1, divisions=1, exponentials=1)

    def torch_module(self, x: Shape) -> Code:
        return code(self.function, dim=(1 if is_image(x) else -1, None))


class LogSoftmax(Softmax, keyword="log_softmax"):
    """The logarithm of the softmax."""

    function = "nn.LogSoftmax"
