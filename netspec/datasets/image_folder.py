"""Photos in class folders, such as ImageNet's: found by their paths."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

from netspec.datasets.base import announce
from netspec.datasets.class_folders import Files, class_folders, scan, scan_parts, split
from netspec.datasets.info import find_parts
from netspec.datasets.photos import PhotoSet
from netspec.errors import DataError


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
