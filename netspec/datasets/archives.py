"""Reads small images in class folders or in a tar archive of class folders into memory."""

from __future__ import annotations

import logging
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from netspec.datasets.base import keep, key_of, recall
from netspec.datasets.image_folder import Files, scan_parts
from netspec.datasets.in_memory import InMemorySet, Labelled
from netspec.datasets.layout import EXTENSIONS
from netspec.errors import DataError
from netspec.transforms.pixels import DECODE_ERRORS, MAX_BYTES, BadImage, Pixels, decode, reason

if TYPE_CHECKING:
    from netspec.datasets.registry import TorchvisionSet

PARTS = ("train", "test")

logger = logging.getLogger(__name__)


def find_images(row: TorchvisionSet, root: Path) -> InMemorySet | None:
    """Return the data set in `train/CLASS/` and `test/CLASS/` below `root`, or in an archive of such folders.

    The archive is a .tar or .tar.gz file: `root` itself, or a file in `root`. Decoded images are cached.

    Returns:
        The data set, or None if `root` has neither such folders nor such an archive.

    Raises:
        DataError: a file cannot be read, or the size of the images or the number of classes is wrong.
    """
    if all((root / part).is_dir() for part in PARTS):
        classes, *files = scan_parts(*(root / part for part in PARTS))
        where, key = root, key_of("class folders", *(each.identity() for each in files))
        content = _cached(row.name, key, where, lambda: _from_folders(row, classes, files))
    elif archive := _archive(root):
        status, where = archive.stat(), archive
        key = key_of("archive", archive.resolve(), status.st_size, status.st_mtime_ns)
        content = _cached(row.name, key, where, lambda: _from_archive(row, archive))
    else:
        return None
    classes = tuple(content["classes"])
    if len(classes) != row.classes:
        message = f"{where} has {len(classes)} classes, but {row.name} has {row.classes}"
        raise DataError(f"{message}: name another `root`, or use folder:PATH")
    return InMemorySet(
        row.name, classes, *(Labelled(content[part], content[f"{part} labels"]) for part in PARTS)
    )


def _archive(root: Path) -> Path | None:
    """Return `root` if it is a file, otherwise the only archive in it; torchvision's archives are ignored."""
    if root.is_file():
        return root
    found = [p for p in sorted(root.glob("*.tar*")) if p.is_file() and "-python" not in p.name]
    found = [p for p in found if "_binary" not in p.name]
    if len(found) > 1:
        raise DataError(f"{root} holds {len(found)} archives, such as {found[0].name}: name one as `root`")
    return found[0] if found else None


def _cached(name: str, key: str, where: Path, decode_all: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return the decoded images from the cache, or decode and cache them."""
    if (found := recall(name, key)) is None:
        logger.info("decoding %s: this happens only once", where)
        found = decode_all()
        keep(name, key, found)
    return found


def _from_folders(row: TorchvisionSet, classes: tuple[str, ...], parts: list[Files]) -> dict[str, Any]:
    content: dict[str, Any] = {"classes": list(classes)}
    for part, files in zip(PARTS, parts, strict=True):
        images = [_sized(row, files[index][0], _read(files, index)) for index in range(len(files))]
        content[part], content[f"{part} labels"] = _stacked(images), files.labels
    return content


def _read(files: Files, index: int) -> Pixels:
    pixels = files.photo(index)
    if isinstance(pixels, BadImage):
        raise DataError(f"{pixels.path} cannot be read ({pixels.reason}): replace or remove the file")
    return pixels


def _sized(row: TorchvisionSet, path: str, pixels: Pixels) -> Pixels:
    """Return the image; raises DataError if its size is not that of the data set's images."""
    height, width = pixels.shape[:2]
    if (height, width) != (row.size, row.size):
        message = f"{path} is {width}x{height}, not {row.size}x{row.size}"
        raise DataError(f"{message}: use folder:PATH for images of other sizes")
    return pixels


def _stacked(images: list[Pixels]) -> Tensor:
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()


def _from_archive(row: TorchvisionSet, archive: Path) -> dict[str, Any]:
    """Return the decoded images of an archive, read in a single pass; they may be stored in any order."""
    found: dict[tuple[str, str, str], Pixels] = {}
    try:
        with tarfile.open(archive) as file:
            for entry, *key in _entries(file):
                stream = file.extractfile(entry)
                assert stream is not None, "a regular file has content"
                try:
                    pixels = decode(stream.read(MAX_BYTES + 1))
                except DECODE_ERRORS as error:
                    message = f"{archive}:{entry.name} cannot be read ({reason(error)})"
                    raise DataError(f"{message}: replace the archive") from error
                part, label, name = key
                found[part, label, name] = _sized(row, f"{archive}:{entry.name}", pixels)
    except (tarfile.TarError, OSError, EOFError) as error:
        raise DataError(f"{archive} cannot be read ({error}): download it again") from error
    return _sorted(archive, found)


def _entries(file: tarfile.TarFile) -> Iterator[tuple[tarfile.TarInfo, str, str, str]]:
    """Yield each image of an archive with its split (train or test), its class and its file name."""
    for entry in file:
        path = PurePosixPath(entry.name)
        if entry.isfile() and len(path.parts) >= 3 and path.suffix.lower() in EXTENSIONS:
            part, label, name = path.parts[-3:]
            if part in PARTS and not name.startswith("."):
                yield entry, part, label, name


def _sorted(archive: Path, found: dict[tuple[str, str, str], Pixels]) -> dict[str, Any]:
    """Return the images and class indices of each split, sorted by class and file name."""
    classes = sorted({label for part, label, _ in found if part == "train"})
    content: dict[str, Any] = {"classes": classes}
    for part in PARTS:
        keys = sorted(key for key in found if key[0] == part and key[1] in classes)
        if not keys:
            raise DataError(f"{archive} has no images in {part}/CLASS/: name another archive as `root`")
        content[part] = _stacked([found[key] for key in keys])
        content[f"{part} labels"] = torch.tensor([classes.index(label) for _, label, _ in keys])
    return content
