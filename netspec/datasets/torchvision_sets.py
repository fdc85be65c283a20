"""Data sets that torchvision reads and downloads, and scikit-learn's digits."""

from __future__ import annotations

import contextlib
import gzip
import struct
from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from netspec.datasets.archives import find_images
from netspec.datasets.base import cache_folder
from netspec.datasets.image_folder import Files, ImageFolder, split
from netspec.datasets.in_memory import InMemorySet, Labelled, check_labels
from netspec.errors import DataError

if TYPE_CHECKING:
    from netspec.datasets.registry import DataSet, Request, TorchvisionSet

VALIDATE_EVERY = 5
"""Of scikit-learn's digits, every fifth image of a class is held out for validation."""
IMAGE_DIMENSIONS, LABEL_DIMENSIONS = 3, 1
"""The numbers of dimensions of the two kinds of IDX file, as in the last byte of their magic number."""


def open_arrays(row: TorchvisionSet, request: Request) -> InMemorySet:
    """Open a data set of images of one size, and load it into memory.

    `root` is a folder with torchvision's files, a folder with class folders in `train/` and `test/`, an
    archive of such class folders, or a folder with such an archive.
    """
    root = request.root or cache_folder(row.name)
    if (found := find_images(row, root)) is not None:
        return found
    way = "put torchvision's files there, or train/ and test/ with class folders"
    assert row.val is not None, "data sets in memory have their own validation images"
    parts = [_load(row, root, way, options, request.download) for options in (row.train, row.val)]
    labelled = [Labelled(_channels_first(part.data), _labels(part)) for part in parts]
    return InMemorySet(row.name, _class_names(row, parts[0]), *labelled)


def _channels_first(images: Any) -> Tensor:
    """Return images as uint8 N x C x H x W, given N x H x W, N x H x W x 3 or N x 3 x H x W."""
    pixels = torch.as_tensor(np.asarray(images))
    if pixels.dim() == 3:
        return pixels.unsqueeze(1)
    return pixels if pixels.shape[1] == 3 else pixels.permute(0, 3, 1, 2).contiguous()


def _labels(part: Any) -> Tensor:
    labels = part.targets if hasattr(part, "targets") else part.labels
    return torch.as_tensor(np.asarray(labels)).long()


def open_photos(row: TorchvisionSet, request: Request) -> ImageFolder:
    """Open a data set of image files: torchvision lists them, and netspec decodes them during training."""
    root = request.root or cache_folder(row.name)
    way = "put torchvision's files there"
    first = _load(row, root, way, row.train, request.download)
    classes = _class_names(row, first)
    if row.val is None:
        return ImageFolder(row.name, classes, *split(_files(first), request.val_share, request.seed))
    second = _load(row, root, way, row.val, request.download)
    return ImageFolder(row.name, classes, _files(first), _files(second))


def _files(part: Any) -> Files:
    """Return the paths and class indices of a torchvision data set, without decoding an image."""
    if hasattr(part, "loader"):
        pairs = [part[index] for index in range(len(part))]  # with `loader=str`, an item has the path
    elif hasattr(part, "_samples"):
        pairs = part._samples
    else:
        pairs = list(zip(part._images, part._labels, strict=True))
    return Files.of([str(path) for path, _ in pairs], [int(label) for _, label in pairs])


def _load(row: TorchvisionSet, root: Path, way: str, options: Mapping[str, object], download: bool) -> Any:
    """Open the files under `root` with torchvision, which downloads them if they are missing.

    If that fails, the error says what to put under `root`, as described by `way`.
    """
    from torchvision import datasets

    kind = getattr(datasets, row.torchvision)
    if row.photos and "loader" in kind.__init__.__annotations__:
        options = {**options, "loader": str}
    try:
        return kind(str(root), **options, download=False)
    except (RuntimeError, OSError) as error:
        if not download:
            raise DataError(f"{root} holds no {row.torchvision}: {way}, or name another `root`") from error
    except ImportError as error:
        package = (error.name or str(error)).split(".")[0]
        raise DataError(f"{row.name} needs {package}: pip install {package}") from error
    with downloading(root, row.torchvision, f"{way}, or name another `root`"):
        return kind(str(root), **options, download=True)


def _class_names(row: TorchvisionSet, part: Any) -> tuple[str, ...]:
    """Return torchvision's class names: the first name of a class, or its index if it has no name."""
    names = getattr(part, "classes", None) or range(row.classes or 0)
    return tuple(name[0] if isinstance(name, tuple) else str(name) for name in names)


@contextlib.contextmanager
def downloading(root: Path, what: str, way: str) -> Iterator[None]:
    """Raise a DataError if the download inside this context fails, and remove the empty folders it left."""
    made = [folder for folder in (root, *root.parents) if not folder.exists()]
    try:
        yield
    except (OSError, RuntimeError) as error:
        inside = sorted(root.rglob("*"), reverse=True) if made else []
        for folder in [*inside, *made]:
            with contextlib.suppress(OSError):
                folder.rmdir()
        reason = " ".join(str(error).split()).rstrip(":. ") or "no connection"
        message = f"{root} holds no {what}, and the download failed ({reason})"
        raise DataError(f"{message}: {way}") from error


# MNIST's file format


def open_idx(row: TorchvisionSet, request: Request) -> InMemorySet:
    """Load a data set from four IDX files, gzipped or not; torchvision downloads them if they are missing.

    netspec reads them itself, because torchvision requires unzipped files in `MNIST/raw` and does not name
    damaged files.
    """
    from torchvision import datasets

    root = request.root or cache_folder(row.name)
    kind = getattr(datasets, row.torchvision)
    folder = _find(root, row)
    if folder is None and request.download:
        with downloading(
            root,
            row.torchvision,
            "put the four IDX files there, or set `root` to the folder that contains them",
        ):
            kind(str(root), download=True, **row.train)
        folder = _find(root, row)
    if folder is None:
        example = f"{row.prefixes[0]}-images-idx3-ubyte.gz"
        raise DataError(f"{root} holds no {row.torchvision}: put the four IDX files there, such as {example}")
    classes, first = _idx_classes(kind, row)
    parts = [_idx_part(folder, prefix, classes, first) for prefix in row.prefixes]
    return InMemorySet(row.name, classes, *parts)


def _idx_classes(kind: Any, row: TorchvisionSet) -> tuple[tuple[str, ...], int]:
    """Return the class names, and the label of the first class: 1 for EMNIST's letters, otherwise 0."""
    split_name = row.train.get("split")
    names = kind.classes_split_dict[split_name] if split_name else kind.classes
    first = 1 if names[0] == "N/A" else 0
    return tuple(
        name.split(" - ")[0] if row.torchvision == "MNIST" else name for name in names[first:]
    ), first


def _idx_part(folder: Path, prefix: str, classes: tuple[str, ...], first: int) -> Labelled:
    images = read_idx(idx_file(folder, f"{prefix}-images-idx3-ubyte"), IMAGE_DIMENSIONS)
    labels = read_idx(idx_file(folder, f"{prefix}-labels-idx1-ubyte"), LABEL_DIMENSIONS)
    part = Labelled(images.unsqueeze(1), labels.long() - first)
    check_labels(part, len(classes), f"{folder} ({prefix})")
    return part


def _find(root: Path, row: TorchvisionSet) -> Path | None:
    """Return the folder with at least one of the IDX files: `root` or one of the usual folders in it."""
    ends = ("images-idx3-ubyte", "labels-idx1-ubyte")
    names = [f"{prefix}-{end}{zipped}" for prefix in row.prefixes for end in ends for zipped in ("", ".gz")]
    folders = (root, root / row.torchvision / "raw", root / "raw", root / row.name)
    return next((folder for folder in folders if any((folder / name).is_file() for name in names)), None)


def idx_file(folder: Path, name: str) -> Path:
    """Return the file with this name, gzipped or not; raises DataError if it does not exist."""
    for candidate in (folder / name, folder / f"{name}.gz"):
        if candidate.is_file():
            return candidate
    raise DataError(
        f"{folder} has no {name}[.gz]: add that file, or remove the others to download all of them"
    )


def read_idx(path: Path, dimensions: int) -> Tensor:
    """Return an IDX file of bytes as a uint8 tensor with this number of dimensions.

    The header consists of two zeros, the type (8 means bytes), the number of dimensions, and each size.

    Raises:
        DataError: the file cannot be read, is damaged, or has another type or number of dimensions.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            head = file.read(4 + 4 * dimensions)
            if len(head) < 4 + 4 * dimensions or head[:4] != bytes((0, 0, 8, dimensions)):
                message = f"{path} is not an IDX file of bytes with {dimensions} dimensions"
                raise DataError(f"{message}: download it again")
            shape = struct.unpack(f">{dimensions}I", head[4:])
            content = file.read(prod(shape))
    except (OSError, EOFError) as error:
        raise DataError(f"{path} cannot be read or is damaged ({error}): download it again") from error
    if len(content) != prod(shape):
        raise DataError(f"{path} ends after {len(content)} of {prod(shape)} bytes: download it again")
    return torch.from_numpy(np.frombuffer(content, np.uint8).reshape(shape).copy())


# scikit-learn's digits


def open_digits(row: DataSet, request: Request) -> InMemorySet:
    """Load scikit-learn's 1,797 grey images of 8 x 8 pixels. A fifth of each class is for validation."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise DataError("digits is part of scikit-learn: pip install scikit-learn") from error
    bunch = load_digits()
    images = torch.from_numpy(bunch.images * (255 / 16)).round().to(torch.uint8).unsqueeze(1)
    labels = torch.from_numpy(bunch.target).long()
    rank = (labels.unsqueeze(1) == torch.arange(10)).cumsum(0).gather(1, labels.unsqueeze(1)).squeeze(1)
    held = rank % VALIDATE_EVERY == 0
    parts = (Labelled(images[chosen], labels[chosen]) for chosen in (~held, held))
    return InMemorySet(row.name, tuple("0123456789"), *parts)
