"""Image files as a network takes them: read and cut exactly as the images of its validation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from netspec.evaluation.load import Saved
from netspec.transforms.crops import View
from netspec.transforms.decode import BadImage, Pixels, read_photo
from netspec.transforms.preprocessing import prepare_image


@dataclass(frozen=True)
class Seen:
    """An image file: as the network takes it, C x H x W or crops x C x H x W, or why it cannot be read.

    `change` says what had to be done to an image that is not like those of the training.
    """

    path: Path
    pixels: Tensor | None
    reason: str = ""
    change: str = ""


def see(saved: Saved, paths: Sequence[Path], view: View) -> Iterator[Seen]:
    """Read files for a network.

    Networks trained on photos get the crops of their validation; those trained on small sets, whose images
    come in one size, get every image whole, in that size.
    """
    photos = isinstance(saved.preprocessing.resize, int)
    grey = saved.input_shape[0] == 1
    for path in paths:
        found = read_photo(str(path)) if path.exists() else BadImage(str(path), "there is no such file")
        if isinstance(found, BadImage):
            yield Seen(path, None, found.reason)
            continue
        change = _change(found, grey, None if photos else saved.input_shape[1:])
        yield Seen(path, prepare_image(found, saved.preprocessing, view), "", change)


def _change(photo: Pixels, grey: bool, size: tuple[int, int] | None) -> str:
    """What is done to an image that is coloured for a network of grey ones, or has another size."""
    done = []
    if grey and bool((photo != photo[..., :1]).any()):
        done.append("turned grey")
    height, width = photo.shape[:2]
    if size is not None and (height, width) != size:
        done.append(f"resized from {width}x{height} to {size[1]}x{size[0]}")
    return " and ".join(done)
