"""Image files in class folders, such as ImageNet's."""

from __future__ import annotations

import logging
import os
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from netspec.datasets.layout import (
    EXTENSIONS,
    class_folders,
    find_parts,
    list_images,
    refuse_single,
    skipped_note,
)
from netspec.datasets.photos import PhotoSet
from netspec.errors import DataError
from netspec.files import open_regular
from netspec.transforms.pixels import BadImage, Pixels, read_ends, read_photo
from netspec.transforms.seeds import generator

if TYPE_CHECKING:
    from netspec.datasets.registry import DataSet, Request

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Files:
    """Image files and their class indices.

    The paths are a numpy array, so that worker processes share its memory. A list of strings would be copied
    to each worker, because counting references to the strings writes to their memory.
    """

    paths: np.ndarray[tuple[int], np.dtype[np.bytes_]]
    labels: Tensor

    @classmethod
    def of(cls, paths: list[str], labels: list[int]) -> Files:
        """Return the Files with these paths and class indices."""
        names = np.array([os.fsencode(path) for path in paths], dtype=np.bytes_)
        return cls(names, torch.tensor(labels, dtype=torch.int64))

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[str, int]:
        return os.fsdecode(self.paths[index]), int(self.labels[index])

    def photo(self, index: int) -> Pixels | BadImage:
        """Return the decoded pixels of one image, or a BadImage with the reason why it cannot be read."""
        return read_photo(self[index][0])

    def ends(self, index: int) -> tuple[bytes, bytes]:
        """Return the first and last bytes of an image file. Both are empty if it cannot be read."""
        try:
            with open_regular(self[index][0]) as file:
                return read_ends(file, 0, os.fstat(file.fileno()).st_size)
        except OSError:
            return b"", b""

    def identity(self) -> bytes:
        """Return bytes that change with the paths, sizes and modification times of the files."""
        found = [Path(os.fsdecode(path)).stat() for path in self.paths.tolist()]
        return self.paths.tobytes() + repr([(each.st_size, each.st_mtime_ns) for each in found]).encode()

    def chosen(self, mask: Tensor) -> Files:
        """Return the files for which the mask is true, in the same order."""
        return Files(self.paths[mask.numpy()], self.labels[mask])

    def between(self, rows: slice) -> Files:
        """Return a range of the files."""
        return Files(self.paths[rows], self.labels[rows])


def scan(folder: Path, classes: tuple[str, ...], required: bool = True) -> Files:
    """Return the images below each class folder and log which files are skipped.

    Raises:
        DataError: a class has no images and `required` is true.
    """
    paths: list[str] = []
    labels: list[int] = []
    skipped: list[str] = []
    for label, name in enumerate(classes):
        if not required and not (folder / name).is_dir():
            continue
        listing = list_images(folder / name)
        skipped += listing.skipped
        if not listing.images and required:
            kinds = ", ".join(extension[1:] for extension in EXTENSIONS)
            message = f"{folder / name} holds no images ({kinds})"
            raise DataError(f"{message}: add images or remove the folder{_left_out(skipped)}")
        paths += [os.fsdecode(path) for path in listing.images]
        labels += [label] * len(listing.images)
    if skipped:
        logger.info("%s", skipped_note(folder, skipped))
    return Files.of(paths, labels)


def _left_out(skipped: list[str]) -> str:
    return f"; {Path(skipped[0]).name} is not in one of these formats" if skipped else ""


def scan_parts(train: Path, val: Path) -> tuple[tuple[str, ...], Files, Files]:
    """Return the classes of the folder `train` and the images of both folders.

    Classes without validation images are logged.

    Raises:
        DataError: a class has no training images, `val` has no images, or `val` has a class that `train`
        lacks.
    """
    classes = class_folders(train)
    refuse_single(train, classes)
    if unknown := sorted(set(class_folders(val)) - set(classes)):
        message = f"{val} has a class folder {unknown[0]}, which {train} lacks"
        raise DataError(f"{message}: every class needs a folder in {train.name}/")
    trained, validated = scan(train, classes), scan(val, classes, required=False)
    if not len(validated):
        raise DataError(f"{val} holds no images: add images, or remove it to hold out a share of {train}")
    counts = torch.bincount(validated.labels, minlength=len(classes)).tolist()
    if empty := [name for name, count in zip(classes, counts, strict=True) if not count]:
        more = f" and {len(empty) - 10} more" if len(empty) > 10 else ""
        logger.info("%s has no images of %s%s", val, ", ".join(empty[:10]), more)
    return classes, trained, validated


def split(files: Files, val_share: float, seed: int) -> tuple[Files, Files]:
    """Return the files split into training and validation: a random `val_share` of each class is held out.

    A class with only one image keeps it for training.

    Raises:
        DataError: no class has more than one image.
    """
    held = torch.zeros(len(files), dtype=torch.bool)
    for label, count in enumerate(torch.bincount(files.labels).tolist()):
        where = (files.labels == label).nonzero().squeeze(1)
        share = min(max(round(count * val_share), 1), count - 1)
        held[where[torch.randperm(count, generator=generator(seed, label))[:share]]] = True
    if not held.any():
        raise DataError(
            "every class has a single image, so none is left for validation: add images, or a val/ folder"
        )
    return files.chosen(~held), files.chosen(held)


class ImageFolder(PhotoSet[Files]):
    """A data set of image files in class folders."""


def open_folder(row: DataSet, request: Request) -> ImageFolder:
    """Open a folder with `train/` and `val/`, or a folder of class folders.

    In the latter, `val_share` of each class's images are held out for validation.
    """
    root = Path(request.argument)
    if parts := find_parts(root):
        return ImageFolder(request.name, *scan_parts(*parts))
    if not 0 < request.val_share < 1:
        raise DataError(f"`val_share` must be between 0 and 1, not {request.val_share}")
    classes = class_folders(root)
    refuse_single(root, classes)
    return ImageFolder(request.name, classes, *split(scan(root, classes), request.val_share, request.seed))


def open_imagenet(row: DataSet, request: Request) -> ImageFolder:
    """Open ImageNet: `train/` and `val/`, each with a folder for every class.

    If one of them is missing, it is first unpacked from its ILSVRC 2012 archive in the same folder.
    """
    root = request.root
    assert root is not None, "the row requires it"
    for part in ("train", "val"):
        if not (root / part).is_dir():
            _unpack(root, part)
    return ImageFolder(row.name, *scan_parts(root / "train", root / "val"))


def _unpack(root: Path, part: str) -> None:
    """Unpack the archive of `part`, train or val, with torchvision, which verifies its checksum.

    The unpacked folder gets its final name only when it is complete.
    """
    from torchvision.datasets import imagenet

    archive, devkit = (root / imagenet.ARCHIVE_META[name][0] for name in (part, "devkit"))
    if not archive.is_file():
        needs = "imagenet needs train/ and val/ with a folder for every class"
        message = f"{root} has no {part}/ folder: {needs}, or {archive.name} and {devkit.name} to unpack"
        raise DataError(f"{message}; set `root` to the folder that contains them")
    target = root / part
    logger.info(
        "unpacking %s into %s: this happens only once and doubles the disk space needed", archive, target
    )
    beside = root / f".{part}.unpacking"
    shutil.rmtree(beside, ignore_errors=True)
    try:
        if part == "val" and not (root / imagenet.META_FILE).is_file():
            imagenet.parse_devkit_archive(root)
        parse = imagenet.parse_train_archive if part == "train" else imagenet.parse_val_archive
        parse(root, folder=beside.name)
        beside.rename(target)
    except (OSError, RuntimeError, tarfile.TarError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(
            f"{archive} cannot be unpacked ({reason}): download it again, or free disk space"
        ) from error
