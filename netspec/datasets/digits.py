"""scikit-learn's digits: a set that comes with the library, so that training runs without a download."""

from __future__ import annotations

import torch

from netspec.datasets.in_memory import InMemorySet, Labelled
from netspec.errors import DataError

VALIDATE_EVERY = 5
CLASSES = tuple("0123456789")


def open_digits() -> InMemorySet:
    """Load 1,797 grey images of 8 x 8 (Alpaydin and Kaynak, 1998).

    Within each class, every fifth image is for validation.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise DataError("digits is a part of scikit-learn: pip install scikit-learn") from error
    bunch = load_digits()
    images = torch.from_numpy(bunch.images * (255 / 16)).round().to(torch.uint8).unsqueeze(1)
    labels = torch.from_numpy(bunch.target).long()
    rank = (labels.unsqueeze(1) == torch.arange(10)).cumsum(0).gather(1, labels.unsqueeze(1)).squeeze(1)
    held = rank % VALIDATE_EVERY == 0
    parts = (Labelled(images[chosen], labels[chosen]) for chosen in (~held, held))
    return InMemorySet("digits", CLASSES, *parts)
