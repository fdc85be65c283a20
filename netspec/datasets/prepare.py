"""`netspec prepare`: resize a set's photos once, and write them into one file that training reads fast."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TypeAlias

import numpy as np
import simplejpeg
import torch
from rich.console import Console
from rich.progress import track
from torch.utils.data import DataLoader, Dataset

from netspec.datasets.base import cores
from netspec.datasets.image_folder import Files, ImageFolder
from netspec.datasets.loader import as_it_is, begin_worker
from netspec.datasets.packed import MAGIC, PARTS, Contents, footer
from netspec.datasets.registry import DATASETS, find_row, open_data
from netspec.errors import DataError
from netspec.files import write_file
from netspec.transforms.decode import BadImage
from netspec.transforms.resize import LONG, Box, resized_shape, window

logger = logging.getLogger(__name__)

SAMPLE = 64  # photos that the size to come is estimated from
MARGIN = 1.05  # room on the disk over that estimate
NAMED = 10  # bad images that are named before the rest is counted

Item: TypeAlias = tuple[bytes, int, int] | BadImage


def prepare(
    data: str, root: Path | None, out: Path, *, size: int, quality: int | None, val_share: float
) -> None:
    """Write a prepared copy of `imagenet` or `folder:PATH` to `out`, a file or the folder to put it into.

    The copy takes its name only once it is whole and on the disk. Raises DataError for a set that has no
    photos in folders, for images that cannot be read, and where the disk lacks the room.
    """
    row, argument = find_row(data)
    if not row.photos:
        photos = ", ".join(each.spelling for each in DATASETS.values() if each.photos)
        message = f"{data} needs no preparing, which is for sets of photos"
        raise DataError(f"{message}: {photos}", wrong_use=True)
    source = open_data(data, root, val_share=val_share)
    assert isinstance(source, ImageFolder), "rows of photos open as files"
    if out.is_dir():
        out = out / f"{Path(argument).name or row.name}-{size}.pack"
    if out.exists():
        raise DataError(f"{out} exists already: remove it, or name another file as `out`", wrong_use=True)
    packer = Packer(source, size, quality)
    _check_room(packer, out)
    for draft in out.parent.glob(f".{out.name}.????????"):
        draft.unlink()  # left by a run that was killed
    write_file(out, lambda file: _write(packer, file))
    done = f"{out}: {len(packer):,} images, {_size(out.stat().st_size)}"
    logger.info("%s; train with `data=prepared:%s`", done, out)


class Packer(Dataset[Item]):
    """Resizes photos, those to train on first; gives their bytes, height and width."""

    def __init__(self, source: ImageFolder, size: int, quality: int | None) -> None:
        self.source, self.size, self.quality = source, size, quality

    def __len__(self) -> int:
        return self.source.train_images + self.source.val_images

    def file(self, index: int) -> tuple[Files, int]:
        """Where a photo is: its part, and its number there."""
        first = self.source.train_images
        return (self.source.train, index) if index < first else (self.source.val, index - first)

    def __getitem__(self, index: int) -> Item:
        files, number = self.file(index)
        pixels = files.photo(number)
        if isinstance(pixels, BadImage):
            return pixels
        shape = resized_shape(pixels.shape[:2], self.size)
        # The ends of a very long photo, which the centre square is far from, could take gigabytes. An even
        # number goes, since the square's place is rounded to an even one.
        top, left = (max(side - LONG * self.size, 0) // 4 * 2 for side in shape)
        height, width = shape[0] - 2 * top, shape[1] - 2 * left
        resized = window(pixels, self.size, Box(top, left, height, width)).contiguous().numpy()
        if self.quality is None:
            return resized.tobytes(), height, width
        try:
            return simplejpeg.encode_jpeg(resized, quality=self.quality), height, width
        except ValueError as error:  # a JPEG has at most 65,535 pixels on a side
            return BadImage(files[number][0], str(error))


def _write(packer: Packer, file: IO[bytes]) -> None:
    file.write(MAGIC)
    place, rows, bad = len(MAGIC), np.zeros((len(packer), 5), np.int64), list[BadImage]()
    for index, item in enumerate(track(_items(packer), "preparing", len(packer), console=_console())):
        if isinstance(item, BadImage):
            bad.append(item)
        elif not bad:  # with a bad one, the rest is read only to name all that are bad
            content, height, width = item
            file.write(content)
            files, number = packer.file(index)
            rows[index] = (place, place + len(content), height, width, int(files.labels[number]))
            place += len(content)
    if bad:
        names = "; ".join(f"{each.path} ({each.reason})" for each in bad[:NAMED])
        more = f"; and {len(bad) - NAMED} more" if len(bad) > NAMED else ""
        raise DataError(
            f"{len(bad)} image{'s' * (len(bad) != 1)} cannot be read: replace or remove {names}{more}"
        )
    source, first = packer.source, packer.source.train_images
    parts = dict(zip(PARTS, (rows[:first], rows[first:]), strict=True))
    file.write(footer(Contents(source.name, packer.size, packer.quality, source.class_names, parts)))


def _items(packer: Packer) -> Iterator[Item]:
    loader = DataLoader(
        packer,
        batch_size=None,
        num_workers=min(8, cores()),
        collate_fn=as_it_is,
        worker_init_fn=begin_worker,
        generator=torch.Generator(),
    )
    yield from loader


def _check_room(packer: Packer, out: Path) -> None:
    """Say how large the copy will be, and refuse where the disk lacks the room."""
    chosen = range(0, len(packer), -(-len(packer) // SAMPLE))
    found = [len(item[0]) for item in (packer[i] for i in chosen) if not isinstance(item, BadImage)]
    to_come = int(len(packer) * sum(found) / max(len(found), 1))
    try:
        free = shutil.disk_usage(out.absolute().parent).free
    except OSError as error:
        raise DataError(f"{out.absolute().parent} cannot be written to: {error.strerror}") from error
    logger.info("%s images, about %s; %s are free", f"{len(packer):,}", _size(to_come), _size(free))
    if to_come * MARGIN > free:
        message = f"{out} would take about {_size(to_come)}, and {_size(free)} are free there"
        way = "name another disk as `out`" + ("" if packer.quality else ", or store JPEGs with `quality=95`")
        raise DataError(f"{message}: {way}")


def _size(count: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def _console() -> Console:
    return Console(stderr=True)
