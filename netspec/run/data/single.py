"""One image file as the network takes it: what training did to its validation images, repeated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from netspec.run.data.decode import BadImage, Pixels, read_photo
from netspec.run.data.normalize import Normalizer
from netspec.run.data.resample import Box, cut
from netspec.run.data.source import DataError, Preprocessing, View
from netspec.run.data.views import FixedView


def load_image(path: Path, values: Preprocessing, view: View = "center_crop") -> Tensor:
    """Read a file as 1 x C x H x W, or 1 x 10 x C x H x W for the ten crops of a photo.

    Networks for grey images get the luma of coloured ones. Where training resized images whole to the
    network's input, there is but one crop. Raises DataError for a file that cannot be read.
    """
    if values.resize is None or values.crop is None:
        raise DataError(f"{path} cannot be prepared: the checkpoint does not say how images are resized")
    pixels = read_photo(str(path))
    if isinstance(pixels, BadImage):
        raise DataError(f"{pixels.path} cannot be read ({pixels.reason}): replace the file")
    if len(values.mean) == 1:
        pixels = _grey(pixels)
    normalizer = Normalizer.of(values, torch.device("cpu"))
    if isinstance(values.resize, tuple):
        whole = cut(pixels, Box(0, 0, *pixels.shape[:2]), values.resize)
        return normalizer(whole.permute(2, 0, 1)[None])
    crops, places = FixedView(view, values.resize, values.crop)(pixels)
    ready = normalizer(torch.stack(crops).permute(0, 3, 1, 2), torch.tensor(places))
    return ready if view == "center_crop" else ready[None]


def _grey(pixels: Pixels) -> Pixels:
    return np.array(Image.fromarray(pixels).convert("L"))[:, :, None]
