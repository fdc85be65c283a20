"""Where the batch of a PyTorch tensor is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from netspec.convert.capture import BATCH


@dataclass(frozen=True)
class Layout:
    """Where the batch of a PyTorch tensor is, whose counterpart in a spec always has it first.

    `at` is the axis of the batch. The first `folded` axes of the counterpart are merged with the batch, as
    those of windows are, which torchvision and timm treat like images of a larger batch.
    """

    at: int = 0
    folded: int = 0

    def actual(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Return the shape of the PyTorch tensor whose counterpart has this shape."""
        rest = tuple(shape[self.folded :])
        return (*rest[: self.at], BATCH * prod(shape[: self.folded]), *rest[self.at :])

    def axis(self, dim: int, rank: int) -> int | None:
        """Return the axis of the counterpart for one of a tensor's `rank` axes; None for the batch."""
        place = dim % rank
        if place == self.at:
            return None
        return self.folded + (place if place < self.at else place - 1)
