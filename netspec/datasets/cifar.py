"""CIFAR-10 and CIFAR-100 (Krizhevsky, 2009): torchvision's files, or JPEGs in class folders or an archive."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from netspec.datasets.base import announce
from netspec.datasets.cache import keep, key_of, recall
from netspec.datasets.fetch import fetching
from netspec.datasets.image_folder import Files, class_folders, scan
from netspec.datasets.in_memory import InMemorySet, Labelled
from netspec.datasets.info import EXTENSIONS
from netspec.errors import DataError
from netspec.transforms.decode import TROUBLE, BadImage, Pixels, decode, reason

SIDE = 32
THEIRS = {"cifar10": "CIFAR10", "cifar100": "CIFAR100"}
CLASSES = {"cifar10": 10, "cifar100": 100}
PARTS = ("train", "test")
WAY = "put torchvision's files there, or train/ and test/ with class folders, or name the place"


def open_cifar(name: str, root: Path, download: bool = True) -> InMemorySet:
    """Load a set from a folder or an archive, or download it; JPEGs are decoded once, and kept.

    Under `root` may lie torchvision's files, `train/` and `test/` with class folders of JPEGs, or a .tar or
    .tar.gz of such folders; `root` may be the archive itself.
    """
    if all((root / part).is_dir() for part in PARTS):
        classes, *files = _scan(root)
        key = key_of("class folders", *(each.identity() for each in files))
        return _checked(name, root, _kept(name, key, lambda: _from_folders(classes, files), root))
    archive = _archive(root)
    if archive:
        status = archive.stat()
        key = key_of("archive", archive.resolve(), status.st_size, status.st_mtime_ns)
        return _checked(name, archive, _kept(name, key, lambda: _from_archive(archive), archive))
    return _torchvisions(name, root, download)


def _scan(root: Path) -> tuple[tuple[str, ...], Files, Files]:
    classes = class_folders(root / "train")
    if classes != class_folders(root / "test"):
        raise DataError(f"{root} has other class folders in train/ than in test/: make them the same")
    return classes, scan(root / "train", classes), scan(root / "test", classes)


def _archive(root: Path) -> Path | None:
    """An archive of JPEGs: the root itself, or the only one in it that is not torchvision's own."""
    if root.is_file():
        return root
    found = [p for p in sorted(root.glob("*.tar*")) if p.is_file() and "-python" not in p.name]
    if len(found) > 1:
        raise DataError(f"{root} holds {len(found)} archives, such as {found[0].name}: name one with --root")
    return found[0] if found else None


def _kept(name: str, key: str, make: Any, where: Path) -> dict[str, Any]:
    """What was decoded before, or is decoded now and kept."""
    if (found := recall(name, key)) is None:
        announce(f"decoding {where}: this happens once")
        found = make()
        keep(name, key, found)
    return found


def _from_folders(classes: tuple[str, ...], parts: list[Files]) -> dict[str, Any]:
    content: dict[str, Any] = {"classes": list(classes)}
    for part, files in zip(PARTS, parts, strict=True):
        content[part] = torch.from_numpy(np.stack([_image(*_read(files, i)) for i in range(len(files))]))
        content[f"{part} labels"] = files.labels
    return content


def _read(files: Files, index: int) -> tuple[str, Pixels]:
    pixels = files.photo(index)
    if isinstance(pixels, BadImage):
        raise DataError(f"{pixels.path} cannot be read ({pixels.reason}): replace the file, or remove it")
    return files[index][0], pixels


def _image(path: str, pixels: Pixels) -> np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]:
    """Check the size, and put the channels first."""
    if pixels.shape[:2] != (SIDE, SIDE):
        height, width = pixels.shape[:2]
        raise DataError(f"{path} is {width}x{height}, not {SIDE}x{SIDE}: use folder:PATH for other images")
    return pixels.transpose(2, 0, 1)


def _from_archive(archive: Path) -> dict[str, Any]:
    """Decode an archive in one pass, whatever the order in it; raises DataError with the entry's name."""
    found: dict[tuple[str, str, str], Any] = {}
    try:
        with tarfile.open(archive) as file:
            for entry, part, label, name in _entries(file):
                stream = file.extractfile(entry)
                assert stream is not None, "a regular file has content"
                try:
                    found[part, label, name] = _image(f"{archive}:{entry.name}", decode(stream.read()))
                except TROUBLE as error:
                    message = f"{archive}:{entry.name} cannot be read ({reason(error)})"
                    raise DataError(f"{message}: replace the archive") from error
    except (tarfile.TarError, OSError, EOFError) as error:
        raise DataError(f"{archive} cannot be read ({error}): fetch it again") from error
    classes = sorted({label for part, label, _ in found if part == "train"})
    content: dict[str, Any] = {"classes": classes}
    for part in PARTS:
        keys = sorted(key for key in found if key[0] == part and key[1] in classes)
        if not keys:
            raise DataError(f"{archive} has no images in {part}/CLASS/: name another with --root")
        content[part] = torch.from_numpy(np.stack([found[key] for key in keys]))
        content[f"{part} labels"] = torch.tensor([classes.index(label) for _, label, _ in keys])
    return content


def _entries(file: tarfile.TarFile) -> Iterator[tuple[tarfile.TarInfo, str, str, str]]:
    """The images that lie in train/CLASS/ or test/CLASS/, at any depth."""
    for entry in file:
        steps = entry.name.split("/")
        is_image = entry.isreg() and entry.name.lower().endswith(EXTENSIONS)
        if is_image and len(steps) >= 3 and steps[-3] in PARTS:
            yield entry, *steps[-3:]  # type: ignore[misc]


def _checked(name: str, where: Path, content: dict[str, Any]) -> InMemorySet:
    classes = tuple(content["classes"])
    if len(classes) != CLASSES[name]:
        message = f"{where} has {len(classes)} classes, and {name} has {CLASSES[name]}"
        raise DataError(f"{message}: name another place with --root, or use folder:PATH")
    parts = [Labelled(content[part], content[f"{part} labels"]) for part in PARTS]
    return InMemorySet(name, classes, *parts)


def _torchvisions(name: str, root: Path, download: bool) -> InMemorySet:
    from torchvision import datasets

    kind = getattr(datasets, THEIRS[name])
    with fetching(root, THEIRS[name], WAY):
        whole = [_load(kind, root, train, download) for train in (True, False)]
    parts = [
        Labelled(torch.from_numpy(part.data.transpose(0, 3, 1, 2).copy()), torch.tensor(part.targets))
        for part in whole
    ]
    return InMemorySet(name, tuple(whole[0].classes), *parts)


def _load(kind: Any, root: Path, train: bool, download: bool) -> Any:
    """Load torchvision's files where they are, and fetch them only where they are not."""
    try:
        return kind(str(root), train=train)
    except RuntimeError as error:
        if not download:
            raise DataError(f"{root} holds no {kind.__name__}: {WAY} with --root") from error
        return kind(str(root), train=train, download=True)
