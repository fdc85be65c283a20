"""Prepared copies: the resized images of a data set in one safetensors file, which is memory-mapped."""

from __future__ import annotations

import json
import logging
import mmap
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from safetensors import SafetensorError, safe_open
from torch import Tensor

from netspec.datasets.base import LoaderConfig
from netspec.datasets.photos import PhotoBatches, PhotoSet, short_side
from netspec.errors import DataError
from netspec.files import open_regular
from netspec.files import reason as file_reason
from netspec.transforms.pixels import DECODE_ERRORS, BadImage, Pixels, decode, reason

if TYPE_CHECKING:
    from netspec.datasets.registry import DataSet, Request

logger = logging.getLogger(__name__)

OLD_MAGIC = b"netspec1"
"""The first bytes of prepared copies in the old format, before safetensors."""
ABOUT, ROWS, PHOTOS = "netspec", "rows", "photos"
"""The names in the file: the metadata, the tensor with the table of rows, the tensor with all image bytes."""
PAGE = 4096
MAX_SIDE = 2**16
"""The maximum length of a side of an image in pixels."""
PARTS = ("train", "val")

Rows = np.ndarray[tuple[int, int], np.dtype[np.int64]]
"""A row for each image: start and end of its bytes, height, width and class index."""


class About(BaseModel):
    """The metadata of a file: the fields of Contents, with counts of images instead of rows."""

    model_config = ConfigDict(strict=True, frozen=True)

    source: Annotated[str, Field(max_length=1000)]
    size: Annotated[int, Field(ge=1, le=MAX_SIDE)]
    quality: Annotated[int, Field(ge=1, le=100)] | None
    classes: Annotated[tuple[str, ...], Field(min_length=1, max_length=10**7)]
    photos: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]]


@dataclass(frozen=True)
class Contents:
    """The table of contents of a prepared copy.

    `source` is the name of the data set that was copied, `size` the short side in pixels, and `quality` the
    JPEG quality, or None for uncompressed pixels.
    """

    source: str
    size: int
    quality: int | None
    class_names: tuple[str, ...]
    rows: dict[str, Rows]


class Writer:
    """Writes a prepared copy as a safetensors file, image by image.

    The file has two tensors: a table with a row for each image, and the bytes of all images. The header and
    the table come first in the file but are written last, into reserved space.
    """

    def __init__(self, file: IO[bytes], contents: Contents) -> None:
        self.file, self.contents = file, contents
        count = sum(len(rows) for rows in contents.rows.values())
        self.head = -(-(len(self._header(count, 2**63)) + 8) // PAGE) * PAGE
        file.seek(self.head + 40 * count)
        self.length = 0

    def add(self, content: bytes) -> tuple[int, int]:
        """Append the bytes of an image; return the positions at which they begin and end."""
        self.file.write(content)
        begin, self.length = self.length, self.length + len(content)
        return begin, self.length

    def close(self) -> None:
        """Write the header and the table of rows."""
        rows = np.concatenate([self.contents.rows[part] for part in PARTS]).astype("<i8")
        header = self._header(len(rows), self.length).ljust(self.head - 8)
        self.file.seek(0)
        self.file.write(len(header).to_bytes(8, "little") + header + rows.tobytes())

    def _header(self, count: int, length: int) -> bytes:
        about = {
            "source": self.contents.source,
            "size": self.contents.size,
            "quality": self.contents.quality,
            "classes": self.contents.class_names,
            "photos": [len(self.contents.rows[part]) for part in PARTS],
        }
        end = 40 * count
        tensors = {
            "__metadata__": {ABOUT: json.dumps(about)},
            ROWS: {"dtype": "I64", "shape": [count, 5], "data_offsets": [0, end]},
            PHOTOS: {"dtype": "U8", "shape": [length], "data_offsets": [end, end + length]},
        }
        return json.dumps(tensors).encode()


def read_contents(path: Path) -> tuple[Contents, int]:
    """Return the table of contents of a prepared copy, and the offset of its image bytes in the file.

    Raises:
        DataError: the file is missing, incomplete, or not a prepared copy.
    """
    try:
        with open_regular(path) as start:
            if start.read(8) == OLD_MAGIC:
                message = f"{path} was prepared by an older version of netspec"
                raise DataError(f"{message}: prepare it again with `netspec prepare`")
        with safe_open(path, framework="numpy") as file:
            about = About.model_validate_json(file.metadata()[ABOUT])
            rows, length = file.get_tensor(ROWS), file.get_slice(PHOTOS).get_shape()[0]
        first = about.photos[0]
        parts = {"train": rows[:first], "val": rows[first:]}
        contents = Contents(about.source, about.size, about.quality, about.classes, parts)
        check_rows(rows, length, contents)
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist: create it with `netspec prepare`") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {file_reason(error)}") from error
    except (SafetensorError, ValueError, KeyError, TypeError, IndexError) as error:
        message = f"{path} is not a prepared copy or is incomplete: create it with `netspec prepare`"
        raise DataError(message) from error
    return contents, path.stat().st_size - length


def check_rows(rows: Rows, length: int, contents: Contents) -> None:
    """Raise ValueError if a row does not describe an image within `length` bytes."""
    if rows.ndim != 2 or rows.shape[1] != 5 or rows.dtype != np.int64:
        raise ValueError("the rows have the wrong shape or type")
    begin, end, height, width, label = rows.T
    inside = (begin >= 0) & (begin <= end) & (end <= length) & (height > 0) & (width > 0)
    inside &= (height <= MAX_SIDE) & (width <= MAX_SIDE) & (label >= 0) & (label < len(contents.class_names))
    if contents.quality is None:
        inside &= end - begin == height * width * 3
    if not inside.all() or not all(len(part) for part in contents.rows.values()):
        raise ValueError("a row does not describe an image")


class Packed:
    """The images of one split of a prepared copy. The file is memory-mapped when the first image is read."""

    def __init__(self, path: Path, contents: Contents, rows: Rows, offset: int) -> None:
        self.path, self.contents, self.rows, self.offset = path, contents, rows, offset
        self.labels: Tensor = torch.from_numpy(rows[:, 4].copy())
        self._bytes: np.ndarray[tuple[int], np.dtype[np.uint8]] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_bytes": None}  # otherwise each worker would get a copy of the file

    def photo(self, index: int) -> Pixels | BadImage:
        """Return an image's pixels, which are a view of the file unless it stores JPEGs."""
        if self._bytes is None:
            with self.path.open("rb") as file:
                # torch warns about read-only arrays; writing to this mapping does not change the file.
                content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
            self._bytes = np.frombuffer(content, np.uint8, offset=self.offset)
        begin, end, height, width, _ = self.rows[index].tolist()
        if self.contents.quality is None:
            return self._bytes[begin:end].reshape(height, width, 3)
        try:
            return decode(self._bytes[begin:end].tobytes())
        except DECODE_ERRORS as error:
            return BadImage(f"photo {index} of {self.path}", reason(error))

    def ends(self, index: int) -> None:
        """Return None: the images are known to be readable, because they were decoded for this copy."""

    def chosen(self, mask: Tensor) -> Packed:
        """Return the images for which the mask is true, in the same order."""
        return Packed(self.path, self.contents, self.rows[mask.numpy()], self.offset)

    def between(self, rows: slice) -> Packed:
        """Return a range of the images."""
        return Packed(self.path, self.contents, self.rows[rows], self.offset)

    def identity(self) -> bytes:
        """Return bytes that change with the file's path, size or time and with the selected images."""
        status = self.path.stat()
        return f"{self.path.resolve()} {status.st_size} {status.st_mtime_ns} ".encode() + self.rows.tobytes()


class Prepared(PhotoSet[Packed]):
    """A data set that is read from a prepared copy."""

    @property
    def is_imagenet(self) -> bool:
        """Whether the images are ImageNet's, whose mean and principal components are published."""
        return self.train.contents.source == "imagenet"

    def open(self, config: LoaderConfig) -> PhotoBatches[Packed]:
        """Return batches; raises DataError if the recipe needs larger images than the copy has."""
        contents = self.train.contents
        short = short_side(config.recipe, config.size)
        if short > contents.size:
            message = f"{self.train.path} was prepared with a short side of {contents.size}"
            if config.recipe.resize is not None or contents.size < max(config.size):
                way = f"prepare it again with size {short}, or change `train.resize`"
                raise DataError(f"{message}, but the recipe resizes to {short}: {way}")
            recipe = config.recipe.model_copy(update={"resize": contents.size})
            config = replace(config, recipe=recipe)
        elif short < contents.size:
            message = (
                f"the images in {self.train.path} are resized a second time, from {contents.size} to {short}"
            )
            logger.info("%s: prepare a copy of size %d to avoid this", message, short)
        return super().open(config)


def open_prepared(row: DataSet, request: Request) -> Prepared:
    """Open a prepared copy. Only its table of contents is read at once."""
    path = Path(request.argument)
    contents, offset = read_contents(path)
    train, val = (Packed(path, contents, contents.rows[part], offset) for part in PARTS)
    return Prepared(request.name, contents.class_names, train, val)
