"""Reads WebDataset shards: tar archives in which an image and its class index share a file name."""

from __future__ import annotations

import logging
import re
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from netspec.datasets.base import keep, key_of, recall
from netspec.datasets.layout import EXTENSIONS
from netspec.datasets.photos import PhotoSet
from netspec.errors import DataError
from netspec.files import open_regular
from netspec.transforms.pixels import DECODE_ERRORS, MAX_BYTES, BadImage, Pixels, decode, read_ends, reason

if TYPE_CHECKING:
    from netspec.datasets.registry import DataSet, Request

logger = logging.getLogger(__name__)

LABEL = ".cls"
WORDS = {"train": {"train", "training"}, "val": {"val", "valid", "validation"}}
"""The words in the name of an archive that identify its split."""
DIGITS = 6
"""The maximum number of digits of a class index."""

Rows = np.ndarray[tuple[int, int], np.dtype[np.int64]]
"""A row for each image: its shard, its begin and end offsets in the shard, and its class index."""


@dataclass(frozen=True)
class Shards:
    """Images in archives, each read at its offset, in any order."""

    paths: tuple[Path, ...]
    rows: Rows

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def labels(self) -> Tensor:
        """The class index of each image, int64 N."""
        return torch.from_numpy(self.rows[:, 3].copy())

    def photo(self, index: int) -> Pixels | BadImage:
        """Return the decoded pixels of one image, or a BadImage with the reason why it cannot be read."""
        shard, begin, end, _ = self.rows[index].tolist()
        path = self.paths[shard]
        try:
            with open_regular(path) as file:
                file.seek(begin)
                return decode(file.read(min(end - begin, MAX_BYTES + 1)))
        except DECODE_ERRORS as error:
            return BadImage(f"the image at byte {begin:,} of {path}", reason(error))

    def ends(self, index: int) -> tuple[bytes, bytes]:
        """Return the first and last bytes of an image. Both are empty if its archive cannot be read."""
        shard, begin, end, _ = self.rows[index].tolist()
        try:
            with open_regular(self.paths[shard]) as file:
                return read_ends(file, begin, end)
        except OSError:
            return b"", b""

    def chosen(self, mask: Tensor) -> Shards:
        """Return the images for which the mask is true, in the same order."""
        return Shards(self.paths, self.rows[mask.numpy()])

    def between(self, rows: slice) -> Shards:
        """Return a range of the images."""
        return Shards(self.paths, self.rows[rows])

    def identity(self) -> bytes:
        """Return bytes that change with the archives' paths, sizes and times and with the selected images."""
        return _identity(self.paths).encode() + self.rows.tobytes()


def open_shards(row: DataSet, request: Request) -> PhotoSet[Shards]:
    """Open a folder of archives that have the word train or val in their names.

    The list of their samples is cached.

    Raises:
        DataError: archives are missing or cannot be read, or a sample lacks its image or its class index.
    """
    folder = Path(request.argument)
    train, val = (_listed(folder, part) for part in ("train", "val"))
    count = 1 + max(int(part.rows[:, 3].max()) for part in (train, val))
    empty = sorted(set(range(count)) - set(train.rows[:, 3].tolist()))
    if empty:
        others = f" (and {len(empty) - 1:,} more of {count:,})" if len(empty) > 1 else ""
        logger.info("class %d%s has no training images in %s", empty[0], others, folder)
    return PhotoSet(request.name, tuple(map(str, range(count))), train, val)


def _listed(folder: Path, part: str) -> Shards:
    paths = tuple(sorted(path for path in folder.glob("*.tar") if path.is_file() and _part(path) == part))
    if not paths:
        what = f"has no .tar with the word {part} in its name" if folder.is_dir() else "is not a folder"
        message = f"{folder} {what}"
        raise DataError(f"{message}: name a folder with uncompressed archives for training and validation")
    key = key_of("shards", _identity(paths))
    if (cached := recall("shards", key)) is None:
        logger.info("listing %d shards of %s: this happens only once", len(paths), folder)
        rows = [(number, *place) for number, path in enumerate(paths) for place in samples(path)]
        if not rows:
            raise DataError(f"{paths[0]} holds no samples: download it again")
        cached = {"rows": torch.tensor(rows)}
        keep("shards", key, cached)
    return Shards(paths, cached["rows"].numpy())


def _part(path: Path) -> str | None:
    """Return the split, train or val, that an archive's name contains, or None if it contains neither."""
    words = set(re.findall("[a-z]+", path.stem.lower()))
    found = [part for part, names in WORDS.items() if words & names]
    if len(found) > 1:
        raise DataError(f"{path} has both train and val in its name: rename it to contain only one of them")
    return found[0] if found else None


def _identity(paths: tuple[Path, ...]) -> str:
    found = [(path.resolve(), path.stat()) for path in paths]
    return repr([(str(path), status.st_size, status.st_mtime_ns) for path, status in found])


def samples(path: Path) -> Iterator[tuple[int, int, int]]:
    """Yield the offsets at which each image of a shard begins and ends, and its class index.

    Adjacent entries form one sample if their paths agree up to the first dot of the file name. Hidden
    entries are skipped, and so are samples with neither an image nor a class index.

    Raises:
        DataError: the archive cannot be read, or a sample has an image without a class index or vice versa.
    """
    try:
        with tarfile.open(path, "r:") as archive, path.open("rb") as file:
            files = (e for e in archive if e.isreg() and not PurePosixPath(e.name).name.startswith("."))
            for key, entries in groupby(files, lambda entry: _split(entry)[0]):
                yield from _sample(path, key, entries, file)
    except (tarfile.TarError, OSError) as error:
        raise DataError(f"{path} cannot be read as a tar archive ({error}): download it again") from error


def _split(entry: tarfile.TarInfo) -> tuple[str, str]:
    """Return an entry's path up to the first dot of its file name, which names the sample, and the rest."""
    folder, slash, name = entry.name.rpartition("/")
    stem, dot, ending = name.partition(".")
    return folder + slash + stem, dot + ending


def _sample(
    path: Path, key: str, entries: Iterable[tarfile.TarInfo], file: IO[bytes]
) -> Iterator[tuple[int, int, int]]:
    """Yield the sample in these entries, or nothing if they have neither an image nor a class index."""
    place = label = None
    labelled = False
    for entry in entries:
        ending = _split(entry)[1]
        if (place and ending.lower() in EXTENSIONS) or (labelled and ending == LABEL):
            raise DataError(f"{path} has two images or two class indices for {key}: give each its own name")
        if ending.lower() in EXTENSIONS:
            place = entry.offset_data, entry.offset_data + entry.size
        elif ending == LABEL:
            labelled, label = True, _number(file, entry)
    if place is not None and label is not None:
        yield *place, label
    elif place is not None or labelled:
        lacks = "image" if place is None else f"class index in a {LABEL} file"
        message = f"{path} has no {lacks} for {key}"
        raise DataError(f"{message}: a sample is an image and its {LABEL} file, one after the other")


def _number(file: IO[bytes], entry: tarfile.TarInfo) -> int | None:
    file.seek(entry.offset_data)
    text = file.read(min(entry.size, DIGITS + 1)).strip()
    return int(text) if text.isdigit() and len(text) <= DIGITS else None
