"""Photos in class folders, such as ImageNet's: found by their paths."""

from __future__ import annotations

import os
import shutil
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from netspec.datasets.base import announce
from netspec.datasets.info import EXTENSIONS, find_parts
from netspec.datasets.photos import PhotoSet
from netspec.errors import DataError
from netspec.transforms.decode import BadImage, Pixels, read_photo
from netspec.transforms.seeds import generator


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


class Folder(PhotoSet[Files]):
    """Images in class folders; the folders' names are the class names, whatever the files' colour mode."""


def open_folder(name: str, root: Path, val_share: float, seed: int) -> Folder:
    """List the images of class folders, or of a part to train and one to validate on where both are there."""
    if parts := find_parts(root):
        return Folder(name, *scan_parts(*parts))
    if not 0 < val_share < 1:
        raise DataError(f"the share to validate on must lie between 0 and 1, and is {val_share}")
    classes = class_folders(root)
    return Folder(name, classes, *split(scan(root, classes), val_share, seed))


def open_imagenet(root: Path) -> Folder:
    """List the images of ILSVRC's `train/` and `val/`, each with a folder for every class.

    Where one is missing and the archive of ILSVRC 2012 is there, it is unpacked first, once.
    """
    for part in ("train", "val"):
        if not (root / part).is_dir():
            _unpack(root, part)
    return Folder("imagenet", *scan_parts(root / "train", root / "val"))


def _unpack(root: Path, part: str) -> None:
    """Unpack an archive with torchvision, which checks its sum; a folder gets its name once it is whole."""
    from torchvision.datasets import imagenet

    archive, devkit = (root / imagenet.ARCHIVE_META[name][0] for name in (part, "devkit"))
    if not archive.is_file():
        message = (
            f"{root} has no {part}/ folder: imagenet needs train/ and val/ with a folder for every class"
        )
        raise DataError(
            f"{message}, or {archive.name} and {devkit.name} to unpack (name the place with --root)"
        )
    announce(
        f"unpacking {archive} into {root / part}: this happens once, and takes its size again on the disk"
    )
    beside = root / f".{part}.unpacking"
    shutil.rmtree(beside, ignore_errors=True)
    try:
        if part == "val" and not (root / imagenet.META_FILE).is_file():
            imagenet.parse_devkit_archive(root)
        parse = imagenet.parse_train_archive if part == "train" else imagenet.parse_val_archive
        parse(root, folder=beside.name)
        beside.rename(root / part)
    except (OSError, RuntimeError, tarfile.TarError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{archive} cannot be unpacked ({reason}): fetch it again, or make room") from error
