"""`netspec prepare`: resize a data set's images once and write them to one file that is fast to read."""

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
from netspec.datasets.loader import start_worker, unchanged
from netspec.datasets.packed import PARTS, Contents, Writer
from netspec.datasets.registry import DATASETS, find_row, open_data
from netspec.datasets.screening import named
from netspec.errors import DataError
from netspec.files import write_file
from netspec.transforms.pixels import LONG, BadImage, Box, resized_shape, window

logger = logging.getLogger(__name__)

SAMPLE = 64
"""The number of images from which the size of the copy is estimated."""
MARGIN = 1.05
"""The required free disk space, as a multiple of the estimated size of the copy."""

Item: TypeAlias = tuple[bytes, int, int] | BadImage


def prepare(
    data: str, root: Path | None, out: Path, *, size: int, quality: int | None, val_share: float
) -> None:
    """Write a prepared copy of a data set to `out`, a file or an existing folder.

    The file gets its final name only when it is complete. `size` is the short side in pixels. `quality` is
    the JPEG quality, or None for uncompressed pixels.

    Raises:
        DataError: the data set has no image files, an image cannot be read, or the disk has too little space.
        FileError: the copy cannot be written.
    """
    row, argument = find_row(data)
    if not row.photos:
        photos = ", ".join(each.spelling for each in DATASETS.values() if each.photos)
        message = f"{data} cannot be prepared, because it does not consist of image files"
        raise DataError(f"{message}: use one of {photos}", wrong_use=True)
    source = open_data(data, root, val_share=val_share)
    assert isinstance(source, ImageFolder), "rows of photos open as files"
    if out.is_dir():
        out = out / f"{Path(argument).name or row.name}-{size}.safetensors"
    if out.exists():
        raise DataError(f"{out} already exists: remove it or choose another `out`", wrong_use=True)
    packer = Packer(source, size, quality)
    _check_room(packer, out)
    for draft in out.parent.glob(f".{out.name}.????????"):
        draft.unlink()  # left by a run that was killed
    write_file(out, lambda file: _write(packer, file))
    done = f"{out}: {len(packer):,} images, {_size(out.stat().st_size)}"
    logger.info("%s; train with `data=prepared:%s`", done, out)


class Packer(Dataset[Item]):
    """Resizes images (training images first) and returns the bytes, height and width of each."""

    def __init__(self, source: ImageFolder, size: int, quality: int | None) -> None:
        self.source, self.size, self.quality = source, size, quality

    def __len__(self) -> int:
        return self.source.train_images + self.source.val_images

    def file(self, index: int) -> tuple[Files, int]:
        """Return the files of the split that contains an image, and the image's index in the split."""
        first = self.source.train_images
        return (self.source.train, index) if index < first else (self.source.val, index - first)

    def __getitem__(self, index: int) -> Item:
        files, number = self.file(index)
        pixels = files.photo(number)
        if isinstance(pixels, BadImage):
            return pixels
        shape = resized_shape(pixels.shape[:2], self.size)
        # The ends of a very long image could take gigabytes, and training reads only the centre square, so
        # they are cut off: an even number of pixels, so that the square stays in the same place.
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
    """Write a complete copy; raises DataError with the names of all images that cannot be read."""
    source, first = packer.source, packer.source.train_images
    rows, bad = np.zeros((len(packer), 5), np.int64), list[BadImage]()
    parts = dict(zip(PARTS, (rows[:first], rows[first:]), strict=True))
    writer = Writer(file, Contents(source.name, packer.size, packer.quality, source.class_names, parts))
    for index, item in enumerate(track(_items(packer), "preparing", len(packer), console=_console())):
        if isinstance(item, BadImage):
            bad.append(item)
        elif not bad:  # after an unreadable image, the rest is read only to find other unreadable images
            content, height, width = item
            files, number = packer.file(index)
            rows[index] = (*writer.add(content), height, width, int(files.labels[number]))
    if bad:
        raise DataError(named(bad))
    writer.close()


def _items(packer: Packer) -> Iterator[Item]:
    loader = DataLoader(
        packer,
        batch_size=None,
        num_workers=min(8, cores()),
        collate_fn=unchanged,
        worker_init_fn=start_worker,
        generator=torch.Generator(),
    )
    yield from loader


def _check_room(packer: Packer, out: Path) -> None:
    """Log the estimated size of the copy; raises DataError if the disk has too little space."""
    chosen = range(0, len(packer), -(-len(packer) // SAMPLE))
    found = [len(item[0]) for item in (packer[i] for i in chosen) if not isinstance(item, BadImage)]
    to_come = int(len(packer) * sum(found) / max(len(found), 1))
    try:
        free = shutil.disk_usage(out.absolute().parent).free
    except OSError as error:
        raise DataError(f"{out.absolute().parent} cannot be written to: {error.strerror}") from error
    logger.info("%s images, about %s; %s are free", f"{len(packer):,}", _size(to_come), _size(free))
    if to_come * MARGIN > free:
        message = f"{out} would take about {_size(to_come)}, but only {_size(free)} are free there"
        way = "set `out` to a file on another disk" + (
            "" if packer.quality else ", or store JPEGs with `quality=95`"
        )
        raise DataError(f"{message}: {way}")


def _size(count: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def _console() -> Console:
    return Console(stderr=True)
