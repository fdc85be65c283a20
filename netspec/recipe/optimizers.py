"""The optimizers that a recipe can name."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from netspec.recipe.parts import Momentum, NonNegative, Part, Positive

Betas: TypeAlias = tuple[Momentum, Momentum]


class Update(Part):
    """What every optimizer takes: weight decay and rates that differ by the kind of parameter.

    `weight_decay` holds for all parameters, but for those that another entry names: the affine parameters of
    normalisations, biases, and raw tensors such as position embeddings and class tokens. `bias_lr` multiplies
    the learning rate of biases, as Caffe's `lr_mult: 2` does.
    """

    weight_decay: NonNegative = 0.0
    norm_weight_decay: NonNegative | None = None
    bias_weight_decay: NonNegative | None = None
    embedding_weight_decay: NonNegative | None = None
    bias_lr: Positive = 1.0

    @property
    def state_per_parameter(self) -> int:
        """How many floats the optimizer keeps for each parameter."""
        return 2


class Sgd(Update):
    """Stochastic gradient descent with momentum, as Krizhevsky et al. (2012), section 5, write it."""

    kind: Literal["sgd"] = "sgd"
    lr: Positive
    momentum: Momentum = 0.0
    weight_decay: NonNegative = 0.0
    nesterov: bool = False

    @property
    def state_per_parameter(self) -> int:
        return 1 if self.momentum else 0


class Adam(Update):
    """Adam (Kingma and Ba, 2015); the decay is added to the gradient."""

    kind: Literal["adam"] = "adam"
    lr: Positive = 1e-3
    betas: Betas = (0.9, 0.999)
    eps: Positive = 1e-8
    amsgrad: bool = False

    @property
    def state_per_parameter(self) -> int:
        return 3 if self.amsgrad else 2


class AdamW(Update):
    """Adam whose decay acts on the weights themselves (Loshchilov and Hutter, 2019)."""

    kind: Literal["adamw"] = "adamw"
    lr: Positive = 1e-3
    betas: Betas = (0.9, 0.999)
    eps: Positive = 1e-8
    weight_decay: NonNegative = 1e-2


class NAdam(Update):
    """Adam with Nesterov's momentum (Dozat, 2016)."""

    kind: Literal["nadam"] = "nadam"
    lr: Positive = 2e-3
    betas: Betas = (0.9, 0.999)
    eps: Positive = 1e-8


class RAdam(Update):
    """Adam with a rectified start (Liu et al., 2020)."""

    kind: Literal["radam"] = "radam"
    lr: Positive = 1e-3
    betas: Betas = (0.9, 0.999)
    eps: Positive = 1e-8


class RmsProp(Update):
    """RMSProp (Hinton, 2012), `eps` added to the root, as PyTorch does."""

    kind: Literal["rmsprop"] = "rmsprop"
    lr: Positive = 1e-2
    alpha: Momentum = 0.99
    eps: Positive = 1e-8
    momentum: Momentum = 0.0

    @property
    def state_per_parameter(self) -> int:
        return 2 if self.momentum else 1


class AdaGrad(Update):
    """AdaGrad (Duchi, Hazan and Singer, 2011)."""

    kind: Literal["adagrad"] = "adagrad"
    lr: Positive = 1e-2
    eps: Positive = 1e-10

    @property
    def state_per_parameter(self) -> int:
        return 1


Optimizer: TypeAlias = Annotated[
    Sgd | Adam | AdamW | NAdam | RAdam | RmsProp | AdaGrad, Field(discriminator="kind")
]
