"""The layout of image folders: which folders hold training images, validation images, or a class."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from netspec.errors import DataError
from netspec.files import open_regular, reason

logger = logging.getLogger(__name__)

EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".ppm", ".pgm", ".tif", ".tiff", ".webp")
"""The extensions of files that count as images; their content is not examined."""
SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"BM", b"GIF8", b"II*\0", b"MM\0*", b"P5", b"P6", b"RIFF")
"""The first bytes of files in the supported image formats."""
TRAIN_NAMES = ("train", "training")
VAL_NAMES = ("val", "valid", "validation", "test", "testing")
"""Usual names of training and validation folders, in any letter case. The first that exists is used."""
NOT_CLASSES = ("__macosx", "$recycle.bin", "system volume information")
"""Names, in lower case, of folders that operating systems and archivers create."""
FEW = 4
"""With at most this many class folders, one named train or test may be a split, not a class.

CIFAR-100 has a class named train.
"""
SHOWN = 5
"""The maximum number of skipped files that a message names."""


@dataclass(frozen=True)
class Listing:
    """The image files below a folder and its other files, both sorted."""

    images: list[bytes]
    skipped: list[str]


def find_parts(root: Path) -> tuple[Path, Path] | None:
    """Return the training and validation folders in `root`, or None if `root` holds class folders.

    Raises:
        DataError: a training folder with class folders exists, but no validation folder.
    """
    try:
        folders = {p.name.lower(): p for p in sorted(root.iterdir(), reverse=True) if p.is_dir()}
    except OSError:
        return None
    train, val = (
        next((folders[name] for name in names if name in folders), None) for names in (TRAIN_NAMES, VAL_NAMES)
    )
    if train is None:
        return None
    if val is not None:
        return train, val
    if subfolders(train):
        message = f"{root} has {train.name}/ but no validation folder, such as val/"
        raise DataError(f"{message}: add it, or use folder:{train}, which holds out a share for validation")
    return None  # `train` holds images, so it is a class named train


def class_folders(folder: Path) -> tuple[str, ...]:
    """Return the names of the class folders, sorted.

    Raises:
        DataError: there are no subfolders, or the class folders are deeper than the first level.
    """
    names = subfolders(folder)
    if not names:
        raise DataError(f"{folder} has no class folders: put each class's images in a separate folder")
    for name in names:
        _refuse_loop(folder / name)
    _refuse_nested(folder, names)
    parts = [name for name in names if name.lower() in (*TRAIN_NAMES, *VAL_NAMES)]
    if parts and len(names) <= FEW:
        rest = ", ".join(name for name in names if name not in parts) or "no other"
        logger.warning(
            f"{folder}: {parts[0]} is read as a class, like {rest}; if it holds the images of all classes, "
            "it needs a folder for each class"
        )
    return tuple(names)


def refuse_single(folder: Path, classes: tuple[str, ...]) -> None:
    """Raise DataError if there is only one class, because then there is nothing to learn."""
    if len(classes) == 1:
        inside = subfolders(folder / classes[0])
        deeper = f"folder:{_class_parent(folder / classes[0])}"
        way = f"did you mean {deeper}?" if inside else "add a folder for each other class"
        raise DataError(f"{folder} has a single class, {classes[0]}, but training needs at least two: {way}")


def subfolders(folder: Path) -> list[str]:
    """Return the sorted names of a folder's subfolders, without hidden folders and those in NOT_CLASSES.

    Raises:
        DataError: the folder does not exist or cannot be read.
    """
    try:
        with os.scandir(folder) as entries:
            return sorted(e.name for e in entries if e.is_dir() and not _ignored(e.name))
    except FileNotFoundError as error:
        raise DataError(f"{folder} does not exist: name the folder that holds the class folders") from error
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {reason(error)}") from error


def _refuse_loop(folder: Path) -> None:
    """Raise DataError if a folder is a link to one of the folders that contain it."""
    if folder.is_symlink() and any(folder.samefile(parent) for parent in folder.absolute().parents):
        message = f"{folder} is a link to {folder.readlink()}, which contains the link"
        raise DataError(f"{message}: remove the link")


def _refuse_nested(folder: Path, names: list[str]) -> None:
    """Raise DataError if the class folders are one or more levels deeper, inside the folders `names`."""
    inside = {name: subfolders(folder / name) for name in names if not _has_images(folder / name)}
    shared = Counter(sub for subs in inside.values() for sub in subs)
    nested = [name for name, subs in inside.items() if sum(shared[sub] > 1 for sub in subs) > 1]
    if not nested and len(inside) == len(names) > 1 and any(len(subs) > 1 for subs in inside.values()):
        nested = [name for name, subs in inside.items() if len(subs) > 1]
    empty = all(not _has_images(folder / name / sub) for name, subs in inside.items() for sub in subs)
    if not nested and len(inside) == len(names) > 1 and empty:
        nested = [name for name, subs in inside.items() if subs]
    if nested:
        likely = next((name for name in nested if "train" in name.lower()), nested[0])
        first, subs = folder / likely, ", ".join(inside[likely][:3])
        target = _class_parent(first)
        levels = len(target.relative_to(folder).parts)
        high = "one level" if levels == 1 else f"{levels} levels"
        message = f"{first} holds folders ({subs}), so {folder} is {high} above the class folders"
        way = f"use folder:{target}, or rename the folders in {target.parent} to train/ and val/"
        raise DataError(f"{message}: {way}")


def _class_parent(folder: Path) -> Path:
    """Return the folder, `folder` or one below it, that has train/ and val/ or class folders.

    A link to a folder ends the search.
    """
    names, visited = subfolders(folder), [folder]
    while names and not any(_has_images(folder / name) for name in names):
        lower = {name.lower() for name in names}
        if lower & {*TRAIN_NAMES} and lower & {*VAL_NAMES}:
            return folder
        deeper = folder / next((name for name in names if "train" in name.lower()), names[0])
        if any(deeper.samefile(other) for other in visited):
            return folder
        visited.append(deeper)
        names = subfolders(deeper)
        folder = deeper if names else folder
    return folder


def _has_images(folder: Path) -> bool:
    """Return True if a folder contains an image, judging by the extensions of its files."""
    with os.scandir(folder) as entries:
        return any(e.name.lower().endswith(EXTENSIONS) and not e.is_dir() for e in entries)


def list_images(folder: Path) -> Listing:
    """Return the files below a folder: images (recognized by extension or content) and all others."""
    images, skipped = [], []
    for path, regular in _files(folder):
        if regular and (path.lower().endswith(EXTENSIONS) or _begins_as_image(path)):
            images.append(os.fsencode(path))
        else:
            skipped.append(path)
    return Listing(sorted(images), sorted(skipped))


def _files(folder: Path) -> Iterator[tuple[str, bool]]:
    """Yield the files below a folder, except hidden files; False marks pipes, devices and broken links.

    Links are followed, except to folders that contain `folder`. No folder is read twice.
    """
    waiting = [str(folder)]
    visited = {(status.st_dev, status.st_ino) for status in (p.stat() for p in folder.absolute().parents)}
    while waiting:
        current = waiting.pop()
        status = os.stat(current)  # noqa: PTH116  # creating a Path for every folder would be slow
        if (status.st_dev, status.st_ino) in visited:
            continue
        visited.add((status.st_dev, status.st_ino))
        with os.scandir(current) as entries:
            for entry in entries:
                if _ignored(entry.name):
                    continue
                if entry.is_dir():
                    waiting.append(entry.path)
                else:
                    yield entry.path, entry.is_file()


def _ignored(name: str) -> bool:
    return name.startswith(".") or name.lower() in NOT_CLASSES


def _begins_as_image(path: str) -> bool:
    try:
        with open_regular(path) as file:
            head = file.read(12)
    except OSError:
        return False
    return head.startswith(SIGNATURES) and (not head.startswith(b"RIFF") or head[8:] == b"WEBP")


def skipped_note(folder: Path, skipped: list[str]) -> str:
    """Return a sentence that names the skipped files below a folder.

    >>> skipped_note(Path("set"), ["set/a/notes.txt"])
    'set: skipped 1 file that is not a supported image: a/notes.txt'
    """
    names = [os.path.relpath(path, folder) for path in skipped[:SHOWN]]
    more = f" and {len(skipped) - SHOWN} more" if len(skipped) > SHOWN else ""
    what = "1 file that is not a supported image" if len(skipped) == 1 else ""
    what = what or f"{len(skipped):,} files that are not supported images"
    return f"{folder}: skipped {what}: {', '.join(names)}{more}"
