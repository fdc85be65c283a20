"""scikit-learn's digits: a set that comes with the library, so that training runs without a download."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from netspec.run.data.resident import Labelled, ResidentBatches
from netspec.run.data.source import DataError, Setting

VALIDATE_EVERY = 5


@dataclass(frozen=True)
class Digits:
    """Handwritten digits (Alpaydin and Kaynak, 1998): 1,797 grey images of 8 x 8."""

    train_part: Labelled
    val_part: Labelled
    name: str = "digits"
    class_names: tuple[str, ...] = tuple("0123456789")
    channels: int = 1

    @property
    def train_images(self) -> int:
        """Images to train on."""
        return len(self.train_part.labels)

    @property
    def val_images(self) -> int:
        """Images to validate on."""
        return len(self.val_part.labels)

    def open(self, setting: Setting) -> ResidentBatches:
        """Resize the images to the network's input."""
        return ResidentBatches(self.train_part, self.val_part, setting)


def open_digits() -> Digits:
    """Load the set; within each class, every fifth image is for validation."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise DataError("digits is a part of scikit-learn: pip install scikit-learn") from error
    bunch = load_digits()
    images = torch.from_numpy(bunch.images * (255 / 16)).round().to(torch.uint8).unsqueeze(1)
    labels = torch.from_numpy(bunch.target).long()
    rank = (labels.unsqueeze(1) == torch.arange(10)).cumsum(0).gather(1, labels.unsqueeze(1)).squeeze(1)
    held = rank % VALIDATE_EVERY == 0
    return Digits(Labelled(images[~held], labels[~held]), Labelled(images[held], labels[held]))
