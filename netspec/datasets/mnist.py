"""MNIST and Fashion-MNIST from their IDX files, gzipped or not."""

from __future__ import annotations

import gzip
import struct
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, cast

import numpy as np
import torch
from torch import Tensor

from netspec.datasets.base import LoaderConfig
from netspec.datasets.fetch import fetching
from netspec.datasets.in_memory import InMemoryBatches, Labelled, check_labels
from netspec.errors import DataError

IMAGES, LABELS = 3, 1  # dimensions, as the last byte of an IDX file's magic number gives them


GARMENTS = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)


@dataclass(frozen=True)
class Kind:
    """One of the sets that come as four IDX files: torchvision's name for it, the user's, and its classes."""

    theirs: str
    name: str
    class_names: tuple[str, ...]


KINDS = {
    "mnist": Kind("MNIST", "mnist", tuple("0123456789")),  # LeCun, Cortes and Burges
    "fashion-mnist": Kind("FashionMNIST", "fashion-mnist", GARMENTS),  # Xiao, Rasul and Vollgraf, 2017
}


@dataclass(frozen=True)
class Mnist:
    """Digits or garments: 60,000 to train on and 10,000 to validate on, grey, 28 x 28."""

    kind: Kind
    folder: Path
    train_images: int
    val_images: int
    channels: int = 1

    @property
    def name(self) -> str:
        """What the user calls it."""
        return self.kind.name

    @property
    def class_names(self) -> tuple[str, ...]:
        """One name for each class."""
        return self.kind.class_names

    def open(self, config: LoaderConfig) -> InMemoryBatches:
        """Read the four files."""
        return InMemoryBatches(self._part("train"), self._part("t10k"), config)

    def _part(self, prefix: str) -> Labelled:
        images = read_idx(idx_file(self.folder, f"{prefix}-images-idx3-ubyte"), IMAGES)
        labels = read_idx(idx_file(self.folder, f"{prefix}-labels-idx1-ubyte"), LABELS)
        part = Labelled(images.unsqueeze(1), labels.long())
        check_labels(part, len(self.class_names), f"{self.folder} ({prefix})")
        return part


def open_mnist(name: str, root: Path, download: bool = True) -> Mnist:
    """Find one of the sets under a folder, or download it there; only the files' headers are read yet."""
    kind = KINDS[name]
    folder = _find(root, kind)
    if folder is None and download:
        _download(root, kind)
        folder = _find(root, kind)
    if folder is None:
        raise DataError(f"{root} holds no {kind.theirs}: put four IDX files there, such as {_FILES[0]}.gz")
    counts = []
    for name in _FILES:
        path = idx_file(folder, name)
        with _reading(path) as file:
            counts.append(_header(file, path, IMAGES if "images" in name else LABELS)[0])
    return Mnist(kind, folder, counts[0], counts[2])


def idx_file(folder: Path, name: str) -> Path:
    """The file of a name, gzipped or not; raises DataError where there is neither."""
    for candidate in (folder / name, folder / f"{name}.gz"):
        if candidate.is_file():
            return candidate
    raise DataError(f"{folder} holds a part of the set, but not {name}[.gz]: fetch it, or empty the folder")


def read_idx(path: Path, dimensions: int) -> Tensor:
    """Read an IDX file of bytes as a uint8 tensor with that many dimensions."""
    with _reading(path) as file:
        shape = _header(file, path, dimensions)
        try:
            content = file.read(prod(shape))
        except (OSError, EOFError) as error:
            raise DataError(f"{path} is damaged ({error}): fetch it again") from error
    if len(content) != prod(shape):
        raise DataError(f"{path} ends after {len(content)} of {prod(shape)} bytes: fetch it again")
    return torch.from_numpy(np.frombuffer(content, np.uint8).reshape(shape).copy())


_WHAT = ("images-idx3", "labels-idx1")
_FILES = tuple(f"{part}-{what}-ubyte" for part in ("train", "t10k") for what in _WHAT)


def _find(root: Path, kind: Kind) -> Path | None:
    for folder in (root, root / kind.theirs / "raw", root / "raw", root / kind.name):
        if any((folder / name).is_file() or (folder / f"{name}.gz").is_file() for name in _FILES):
            return folder
    return None


def _reading(path: Path) -> IO[bytes]:
    try:
        return cast(IO[bytes], gzip.open(path)) if path.suffix == ".gz" else path.open("rb")
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error


def _header(file: IO[bytes], path: Path, dimensions: int) -> tuple[int, ...]:
    """Read an IDX header: two zeros, the type (8 is bytes), the number of dimensions, then each size."""
    try:
        head = file.read(4 + 4 * dimensions)
    except (OSError, EOFError) as error:
        raise DataError(f"{path} is damaged ({error}): fetch it again") from error
    if len(head) < 4 + 4 * dimensions or head[:4] != bytes((0, 0, 8, dimensions)):
        raise DataError(f"{path} is not an IDX file of bytes with {dimensions} dimensions: fetch it again")
    return struct.unpack(f">{dimensions}I", head[4:])


def _download(root: Path, kind: Kind) -> None:
    from torchvision import datasets

    with fetching(root, kind.theirs, "put the four IDX files there, or name their folder"):
        getattr(datasets, kind.theirs)(str(root), download=True)
