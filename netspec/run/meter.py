"""Sums over an epoch that stay on the device, since reading one waits for the device."""

from __future__ import annotations

import math
import time

import torch
from torch import Tensor

LOOK = 0.5  # seconds between looks at the sums
DEAD_AFTER, DEAD_WINDOW = 2000, 500  # steps: when to judge that nothing is learnt, and over how many

EXPLODED = 20  # times the loss of guessing


class Meter:
    """Mean loss, share of right answers, and speed of one epoch's training."""

    def __init__(self, device: torch.device) -> None:
        self.losses = torch.zeros((), device=device)
        self.right = torch.zeros((), device=device, dtype=torch.long)
        self.steps = self.images = 0
        self.started = time.perf_counter()
        self.stopped = 0.0
        self.next_look = self.started + LOOK

    def count(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Take note of one step."""
        self.losses += loss
        self.right += (logits.argmax(1) == labels).sum()
        self.steps += 1
        self.images += len(labels)

    def due(self) -> bool:
        """Whether it is time to look at the sums again."""
        now = time.perf_counter()
        if now < self.next_look:
            return False
        self.next_look = now + LOOK
        return True

    @property
    def loss(self) -> float:
        """Mean loss so far; waits for the device."""
        return self.losses.item() / max(self.steps, 1)

    @property
    def accuracy(self) -> float:
        """Share of images got right so far, 0 to 1; waits for the device."""
        return self.right.item() / max(self.images, 1)

    @property
    def seconds(self) -> float:
        """Time since the epoch's start, up to the end of its training."""
        return (self.stopped or time.perf_counter()) - self.started

    @property
    def speed(self) -> float:
        """Images trained on in a second."""
        return self.images / max(self.seconds, 1e-9)

    def stop(self) -> None:
        """Training is over for this epoch: wait for the device, and stop the clock."""
        self.losses.item()
        self.stopped = time.perf_counter()


def exploded(loss: float, classes: int, rate: float) -> str | None:
    """The warning for an epoch whose mean loss is far beyond what guessing gives.

    >>> exploded(2.0, 10, 0.1), exploded(3e8, 10, 1e3)[:46]
    (None, 'the loss is 3e+08, while guessing gives ln(10)')
    """
    blind = math.log(max(classes, 2))
    if loss < EXPLODED * blind:
        return None
    guess = f"the loss is {loss:.3g}, while guessing gives ln({classes}) = {blind:.3f}"
    return f"{guess}: training has exploded at learning rate {rate:.3g}; lower it with --lr"


class DeadLossWatch:
    """Finds a loss that stays what guessing gives, ln(classes), long after the start."""

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self.window: Tensor | float = 0.0
        self.done = classes < 2

    def see(self, step: int, loss: Tensor) -> str | None:
        """Take note of the loss of step number `step`, counted from 1; gives the warning when it is due."""
        if self.done or step <= DEAD_AFTER:
            return None
        self.window = self.window + loss
        if (step - DEAD_AFTER) % DEAD_WINDOW:
            return None
        mean, blind = float(self.window) / DEAD_WINDOW, math.log(self.classes)
        self.window = 0.0
        if abs(mean - blind) > 0.01 * blind:
            return None
        self.done = True
        guess = f"guessing gives ln({self.classes}) = {blind:.3f}"
        help = "another learning rate, initial weights or normalisation may help"
        return f"after {step:,} steps the loss is {mean:.3f}, and {guess}: the network learns nothing; {help}"
