"""Image files as a network takes them: read and cut exactly as the images of its validation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from netspec.run.data import Setting
from netspec.run.data.decode import BadImage, Pixels, read_photo
from netspec.run.data.normalize import Normalizer
from netspec.run.data.resident import Labelled, ResidentBatches
from netspec.run.data.source import View
from netspec.run.data.views import FixedView
from netspec.run.hearing import raw_recipe
from netspec.run.saved import Saved


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
        yield Seen(path, _cropped(saved, found, view) if photos else _whole(saved, found, view), "", change)


def _cropped(saved: Saved, photo: Pixels, view: View) -> Tensor:
    """The crops of a photo, as the validation of photos cuts them."""
    resize = saved.preprocessing.resize
    assert isinstance(resize, int)
    crops, places = FixedView(view, resize, saved.input_shape[1:])(photo)
    images = torch.stack(crops).permute(0, 3, 1, 2)
    ready = Normalizer.of(saved.preprocessing, torch.device("cpu"))(images, torch.tensor(places))
    return ready if view == "ten_crop" else ready[0]


def _whole(saved: Saved, photo: Pixels, view: View) -> Tensor:
    """A whole image in the network's size, as the validation of a small set has it."""
    pixels = (
        np.asarray(Image.fromarray(photo).convert("L"))[..., None] if saved.input_shape[0] == 1 else photo
    )
    part = Labelled(torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None], torch.zeros(1, dtype=torch.long))
    device, recipe = torch.device("cpu"), raw_recipe(saved.recipe)
    setting = Setting(saved.input_shape, recipe, device, preprocessing=saved.preprocessing)
    images, _ = next(iter(ResidentBatches(part, part, setting).validate(view)))
    return images[0]


def _change(photo: Pixels, grey: bool, size: tuple[int, int] | None) -> str:
    """What is done to an image that is coloured for a network of grey ones, or has another size."""
    done = []
    if grey and bool((photo != photo[..., :1]).any()):
        done.append("turned grey")
    height, width = photo.shape[:2]
    if size is not None and (height, width) != size:
        done.append(f"resized from {width}x{height} to {size[1]}x{size[0]}")
    return " and ".join(done)
