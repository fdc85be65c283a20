"""Figures of a trained network: the filters of its first convolution, and feature maps."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from netspec.diagnostics import did_you_mean
from netspec.errors import TrainError
from netspec.evaluation.load import LoadedModel
from netspec.evaluation.plots import check_format, new_figure
from netspec.evaluation.prediction import read_images

WIDTH = 7.0
"""The maximum width of a figure in inches."""


def draw_filters(model: LoadedModel, path: Path) -> str:
    """Draw the filters of the first convolution, as in figure 3 of Krizhevsky et al. (2012).

    Returns a description of them for the user.

    Each filter is scaled to the full range from black to white. Filters with three channels are drawn in
    colour; for others, each channel is drawn as a grey tile.

    Raises:
        TrainError: the network has no convolution, or the file cannot be written.
    """
    check_format(path)
    name = first_convolution(model)
    weight = model.module.state_dict()[f"{name}.weight"].float()
    count, channels, height, width = weight.shape
    tiles = weight if channels in (1, 3) else weight.flatten(0, 1).unsqueeze(1)
    with new_figure(path, *_mosaic_size(tiles, WIDTH)) as figure:
        axes = figure.subplots()
        axes.imshow(mosaic(tiles, 1), interpolation="nearest", cmap="gray", vmin=0, vmax=1)
        axes.set_axis_off()
    return f"{count} filters of {name}, {channels}x{height}x{width}"


def draw_features(model: LoadedModel, image: Path, layer: str | None, path: Path) -> str:
    """Draw an image beside the feature maps of a layer, by default the first convolution.

    Returns a description of the maps for the user.

    The image is drawn as the network sees it, but without normalization. Each map is scaled to the full
    range from black to white.

    Raises:
        TrainError: the image cannot be read, the layer does not exist or has no feature maps, or the file
            cannot be written.
    """
    check_format(path)
    name = layer or first_convolution(model)
    pixels, maps = layer_output(model, image, name)
    tiles = maps.unsqueeze(1)
    width, height = _mosaic_size(tiles, WIDTH - 2)
    with new_figure(path, WIDTH, max(height, 2.0) + 0.3) as figure:
        left, right = figure.subplots(1, 2, width_ratios=[2, width])
        picture = pixels.permute(1, 2, 0).squeeze(2).numpy() / 255
        left.imshow(picture, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        left.set_title("input")
        gap = max(1, round(maps.shape[-1] / 16))
        right.imshow(mosaic(tiles, gap), interpolation="nearest", cmap="gray", vmin=0, vmax=1)
        right.set_title(f"{name}, {'x'.join(map(str, maps.shape))}")
        for axes in (left, right):
            axes.set_axis_off()
    return f"{len(maps)} maps of {name}, {maps.shape[1]}x{maps.shape[2]}"


def first_convolution(model: LoadedModel) -> str:
    """Return the name of a network's first convolution; raises TrainError if it has none."""
    found = next((n.name for n in model.net.layers if n.op.keyword == "conv"), None)
    if found is None:
        raise TrainError(f"{model.net.name} in {model.path} has no convolution")
    return found


@torch.inference_mode()
def layer_output(model: LoadedModel, image: Path, layer: str) -> tuple[Tensor, Tensor]:
    """Return the centre crop of an image, C x H x W in [0, 255], and the layer's output, K x H x W.

    If the layer is called more than once, this is its first output.

    Raises:
        TrainError: the image cannot be read, there is no such layer, or its output has no feature maps.
    """
    [prepared] = read_images(model, [image], "center_crop")
    if prepared.pixels is None:
        raise TrainError(f"{image} cannot be read: {prepared.error}")
    modules = dict(model.module.named_modules())
    if layer not in modules or not layer:
        names = [name for name in modules if name]
        some = f"available are {', '.join(names[:8])}{' ...' if len(names) > 8 else ''}"
        suggestion = did_you_mean(layer, names) or some
        raise TrainError(f"{model.net.name} has no layer {layer}: {suggestion}", wrong_use=True)
    outputs: list[object] = []

    def keep(module: nn.Module, inputs: object, output: object) -> None:
        outputs.append(
            output.clone() if isinstance(output, Tensor) else output
        )  # relu may change it in place

    handle = modules[layer].register_forward_hook(keep)
    try:
        model.module(prepared.pixels.unsqueeze(0))
    finally:
        handle.remove()
    maps = outputs[0] if outputs else None
    if not isinstance(maps, Tensor) or maps.dim() != 4:
        message = f"the output of {layer} in {model.net.name} has no feature maps"
        raise TrainError(f"{message}: name a layer before `flatten`")
    return _without_normalization(model, image), maps[0].float()


def _without_normalization(model: LoadedModel, image: Path) -> Tensor:
    """Return the pixels of a network's input before normalization."""
    channels = model.input_shape[0]
    neutral = replace(model.preprocessing, mean=(0.0,) * channels, scale=(1.0,) * channels, mean_image=None)
    [prepared] = read_images(replace(model, preprocessing=neutral), [image], "center_crop")
    assert prepared.pixels is not None
    return prepared.pixels


def mosaic(tiles: Tensor, gap: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Return N x C x H x W tiles (C is 1 or 3) arranged in rows on white, `gap` pixels apart.

    The values of each tile are scaled to [0, 1]. A constant tile becomes 0.5.
    """
    low, high = tiles.amin((1, 2, 3), keepdim=True), tiles.amax((1, 2, 3), keepdim=True)
    scaled = torch.where(high > low, (tiles - low) / (high - low).clamp(min=1e-30), 0.5)
    count, channels, height, width = tiles.shape
    columns = mosaic_columns(count)
    rows = -(-count // columns)
    canvas = torch.ones(channels, rows * (height + gap) + gap, columns * (width + gap) + gap)
    for number, tile in enumerate(scaled):
        row, column = divmod(number, columns)
        top, left = gap + row * (height + gap), gap + column * (width + gap)
        canvas[:, top : top + height, left : left + width] = tile
    image: np.ndarray[tuple[int, ...], np.dtype[np.float32]] = canvas.permute(1, 2, 0).squeeze(2).numpy()
    return image


def mosaic_columns(count: int) -> int:
    """Return the number of tiles per row. If possible, all rows are full, as with 16 columns for 96 tiles.

    >>> [mosaic_columns(n) for n in (6, 20, 64, 96, 97)]
    [6, 10, 16, 16, 17]
    """
    least = min(count, max(8, math.ceil(math.sqrt(count * 8 / 3))))
    return next((c for c in range(least, 2 * least) if count % c == 0), least)


def _mosaic_size(tiles: Tensor, max_width: float) -> tuple[float, float]:
    """Return the width and height of a mosaic in inches; with few tiles, it is narrower than `max_width`."""
    columns = mosaic_columns(len(tiles))
    width = min(max_width, 0.8 * columns)
    return width, width * -(-len(tiles) // columns) / columns * tiles.shape[2] / tiles.shape[3]
