"""A data set of grey images with horizontal or vertical stripes, drawn on opening."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netspec.datasets.registry import DataSet, Request

if TYPE_CHECKING:
    from netspec.datasets.in_memory import InMemorySet

CLASSES = ("horizontal", "vertical")
TRAIN, VAL, SIZE = 256, 64, 12


def open_stripes(row: DataSet, request: Request) -> InMemorySet:
    """Draw the images; torch is imported here, because `netspec check --data` needs only the row."""
    import torch

    from netspec.datasets.in_memory import InMemorySet, Labelled

    random = torch.Generator().manual_seed(0)
    labels = torch.arange(TRAIN + VAL) % 2
    widths = torch.randint(1, 4, (TRAIN + VAL, 1, 1), generator=random)
    offsets = torch.randint(0, 6, (TRAIN + VAL, 1, 1), generator=random)
    lines = torch.arange(SIZE).reshape(1, SIZE, 1)
    stripes = ((lines + offsets) // widths % 2 * 128).expand(-1, -1, SIZE)
    stripes = torch.where(labels.reshape(-1, 1, 1) == 0, stripes, stripes.transpose(1, 2))
    noise = torch.randint(0, 128, stripes.shape, generator=random)
    images = (stripes + noise).to(torch.uint8).unsqueeze(1)
    parts = [Labelled(images[part], labels[part]) for part in (slice(TRAIN), slice(TRAIN, None))]
    return InMemorySet(row.name, CLASSES, *parts)


STRIPES = DataSet(
    "stripes",
    "noisy stripes of 12 x 12 pixels, horizontal or vertical",
    open_stripes,
    classes=len(CLASSES),
    channels=1,
    train_images=TRAIN,
    val_images=VAL,
)
