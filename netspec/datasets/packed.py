"""Prepared copies: the resized photos of a set, one after another in one memory-mapped file."""

from __future__ import annotations

import json
import logging
import mmap
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from netspec.datasets.base import LoaderConfig
from netspec.datasets.photos import PhotoBatches, PhotoSet, short_side
from netspec.errors import DataError
from netspec.transforms.decode import TROUBLE, BadImage, Pixels, decode, reason

if TYPE_CHECKING:
    from netspec.datasets.registry import DataSet, Request

logger = logging.getLogger(__name__)

MAGIC = b"netspec1"
PARTS = ("train", "val")

Rows = np.ndarray[tuple[int, int], np.dtype[np.int64]]
"""A row for each photo: the offsets at which it begins and ends, its height, width and class number."""


@dataclass(frozen=True)
class Contents:
    """The table of contents at the end of a prepared copy.

    `source` is the name of the set that was copied, `size` the short side in pixels, and `quality` that of
    the JPEGs, or None for uncompressed pixels.
    """

    source: str
    size: int
    quality: int | None
    class_names: tuple[str, ...]
    rows: dict[str, Rows]


def footer(contents: Contents) -> bytes:
    """The table of contents as bytes: the rows, JSON, the length of the JSON, and the magic bytes."""
    about = {
        "source": contents.source,
        "size": contents.size,
        "quality": contents.quality,
        "classes": contents.class_names,
        "photos": [len(contents.rows[part]) for part in PARTS],
    }
    text = json.dumps(about).encode()
    rows = b"".join(contents.rows[part].astype("<i8").tobytes() for part in PARTS)
    return rows + text + len(text).to_bytes(8, "little") + MAGIC


def read_contents(path: Path) -> Contents:
    """Read the table of contents of a prepared copy; raises DataError for any other or incomplete file."""
    try:
        with path.open("rb") as file:
            end = file.seek(0, 2)
            if end < 24 or _at(file, 0, 8) != MAGIC or _at(file, end - 8, 8) != MAGIC:
                raise ValueError
            length = int.from_bytes(_at(file, end - 16, 8), "little")
            about = json.loads(_at(file, end - 16 - length, length))
            counts = about["photos"]
            begin = end - 16 - length - 40 * sum(counts)
            rows = np.frombuffer(_at(file, begin, 40 * sum(counts)), "<i8").reshape(-1, 5).astype(np.int64)
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist: make it with `netspec prepare`") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        message = f"{path} is not a prepared copy, or is incomplete: make it with `netspec prepare`"
        raise DataError(message) from error
    parts = {"train": rows[: counts[0]], "val": rows[counts[0] :]}
    return Contents(about["source"], about["size"], about["quality"], tuple(about["classes"]), parts)


def _at(file: Any, place: int, length: int) -> bytes:
    file.seek(place)
    content: bytes = file.read(length)
    return content


class Packed:
    """The photos of one part of a prepared copy, memory-mapped when the first is read."""

    def __init__(self, path: Path, contents: Contents, rows: Rows) -> None:
        self.path, self.contents, self.rows = path, contents, rows
        self.labels: Tensor = torch.from_numpy(rows[:, 4].copy())
        self._bytes: np.ndarray[tuple[int], np.dtype[np.uint8]] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_bytes": None}  # or each worker would get a copy of the file

    def photo(self, index: int) -> Pixels | BadImage:
        """A photo's pixels, which are a view of the file unless it stores JPEGs."""
        if self._bytes is None:
            with self.path.open("rb") as file:
                # torch warns about read-only arrays; writing to this mapping does not change the file.
                content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
            self._bytes = np.frombuffer(content, np.uint8)
        begin, end, height, width, _ = self.rows[index].tolist()
        if self.contents.quality is None:
            return self._bytes[begin:end].reshape(height, width, 3)
        try:
            return decode(self._bytes[begin:end].tobytes())
        except TROUBLE as error:
            return BadImage(f"photo {index} of {self.path}", reason(error))

    def chosen(self, mask: Tensor) -> Packed:
        """The photos where a mask is true, in the same order."""
        return Packed(self.path, self.contents, self.rows[mask.numpy()])

    def between(self, rows: slice) -> Packed:
        """The photos of a range of rows."""
        return Packed(self.path, self.contents, self.rows[rows])

    def identity(self) -> bytes:
        """Bytes that change with the file's path, size or time, and with the selected photos."""
        status = self.path.stat()
        return f"{self.path.resolve()} {status.st_size} {status.st_mtime_ns} ".encode() + self.rows.tobytes()


class Prepared(PhotoSet[Packed]):
    """Photos of a prepared copy."""

    @property
    def is_imagenet(self) -> bool:
        """Whether the photos are ImageNet's, whose mean and colours are published."""
        return self.train.contents.source == "imagenet"

    def open(self, config: LoaderConfig) -> PhotoBatches[Packed]:
        """Prepare the readers; raises DataError where the recipe needs larger photos than the copy has."""
        contents = self.train.contents
        short = short_side(config.recipe, config.size)
        if short > contents.size:
            message = f"{self.train.path} was prepared with a short side of {contents.size}"
            if config.recipe.resize is not None or contents.size < max(config.size):
                way = f"prepare it again with `size={short}`, or change `train.resize`"
                raise DataError(f"{message}, but the recipe resizes to {short}: {way}")
            recipe = config.recipe.model_copy(update={"resize": contents.size})
            config = replace(config, recipe=recipe)
        elif short < contents.size:
            message = f"{self.train.path} is resized a second time, from {contents.size} to {short}"
            logger.info("%s: prepare it with `size=%d` to get the pixels of the files", message, short)
        return super().open(config)


def open_prepared(row: DataSet, request: Request) -> Prepared:
    """Open a prepared copy, of which only the table of contents is read now."""
    path = Path(request.argument)
    contents = read_contents(path)
    train, val = (Packed(path, contents, contents.rows[part]) for part in PARTS)
    return Prepared(request.name, contents.class_names, train, val)
