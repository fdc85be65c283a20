"""One image as the network takes it: what training did to its validation images, repeated."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from netspec.datasets.base import Preprocessing, View
from netspec.datasets.in_memory import resize_whole
from netspec.transforms.crops import FixedView
from netspec.transforms.decode import Pixels
from netspec.transforms.normalize import Normalizer


def prepare_image(pixels: Pixels, values: Preprocessing, view: View = "center_crop") -> Tensor:
    """Prepare RGB pixels as C x H x W, or as 10 x C x H x W for the ten crops of a photo.

    Networks for grey images get the luma of coloured ones. Where training resized images whole to the
    network's input, there is but one crop.
    """
    if len(values.mean) == 1:
        pixels = np.array(Image.fromarray(pixels).convert("L"))[:, :, None]
    normalizer = Normalizer.of(values, torch.device("cpu"))
    if isinstance(values.resize, tuple):
        whole = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].contiguous()
        return normalizer(resize_whole(whole, values.resize))[0]
    assert values.resize is not None
    assert values.crop is not None
    crops, places = FixedView(view, values.resize, values.crop, values.interpolation)(pixels)
    ready = normalizer(torch.stack(crops).permute(0, 3, 1, 2), torch.tensor(places))
    return ready[0] if view == "center_crop" else ready
