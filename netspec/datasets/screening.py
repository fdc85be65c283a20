"""Finds unreadable images before training without decoding all images."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

import simplejpeg
import torch

from netspec.datasets.base import Data, keep, key_of, recall
from netspec.datasets.photos import PhotoFiles, PhotoSet
from netspec.errors import DataError
from netspec.transforms.pixels import MAX_PIXELS, BadImage

P = TypeVar("P", bound=PhotoFiles)
NAMED = 10
"""The maximum number of unreadable images that an error names."""
LARGE = 20_000
"""The number of images from which the search takes long enough to be announced."""

logger = logging.getLogger(__name__)


def screened(data: Data, *, skip_bad: bool, training: bool = True) -> tuple[Data, list[BadImage]]:
    """Return a data set without its unreadable images, and a list of those images.

    Only PhotoSets are screened. All files are decoded, except those that begin and end like a complete JPEG
    or PNG. The result is cached. With `training=False`, only validation images are screened.

    Raises:
        DataError: images cannot be read and `skip_bad` is false, or no readable image is left for a class or
            for validation.
    """
    if not isinstance(data, PhotoSet):
        return data, []
    parts = ("train", "val") if training else ("val",)
    bad = {part: _find_bad(getattr(data, part), data.name) for part in parts}
    found = [each for images in bad.values() for each in images.values()]
    if not found:
        return data, []
    if not skip_bad:
        skipping = ", or leave out all unreadable images with `skip_bad=True`" if training else ""
        raise DataError(f"{named(found)}{skipping}")
    rest = replace(data, **{part: _without(getattr(data, part), images) for part, images in bad.items()})
    _check_classes(data, rest)
    if not len(rest.val):
        raise DataError(f"no validation image of {data.name} can be read: {named(found)}")
    images = "1 image that cannot be read is" if len(found) == 1 else f"{len(found)} unreadable images are"
    logger.warning("%s left out: %s", images, described(found[:NAMED]))
    return rest, found


def named(bad: Sequence[BadImage]) -> str:
    """Return a sentence that names unreadable images and says to replace or remove them."""
    more = f"; and {len(bad) - NAMED} more" if len(bad) > NAMED else ""
    images = f"{len(bad)} image{'s' * (len(bad) != 1)}"
    return f"{images} cannot be read: replace or remove {described(bad[:NAMED])}{more}"


def described(bad: Iterable[BadImage]) -> str:
    """Return the names of images with the reasons why they cannot be read."""
    return "; ".join(f"{each.path} ({each.reason})" for each in bad)


def _find_bad(photos: PhotoFiles, name: str) -> dict[int, BadImage]:
    """Return the unreadable images by their indices."""
    key = key_of("readable", photos.identity())
    if (cached := recall("readable", key)) is None:
        if len(photos) >= LARGE:
            logger.info("looking for unreadable images in %s: this happens only once", name)
        checked = ((index, _check(photos, index)) for index in range(len(photos)))
        cached = {"bad": [(index, bad.path, bad.reason) for index, bad in checked if bad]}
        keep("readable", key, cached)
    return {index: BadImage(path, reason) for index, path, reason in cached["bad"]}


def _check(photos: PhotoFiles, index: int) -> BadImage | None:
    """Return a BadImage if an image cannot be read; it is decoded only if its file looks incomplete."""
    ends = photos.ends(index)
    if ends is None or _is_complete(*ends):
        return None
    photo = photos.photo(index)
    return photo if isinstance(photo, BadImage) else None


def _is_complete(head: bytes, tail: bytes) -> bool:
    """Return True if the first and last bytes are those of a complete JPEG or PNG of a valid size."""
    tail = tail.rstrip(b"\0\r\n ")
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        width, height = (int.from_bytes(head[place : place + 4], "big") for place in (16, 20))
        return (
            head[12:16] == b"IHDR" and 0 < width * height <= MAX_PIXELS and tail.endswith(b"IEND\xaeB`\x82")
        )
    if not head.startswith(b"\xff\xd8\xff") or not tail.endswith(b"\xff\xd9"):
        return False
    try:
        height, width, *_ = simplejpeg.decode_jpeg_header(head)
    except ValueError:
        return False
    return bool(height * width <= MAX_PIXELS)


def _without(photos: P, bad: dict[int, BadImage]) -> P:
    mask = torch.ones(len(photos), dtype=torch.bool)
    mask[list(bad)] = False
    return photos.chosen(mask)


def _check_classes(data: PhotoSet[P], rest: PhotoSet[P]) -> None:
    """Raise DataError if a class has no training images left."""
    before, after = (torch.bincount(s.train.labels, minlength=len(s.class_names)) for s in (data, rest))
    if lost := ((before > 0) & (after == 0)).nonzero().flatten().tolist():
        name = data.class_names[lost[0]]
        raise DataError(
            f"no training image of the class {name} can be read: replace them, or remove the class"
        )
