"""Pictures of what a network has learnt: its first filters, and what a layer makes of an image."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from netspec.evaluation.load import Saved
from netspec.evaluation.plots.features import first_convolution, layer_output
from netspec.evaluation.plots.sheet import check_ending, sheet

INCH = 7.0
"""The width of a sheet."""


def draw_filters(saved: Saved, path: Path) -> str:
    """Draw the first convolution's kernels as figure 3 of Krizhevsky et al. (2012) does; say which they are.

    Each is stretched on its own to the whole range from black to white; three channels make its colours,
    other numbers of them a grey tile each.

    Raises:
        TrainError: the network has no convolution, or the picture cannot be written.
    """
    check_ending(path)
    name = first_convolution(saved)
    weight = saved.module.state_dict()[f"{name}.weight"].float()
    count, channels, height, width = weight.shape
    tiles = weight if channels in (1, 3) else weight.flatten(0, 1).unsqueeze(1)
    with sheet(path, *_size(tiles)) as figure:
        axes = figure.subplots()
        axes.imshow(mosaic(tiles, 1), interpolation="nearest", cmap="gray", vmin=0, vmax=1)
        axes.set_axis_off()
    return f"{count} filters of {name}, {channels}x{height}x{width}"


def draw_features(saved: Saved, image: Path, layer: str | None, path: Path) -> str:
    """Draw what a layer, the first convolution by default, makes of an image, and say what was drawn.

    The image stands to the left as the network takes it; each map is stretched on its own to the whole range.

    Raises:
        TrainError: the image or the layer is none, or gives no maps, or the file cannot be written.
    """
    check_ending(path)
    name = layer or first_convolution(saved)
    pixels, maps = layer_output(saved, image, name)
    tiles = maps.unsqueeze(1)
    width, height = _size(tiles, INCH - 2)
    with sheet(path, INCH, max(height, 2.0) + 0.3) as figure:
        left, right = figure.subplots(1, 2, width_ratios=[2, width])
        shown = pixels.permute(1, 2, 0).squeeze(2).numpy() / 255
        left.imshow(shown, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        left.set_title("input")
        gap = max(1, round(maps.shape[-1] / 16))
        right.imshow(mosaic(tiles, gap), interpolation="nearest", cmap="gray", vmin=0, vmax=1)
        right.set_title(f"{name}, {'x'.join(map(str, maps.shape))}")
        for axes in (left, right):
            axes.set_axis_off()
    return f"{len(maps)} maps of {name}, {maps.shape[1]}x{maps.shape[2]}"


def mosaic(tiles: Tensor, gap: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """N x C x H x W tiles, C of 1 or 3, beside and below each other on white, `gap` pixels apart.

    Each tile's least value becomes 0 and its greatest 1; one that is all alike becomes 0.5.
    """
    low, high = tiles.amin((1, 2, 3), keepdim=True), tiles.amax((1, 2, 3), keepdim=True)
    scaled = torch.where(high > low, (tiles - low) / (high - low).clamp(min=1e-30), 0.5)
    count, channels, height, width = tiles.shape
    columns = columns_for(count)
    rows = -(-count // columns)
    sheet = torch.ones(channels, rows * (height + gap) + gap, columns * (width + gap) + gap)
    for number, tile in enumerate(scaled):
        top, left = (
            gap + k * (s + gap) for k, s in zip(divmod(number, columns), (height, width), strict=True)
        )
        sheet[:, top : top + height, left : left + width] = tile
    shown: np.ndarray[tuple[int, ...], np.dtype[np.float32]] = sheet.permute(1, 2, 0).squeeze(2).numpy()
    return shown


def columns_for(count: int) -> int:
    """How many tiles stand in a row: 16 for the paper's 96, a number that fills the rows where there is one.

    >>> [columns_for(n) for n in (6, 20, 64, 96, 97)]
    [6, 10, 16, 16, 17]
    """
    least = min(count, max(8, math.ceil(math.sqrt(count * 8 / 3))))
    return next((c for c in range(least, 2 * least) if count % c == 0), least)


def _size(tiles: Tensor, inches: float = INCH) -> tuple[float, float]:
    """Width and height of a mosaic in inches; a few tiles do not fill the width."""
    columns = columns_for(len(tiles))
    width = min(inches, 0.8 * columns)
    return width, width * -(-len(tiles) // columns) / columns * tiles.shape[2] / tiles.shape[3]
