"""What training minimises: the loss of the main output, and those of auxiliary heads by their weights."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import cross_entropy

from netspec.graph import Net


@dataclass(frozen=True)
class Objective:
    """Cross-entropy over a network's outputs in training, in their order, each with its weight.

    `main` is the output that stays in evaluation.
    """

    weights: tuple[float, ...] = (1.0,)
    main: int = 0
    label_smoothing: float = 0.0

    @classmethod
    def of(cls, net: Net, label_smoothing: float) -> Objective:
        """The objective of a network whose auxiliary heads are outputs in training."""
        main = next(k for k, output in enumerate(net.outputs) if not output.training)
        return cls(tuple(o.weight for o in net.outputs), main, label_smoothing)

    @property
    def weight(self) -> float:
        """The weights of all outputs together: guessing gives that many times ln(classes)."""
        return sum(self.weights)

    def __call__(self, outputs: Tensor | tuple[Tensor, ...], targets: Tensor) -> tuple[Tensor, Tensor]:
        """The loss, and the main output's logits, N x classes, in float32.

        `targets` are class numbers, N, or shares of classes, N x classes, which may be fewer than the logits.
        """
        given = (outputs,) if isinstance(outputs, Tensor) else outputs
        logits = [output.float() for output in given]
        loss = sum(
            weight * cross_entropy(values, targets, label_smoothing=self.label_smoothing)
            for weight, values in zip(self.weights, logits, strict=True)
        )
        assert isinstance(loss, Tensor)
        return loss, logits[self.main]
