"""Class folders on disk: which images there are, their classes, and the split into two parts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from netspec.datasets.base import generator
from netspec.datasets.info import EXTENSIONS
from netspec.errors import DataError
from netspec.transforms.decode import BadImage, Pixels, read_photo


@dataclass(frozen=True)
class Files:
    """Image files and their class numbers.

    Paths are kept as one array of bytes, not as a list of strings: a million objects would be copied into
    every worker process as their reference counts change.
    """

    paths: np.ndarray[tuple[int], np.dtype[np.bytes_]]
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[str, int]:
        return os.fsdecode(self.paths[index]), int(self.labels[index])

    def photo(self, index: int) -> Pixels | BadImage:
        """Read an image."""
        return read_photo(self[index][0])

    def identity(self) -> bytes:
        """What tells these files from others, changed ones too: their paths, sizes and times."""
        found = [Path(os.fsdecode(path)).stat() for path in self.paths.tolist()]
        return self.paths.tobytes() + repr([(each.st_size, each.st_mtime_ns) for each in found]).encode()

    def chosen(self, mask: Tensor) -> Files:
        """Those where a mask is true, in the same order."""
        return Files(self.paths[mask.numpy()], self.labels[mask])

    def between(self, rows: slice) -> Files:
        """Those of some neighbouring rows."""
        return Files(self.paths[rows], self.labels[rows])


def class_folders(folder: Path) -> tuple[str, ...]:
    """The names of the class folders, sorted; raises DataError where there are none."""
    try:
        with os.scandir(folder) as entries:
            names = sorted(e.name for e in entries if e.is_dir() and not e.name.startswith("."))
    except FileNotFoundError as error:
        raise DataError(f"{folder} does not exist: name the folder that holds the class folders") from error
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {error.strerror}") from error
    if not names:
        raise DataError(f"{folder} has no class folders: put each class's images in a folder of its own")
    return tuple(names)


def scan(folder: Path, classes: tuple[str, ...]) -> Files:
    """List every image under each class folder; raises DataError for a class without any."""
    paths: list[bytes] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        found = sorted(_images(folder / name))
        if not found:
            kinds = ", ".join(extension[1:] for extension in EXTENSIONS)
            raise DataError(f"{folder / name} holds no images ({kinds}): fill it, or remove the folder")
        paths += found
        labels += [label] * len(found)
    return Files(np.array(paths, dtype=np.bytes_), torch.tensor(labels))


def _images(folder: Path) -> Iterator[bytes]:
    for parent, _, names in os.walk(folder, followlinks=True):
        for name in names:
            if name.lower().endswith(EXTENSIONS) and not name.startswith("."):
                yield os.fsencode(f"{parent}{os.sep}{name}")


def scan_parts(train: Path, val: Path) -> tuple[tuple[str, ...], Files, Files]:
    """Read the two parts of a set; raises DataError where their classes differ."""
    classes = class_folders(train)
    other = class_folders(val)
    if missing := sorted(set(classes) ^ set(other)):
        where = val if missing[0] in classes else train
        message = f"{where} has no class folder {missing[0]}, and the other part has it"
        raise DataError(f"{message}: {train.name}/ and {val.name}/ need the same class folders")
    return classes, scan(train, classes), scan(val, classes)


def split(files: Files, val_share: float, seed: int) -> tuple[Files, Files]:
    """Hold a share of every class's images out for validation; a class's only image stays in training."""
    held = torch.zeros(len(files), dtype=torch.bool)
    for label, count in enumerate(torch.bincount(files.labels).tolist()):
        where = (files.labels == label).nonzero().squeeze(1)
        share = min(max(round(count * val_share), 1), count - 1)
        held[where[torch.randperm(count, generator=generator(seed, label))[:share]]] = True
    if not held.any():
        raise DataError(
            "every class has a single image, so none is left to validate on: add images or a val/"
        )
    return files.chosen(~held), files.chosen(held)
