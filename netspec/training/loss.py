"""The training loss, its averages over an epoch, and warnings about divergence."""

from __future__ import annotations

import math
import pkgutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, TypeVar

import torch
from torch import Tensor

from netspec.graph import Net
from netspec.recipe.objective import CrossEntropy, Loss

T = TypeVar("T")


@dataclass(frozen=True)
class Objective:
    """A weighted sum of losses, one for each output. `main` is the index of the evaluated output."""

    weights: tuple[float, ...] = (1.0,)
    main: int = 0
    loss: Loss = CrossEntropy()  # noqa: RUF009, a frozen value

    @classmethod
    def of(cls, net: Net, loss: Loss) -> Objective:
        """Return the objective of a network; auxiliary heads are included."""
        main = next(k for k, output in enumerate(net.outputs) if not output.training)
        return cls(tuple(o.weight for o in net.outputs), main, loss)

    @property
    def total_weight(self) -> float:
        """The sum of the weights; multiplied by ln(classes), it is the loss of random guessing."""
        return sum(self.weights)

    def __call__(self, outputs: Tensor | tuple[Tensor, ...], targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss and the float32 logits of the main output, N x classes.

        `targets` are N class indices or N x classes probabilities; there may be more logits than classes.
        """
        logits = [o.float() for o in ((outputs,) if isinstance(outputs, Tensor) else outputs)]
        losses = [w * self._function(x, targets) for w, x in zip(self.weights, logits, strict=True)]
        return sum(losses[1:], losses[0]), logits[self.main]

    @cached_property
    def _function(self) -> Callable[[Tensor, Tensor], Tensor]:
        """The torch function of the loss, with its options."""
        return partial(pkgutil.resolve_name(self.loss.torch), **self.loss.model_dump(exclude={"kind"}))


# Averages over an epoch

READ_EVERY = 0.5
"""The seconds between readings of the sums. Readings are rare because each waits for the device."""


class Meter:
    """Averages over one training epoch: loss, accuracy, speed, and the time spent waiting for images.

    Sums stay on the device until they are read. `reduce` sums a tensor over all processes. Until the epoch
    ends, the averages cover only this process.
    """

    def __init__(
        self, device: torch.device, reduce: Callable[[Tensor], Tensor] = lambda values: values
    ) -> None:
        self.sums = torch.zeros(2, device=device)  # sum of per-image losses; number of correct predictions
        self.images = 0
        self.waited = 0.0
        self.reduce = reduce
        self.before = 0.0
        self.started = time.perf_counter()
        self.stopped = 0.0
        self.next_reading = self.started + READ_EVERY

    def timed(self, batches: Iterable[T]) -> Iterator[T]:
        """Yield the batches and add up the time spent waiting for them."""
        iterator = iter(batches)
        while True:
            asked = time.perf_counter()
            try:
                batch = next(iterator)
            except StopIteration:
                return
            finally:
                self.waited += time.perf_counter() - asked
            yield batch

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Add the mean loss and the predictions of a step or of one part of a step."""
        correct = (logits.argmax(1) == labels).sum()
        self.sums += torch.stack([loss * len(labels), correct])
        self.images += len(labels)

    def due(self) -> bool:
        """Return True if it is time to read the sums again."""
        now = time.perf_counter()
        if now < self.next_reading:
            return False
        self.next_reading = now + READ_EVERY
        return True

    @property
    def loss(self) -> float:
        """The mean loss so far; waits for the device."""
        return self.sums[0].item() / max(self.images, 1)

    @property
    def accuracy(self) -> float:
        """The fraction of images classified correctly so far; waits for the device."""
        return self.sums[1].item() / max(self.images, 1)

    @property
    def seconds(self) -> float:
        """The seconds spent training in this epoch, including those before an interruption."""
        return self.before + (self.stopped or time.perf_counter()) - self.started

    @property
    def waiting(self) -> float:
        """The fraction of `seconds` that was spent waiting for images."""
        return min(self.waited / max(self.seconds, 1e-9), 1.0)

    @property
    def speed(self) -> float:
        """Training images per second."""
        return self.images / max(self.seconds, 1e-9)

    def stop(self) -> None:
        """End the epoch: add up the sums of all processes and stop the clock."""
        self.sums, self.images = self._reduced()
        self.stopped = time.perf_counter()

    def _reduced(self) -> tuple[Tensor, int]:
        values = self.reduce(torch.cat([self.sums, self.sums.new_tensor([self.images])]))
        return values[:2], round(values[2].item())

    def state_dict(self) -> dict[str, Any]:
        """Return the state for a checkpoint; every process must call this."""
        sums, images = (self.sums, self.images) if self.stopped else self._reduced()
        return {"images": images, "sums": sums.cpu(), "waited": self.waited, "seconds": self.seconds}

    def load_state_dict(self, state: Mapping[str, Any], first: bool = True) -> None:
        """Restore the state in a checkpoint. The first process gets the sums of all processes."""
        self.waited, self.before = state["waited"], state["seconds"]
        if first:
            self.sums.copy_(state["sums"])
            self.images = state["images"]


# Divergence

DEAD_AFTER, DEAD_WINDOW = 2000, 500
"""The steps before the check for a network that learns nothing, and the steps over which it averages."""
EXPLODED = 20
"""Training has diverged if its loss is more than this many times the loss of random guessing."""


def divergence_warning(loss: float, classes: int, rate: float) -> str | None:
    """Return a warning if an epoch's mean loss per output is far above that of guessing, otherwise None.

    >>> divergence_warning(2.0, 10, 0.1), divergence_warning(3e8, 10, 1e3)[:46]
    (None, 'the loss is 3e+08, while guessing gives ln(10)')
    """
    guessing = math.log(max(classes, 2))
    if loss < EXPLODED * guessing:
        return None
    message = f"the loss is {loss:.3g}, while guessing gives ln({classes}) = {guessing:.3f}"
    return f"{message}: training diverged with a learning rate of {rate:.3g}; use a smaller `lr`"


def nothing_learned_warning(loss: float, accuracy: float, classes: int) -> str | None:
    """Return a warning if the final loss and accuracy are no better than random guessing, otherwise None.

    `loss` is the training loss per output. Diverged runs get the warning of `divergence_warning` instead.

    >>> nothing_learned_warning(2.31, 0.1, 10)[:53], nothing_learned_warning(1.9, 0.3, 10)
    ('the network learned nothing: the loss is 2.310, and g', None)
    """
    guessing = math.log(max(classes, 2))
    if not 0.99 * guessing <= loss < EXPLODED * guessing or accuracy > 1.5 / classes:
        return None
    found = f"the loss is {loss:.3f}, and guessing gives ln({classes}) = {guessing:.3f}"
    found += f"; the accuracy is {accuracy:.1%}, and guessing gives {1 / classes:.1%}"
    causes = "the learning rate, the initialization, a deep network without normalization, or the labels"
    return f"the network learned nothing: {found}; likely causes are {causes}"


class DeadLossCheck:
    """Detects a loss that is still ln(classes), the loss of random guessing, long after the start."""

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self.window: Tensor | float = 0.0
        self.done = classes < 2

    def update(self, step: int, loss: Tensor) -> str | None:
        """Add the loss of a step (1-based); return the warning, at most once, when it is due."""
        if self.done or step <= DEAD_AFTER:
            return None
        self.window = self.window + loss
        if (step - DEAD_AFTER) % DEAD_WINDOW:
            return None
        mean, guessing = float(self.window) / DEAD_WINDOW, math.log(self.classes)
        self.window = 0.0
        if abs(mean - guessing) > 0.01 * guessing:
            return None
        self.done = True
        reference = f"guessing gives ln({self.classes}) = {guessing:.3f}"
        remedy = "try another learning rate, initialization or normalization"
        found = f"after {step:,} steps the loss is {mean:.3f}, and {reference}"
        return f"{found}: the network learns nothing; {remedy}"

    def state_dict(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {"window": float(self.window), "done": self.done}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the state in a checkpoint."""
        self.window, self.done = state["window"], state["done"]
