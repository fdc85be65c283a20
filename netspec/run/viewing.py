"""Image files as a network takes them: read and cut exactly as the images of its validation."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2.functional import pil_to_tensor

from netspec.run.data import Setting
from netspec.run.data.folder import Folder, validation_view
from netspec.run.data.loading import BadImage, Pixels, Reader
from netspec.run.data.resident import Labelled, ResidentBatches
from netspec.run.data.source import View
from netspec.run.data.tree import Files
from netspec.run.hearing import raw_recipe
from netspec.run.saved import Saved


@dataclass(frozen=True)
class Seen:
    """An image file: its pixels, 0 to 255, C x H x W or crops x C x H x W, or why it cannot be read.

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
    names = np.array([os.fsencode(p) for p in paths], dtype=np.bytes_)
    files = Files(names, torch.zeros(len(paths), dtype=torch.long))
    photos = saved.data == "imagenet" or saved.data.startswith("folder:")
    setting = Setting(saved.input_shape, raw_recipe(saved.recipe), torch.device("cpu"))
    pixels = _cropped(saved, files, view, setting) if photos else _whole(view, setting)
    grey = saved.input_shape[0] == 1
    changes: list[str] = []

    def convert(image: Image.Image) -> Tensor:
        changes.append(_change(image, grey, None if photos else setting.size))
        return pixels(image.convert("L") if grey else image)

    reader = Reader(files, convert, 0)
    for index, path in enumerate(paths):
        if not path.exists():
            yield Seen(path, None, "there is no such file")
        elif isinstance(item := reader[(0, index)], BadImage):
            yield Seen(path, None, item.reason)
        else:
            yield Seen(path, item[0], change=changes[-1])


def _cropped(saved: Saved, files: Files, view: View, setting: Setting) -> Pixels:
    """The crops of photos, as the validation of a folder cuts them."""
    resize = Folder("images", saved.class_names, files, files).open(setting).resize
    return validation_view(view, resize, setting.size)


def _whole(view: View, setting: Setting) -> Pixels:
    """Whole images in the network's size, as the validation of a small set has them."""

    def pixels(image: Image.Image) -> Tensor:
        part = Labelled(pil_to_tensor(image).unsqueeze(0), torch.zeros(1, dtype=torch.long))
        images, _ = next(iter(ResidentBatches(part, part, setting).validate(view)))
        return images[0]

    return pixels


def _change(image: Image.Image, grey: bool, size: tuple[int, int] | None) -> str:
    """What is done to an image that is coloured for a network of grey ones, or has another size."""
    done = []
    if grey and image.convert("L").convert("RGB").tobytes() != image.tobytes():
        done.append("turned grey")
    if size is not None and image.size != size[::-1]:
        done.append(f"resized from {image.width}x{image.height} to {size[1]}x{size[0]}")
    return " and ".join(done)
