"""Losses that say something is wrong: one that explodes, and one that never moves."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor

DEAD_AFTER, DEAD_WINDOW = 2000, 500  # steps: when to judge that nothing is learnt, and over how many
EXPLODED = 20  # times the loss of guessing


def exploded(loss: float, classes: int, rate: float) -> str | None:
    """The warning for an epoch whose mean loss, for each output, is far beyond what guessing gives.

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

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"window": float(self.window), "done": self.done}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.window, self.done = state["window"], state["done"]
