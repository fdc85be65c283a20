"""What the layers of a trained network make of an image."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from netspec.diagnostics import did_you_mean
from netspec.errors import TrainError
from netspec.evaluation.images import see
from netspec.evaluation.load import Saved


def first_convolution(saved: Saved) -> str:
    """The name of the first convolution; raises TrainError where there is none."""
    found = next((n.name for n in saved.net.layers if n.op.keyword == "conv"), None)
    if found is None:
        raise TrainError(f"{saved.net.name} in {saved.path} has no convolution")
    return found


@torch.inference_mode()
def layer_output(saved: Saved, image: Path, layer: str) -> tuple[Tensor, Tensor]:
    """The pixels of an image's centre crop, C x H x W, 0 to 255, and a layer's maps of it, K x H x W.

    A layer whose weights are used several times gives the first of its outputs.

    Raises:
        TrainError: the image cannot be read, there is no such layer, or what it gives are no maps.
    """
    [seen] = see(saved, [image], "center_crop")
    if seen.pixels is None:
        raise TrainError(f"{image} cannot be read: {seen.reason}")
    found = dict(saved.module.named_modules())
    if layer not in found or not layer:
        names = [name for name in found if name]
        near = (
            did_you_mean(layer, names)
            or f"there are {', '.join(names[:8])}{' ...' if len(names) > 8 else ''}"
        )
        raise TrainError(f"{saved.net.name} has no layer {layer}: {near}", wrong_use=True)
    given: list[object] = []

    def keep(module: nn.Module, inputs: object, output: object) -> None:
        given.append(output.clone() if isinstance(output, Tensor) else output)  # a relu may follow in place

    handle = found[layer].register_forward_hook(keep)
    try:
        saved.module(seen.pixels.unsqueeze(0))
    finally:
        handle.remove()
    maps = given[0] if given else None
    if not isinstance(maps, Tensor) or maps.dim() != 4:
        raise TrainError(
            f"{layer} of {saved.net.name} gives no maps of an image: name a layer before `flatten`"
        )
    return _pixels(saved, image), maps[0].float()


def _pixels(saved: Saved, image: Path) -> Tensor:
    """What the network saw of an image, before normalisation."""
    channels = saved.input_shape[0]
    plain = replace(saved.preprocessing, mean=(0.0,) * channels, scale=(1.0,) * channels, mean_image=None)
    [seen] = see(replace(saved, preprocessing=plain), [image], "center_crop")
    assert seen.pixels is not None
    return seen.pixels
