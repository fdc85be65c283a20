"""The optimizers that a recipe can name, with their torch classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

from netspec.recipe.parts import Momentum, NonNegative, Part, Positive, kind_of
from netspec.registry import Registry, class_attributes

Betas: TypeAlias = tuple[Momentum, Momentum]

OPTIMIZERS: Registry[type[Optimizer]] = Registry("optimizer")


class Optimizer(Part):
    """The base class of optimizers: a learning rate, and weight decay for each kind of parameter.

    `weight_decay` applies to all parameters, unless another field is set for their kind: `norm_weight_decay`
    for scales and shifts of normalization layers, `bias_weight_decay` for biases, and
    `embedding_weight_decay` for standalone parameters, such as position embeddings and class tokens.
    `bias_lr` multiplies the learning rate of biases, as Caffe's `lr_mult: 2` does. Further fields of a
    subclass are arguments of its torch class. Defining a subclass with a `kind` registers it.
    """

    if TYPE_CHECKING:
        torch: ClassVar[str]
        """The dotted name of the torch class."""
        fused: ClassVar[bool]
        """Whether the torch class has a fused kernel on every device."""

    weight_decay: NonNegative = 0.0
    norm_weight_decay: NonNegative | None = None
    bias_weight_decay: NonNegative | None = None
    embedding_weight_decay: NonNegative | None = None
    bias_lr: Positive = 1.0
    lr: Positive

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        OPTIMIZERS.add(kind_of(cls), cls)

    @property
    def state_per_parameter(self) -> int:
        """The number of floats that the optimizer stores for each parameter."""
        return 2


class_attributes(Optimizer, torch="", fused=False)


class Sgd(Optimizer):
    """Stochastic gradient descent with momentum (Krizhevsky et al., 2012, section 5)."""

    torch = "netspec.training.optim.Momentum"
    fused = True
    kind: Literal["sgd"] = "sgd"
    lr: Positive
    momentum: Momentum = 0.0
    weight_decay: NonNegative = 0.0
    nesterov: bool = False

    @property
    def state_per_parameter(self) -> int:
        return 1 if self.momentum else 0


class Adam(Optimizer):
    """Adam (Kingma and Ba, 2015), with weight decay added to the gradient."""

    torch = "torch.optim.Adam"
    fused = True
    kind: Literal["adam"] = "adam"
    lr: Positive = 1e-3
    betas: Betas = (0.9, 0.999)
    eps: Positive = 1e-8
    amsgrad: bool = False

    @property
    def state_per_parameter(self) -> int:
        return 3 if self.amsgrad else 2


class AdamW(Optimizer):
    """Adam with weight decay applied to the weights themselves (Loshchilov and Hutter, 2019)."""

    torch = "torch.optim.AdamW"
    fused = True
    kind: Literal["adamw"] = "adamw"
    lr: Positive = 1e-3
    betas: Betas = (0.9, 0.999)
    eps: Positive = 1e-8
    weight_decay: NonNegative = 1e-2


class NAdam(Optimizer):
    """Adam with Nesterov momentum (Dozat, 2016)."""

    torch = "torch.optim.NAdam"
    kind: Literal["nadam"] = "nadam"
    lr: Positive = 2e-3
    betas: Betas = (0.9, 0.999)
    eps: Positive = 1e-8


class RAdam(Optimizer):
    """Adam with a rectified adaptive learning rate (Liu et al., 2020)."""

    torch = "torch.optim.RAdam"
    kind: Literal["radam"] = "radam"
    lr: Positive = 1e-3
    betas: Betas = (0.9, 0.999)
    eps: Positive = 1e-8


class RmsProp(Optimizer):
    """RMSProp (Hinton, 2012), with `eps` added to the square root, as in PyTorch."""

    torch = "torch.optim.RMSprop"
    kind: Literal["rmsprop"] = "rmsprop"
    lr: Positive = 1e-2
    alpha: Momentum = 0.99
    eps: Positive = 1e-8
    momentum: Momentum = 0.0

    @property
    def state_per_parameter(self) -> int:
        return 2 if self.momentum else 1


class AdaGrad(Optimizer):
    """AdaGrad (Duchi, Hazan and Singer, 2011)."""

    torch = "torch.optim.Adagrad"
    kind: Literal["adagrad"] = "adagrad"
    lr: Positive = 1e-2
    eps: Positive = 1e-10

    @property
    def state_per_parameter(self) -> int:
        return 1
