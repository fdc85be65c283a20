"""Where the batch of a traced tensor is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from netspec.shape import Grid, Shape

BATCH = 13
"""The size of the batch of a traced network: a prime, so that it is easily told apart from other sizes."""


@dataclass(frozen=True)
class Layout:
    """Where the batch of a traced tensor is; its counterpart in a spec always has it first.

    `at` is the axis of the batch; it is -1 for raw tensors without one. The first `folded` axes of the
    counterpart are merged with the batch, as those of windows are, which torchvision and timm treat like
    images of a larger batch. The `size` of the batch is 1 for raw tensors that are stored with a first axis.
    """

    at: int = 0
    folded: int = 0
    size: int = BATCH
    rows: bool = False
    """Whether the batch is the inner part of the first axis instead of the outer one.

    Only layers that treat all rows alike can follow, until the axis is split again.
    """

    def actual(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Return the shape of the traced tensor whose counterpart has this shape."""
        rest = tuple(shape[self.folded :])
        if self.at < 0:
            return rest
        return (*rest[: self.at], self.size * prod(shape[: self.folded]), *rest[self.at :])

    def axis(self, dim: int, rank: int) -> int | None:
        """Return the axis of the counterpart for one of a tensor's `rank` axes; None for the batch."""
        place = dim % rank
        if place == self.at:
            return None
        if self.at < 0:
            return place
        return self.folded + (place if place < self.at else place - 1)


BARE = Layout(-1)
"""The layout of a raw tensor without a batch."""
STORED = Layout(0, size=1)
"""The layout of a raw tensor with a first axis of 1."""


def is_stored(shape: Sequence[int]) -> bool:
    """Return True if the first axis of a raw tensor stands for the batch, as in `1 x tokens x features`."""
    return len(shape) >= 3 and shape[0] == 1


def named_order(x: Shape, order: Sequence[int]) -> str | None:
    """Return the op that reorders the axes of a shape in this way, if one has the order in its name."""
    if list(order) == [1, 2, 0] and type(x) is Shape:
        return "channels_last"
    return "channels_first" if list(order) == [2, 0, 1] and type(x) is Grid else None


def is_row_of_pixels(source: Shape, x: Shape) -> bool:
    """Return True if reshaping `source` to `x` joins the height and width of an image."""
    return len(source) == 3 and type(source) is not Grid and tuple(x) == (source[0], source[1] * source[2])


def even(sizes: Sequence[int]) -> int | tuple[int, ...]:
    """Return sizes as one number if all are equal, else as a tuple.

    >>> even([3, 3]), even([1, 7])
    (3, (1, 7))
    """
    return int(sizes[0]) if len(set(sizes)) == 1 else tuple(int(n) for n in sizes)
