"""The layout of a traced tensor: which of its axes is the batch.

Every traced tensor becomes a value in the spec, whose batch is always the first axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from netspec.shape import Grid, Shape

BATCH = 13
"""The batch size with which networks are traced: a prime that is easily distinguished from other sizes."""


@dataclass(frozen=True)
class Layout:
    """Which axis of a traced tensor is the batch.

    `at` is the number of the batch axis; it is -1 for raw tensors without a batch. In the traced tensor, the
    first `folded` axes of the spec's value are merged into the batch axis: torchvision and timm, for example,
    treat windows as images of a larger batch. The `size` of the batch is 1 for raw tensors that are stored
    with a leading axis of size 1.
    """

    at: int = 0
    folded: int = 0
    size: int = BATCH
    rows: bool = False
    """Whether the first axis is tokens x batch, merged, instead of batch x tokens.

    Until the axis is split again, only layers that process each row independently can be applied.
    """

    def actual(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Return the shape of the traced tensor for a value of this shape in the spec."""
        rest = tuple(shape[self.folded :])
        if self.at < 0:
            return rest
        return (*rest[: self.at], self.size * prod(shape[: self.folded]), *rest[self.at :])

    def axis(self, dim: int, rank: int) -> int | None:
        """Return the axis of the spec's value for axis `dim` of `rank` axes; None for the batch axis."""
        place = dim % rank
        if place == self.at:
            return None
        if self.at < 0:
            return place
        return self.folded + (place if place < self.at else place - 1)


BARE = Layout(-1)
"""The layout of a raw tensor without a batch."""
STORED = Layout(0, size=1)
"""The layout of a raw tensor that is stored with a leading axis of size 1 as its batch axis."""


def is_stored(shape: Sequence[int]) -> bool:
    """Return True if the first axis of a raw tensor is its batch axis, as in `1 x tokens x features`."""
    return len(shape) >= 3 and shape[0] == 1


def named_order(x: Shape, order: Sequence[int]) -> str | None:
    """Return `channels_last` or `channels_first` if that op reorders axes in this way; otherwise None."""
    if list(order) == [1, 2, 0] and type(x) is Shape:
        return "channels_last"
    return "channels_first" if list(order) == [2, 0, 1] and type(x) is Grid else None


def is_row_of_pixels(source: Shape, x: Shape) -> bool:
    """Return True if reshaping `source` to `x` joins the height and width of an image."""
    return len(source) == 3 and type(source) is not Grid and tuple(x) == (source[0], source[1] * source[2])


def even(sizes: Sequence[int]) -> int | tuple[int, ...]:
    """Return sizes as one integer if all are equal, otherwise as a tuple.

    >>> even([3, 3]), even([1, 7])
    (3, (1, 7))
    """
    return int(sizes[0]) if len(set(sizes)) == 1 else tuple(int(n) for n in sizes)
