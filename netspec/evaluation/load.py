"""A checkpoint back to a network with its weights, without the files of its spec."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor, nn

from netspec.build.compile import build
from netspec.build.weights import refuse_unfit
from netspec.checkpoint.spec import entry, restore
from netspec.checkpoint.store import load
from netspec.errors import TrainError, WeightsError
from netspec.graph import Net
from netspec.recipe import Recipe
from netspec.transforms.preprocessing import Preprocessing
from netspec.transforms.resize import Interpolation

CHECKPOINT, BEST = "checkpoint.pt", "best.pt"


@dataclass(frozen=True)
class Saved:
    """A trained network, in evaluation mode on the CPU, and what is known of its training.

    `weights` says which of a run's weights these are; `class_names` has a name for each output, and
    `known_classes` counts those that had images; `input_shape` is channels, height, width.
    """

    path: Path
    weights: str
    net: Net
    module: nn.Module
    recipe: Recipe
    class_names: tuple[str, ...]
    known_classes: int
    preprocessing: Preprocessing
    input_shape: tuple[int, int, int]
    data: str
    root: Path | None
    val_share: float


def open_saved(path: Path, *, ema: bool = False) -> Saved:
    """Open a checkpoint, the folder of a run, or the weights beside its checkpoint.

    Of a folder the best weights are taken, or the last where there are none; with `ema` the averaged weights
    of the checkpoint. The spec's texts are checked again from memory: no code and no other file is read.

    Raises:
        TrainError: the file cannot be read, is no checkpoint, or does not hold together.
    """
    content, state, which = _read(path, ema)
    net = restore(entry(content, "about", dict, path), path)
    names, outputs = _class_names(content, path), _count_outputs(net, path)
    if len(names) > outputs:
        raise TrainError(f"{path} names {len(names)} classes, but its network tells {outputs} apart")
    shape = _input_shape(net, entry(content, "input_shape", list, path), path)
    about = content["about"]
    root, share = about.get("root"), about.get("val_share")
    return Saved(
        path=path,
        weights=which,
        net=net,
        module=_module(net, state, path),
        recipe=read_recipe(content, path),
        class_names=(*names, *(f"output {k}" for k in range(len(names), outputs))),
        known_classes=len(names),
        preprocessing=_preprocessing(entry(content, "preprocessing", dict, path), shape[0], path),
        input_shape=shape,
        data=entry(content, "data", str, path),
        root=Path(root) if isinstance(root, str) else None,
        val_share=share if isinstance(share, float) and 0 < share < 1 else 0.2,
    )


def _read(path: Path, ema: bool) -> tuple[dict[str, Any], Mapping[str, Any], str]:
    """What a checkpoint holds, the state_dict to use, and which that is."""
    if path.is_dir():
        content = _checkpoint(path / CHECKPOINT, f"{path} is not the folder of a run: it has no {CHECKPOINT}")
        if not ema and (path / BEST).is_file():
            return content, load(path / BEST), f"the best, {_epoch(content, best=True)}"
    else:
        content = load(path)
        if content and all(isinstance(value, Tensor) for value in content.values()):
            return _bare(path, content, ema)
    if "model" not in content or "about" not in content:
        raise TrainError(f"{path} is not a checkpoint of netspec: it names no network")
    if not ema:
        return content, entry(content, "model", dict, path), f"the last, {_epoch(content)}"
    if not content.get("ema"):
        message = f"{path} keeps no averaged weights: its recipe averages none"
        raise TrainError(f"{message}; leave --ema out", wrong_use=True)
    return content, entry(content, "ema", dict, path), f"averaged, {_epoch(content)}"


def _bare(path: Path, state: dict[str, Any], ema: bool) -> tuple[dict[str, Any], dict[str, Any], str]:
    """Weights alone, whose network the checkpoint beside them describes."""
    if ema:
        message = f"{path} holds one set of weights: name the checkpoint or the run's folder with --ema"
        raise TrainError(message, wrong_use=True)
    missing = f"{path} holds weights alone, and beside it lies no {CHECKPOINT} that says of which network"
    return _checkpoint(path.with_name(CHECKPOINT), missing), state, path.name


def _checkpoint(path: Path, missing: str) -> dict[str, Any]:
    if not path.is_file():
        raise TrainError(missing)
    return load(path)


def _epoch(content: Mapping[str, Any], best: bool = False) -> str:
    values = content.get("best") if best else content
    epoch = values.get("epoch") if isinstance(values, Mapping) else None
    return f"epoch {epoch}" if isinstance(epoch, int) else "of an unknown epoch"


def _class_names(content: Mapping[str, Any], path: Path) -> tuple[str, ...]:
    names = entry(content, "class_names", list, path)
    if not names or not all(isinstance(n, str) for n in names) or len(set(names)) < len(names):
        raise TrainError(f"{path} is damaged: its class names are missing, no texts, or given twice")
    return tuple(names)


def _count_outputs(net: Net, path: Path) -> int:
    """How many classes a network tells apart; what it gives in training alone does not count."""
    shapes = [net.nodes[o.node].shape for o in net.outputs if not o.training]
    if len(net.inputs) != 1 or len(shapes) != 1 or len(shapes[0]) != 1:
        raise TrainError(f"{path} holds {net.name}, which does not give one row of scores for one image")
    return shapes[0].features


def _input_shape(net: Net, told: list[Any], path: Path) -> tuple[int, int, int]:
    shape = net.inputs[0].shape
    if list(shape) != told or len(shape) != 3:
        message = f"{path} is damaged: its network takes {shape}"
        raise TrainError(f"{message}, and it was trained on {'x'.join(map(str, told))[:60]}")
    return shape[0], shape[1], shape[2]


def read_recipe(content: Mapping[str, Any], path: Path) -> Recipe:
    """The recipe that a checkpoint keeps; raises TrainError."""
    try:
        return Recipe.model_validate_json(json.dumps(entry(content, "recipe", dict, path)))
    except (ValueError, TypeError, RecursionError) as error:
        raise TrainError(f"{path} keeps a recipe that this netspec cannot read") from error


def _preprocessing(values: Mapping[str, Any], channels: int, path: Path) -> Preprocessing:
    """The normalisation of the images, which evaluation and prediction repeat."""
    for key in ("mean", "scale"):
        numbers = values.get(key)
        whole = isinstance(numbers, list | tuple) and all(type(n) in (int, float) for n in numbers)
        if not isinstance(numbers, list | tuple) or not whole or len(numbers) != channels:
            raise TrainError(f"{path} is damaged: its preprocessing has no {key} for {channels} channels")
    resize, crop, image = (values.get(key) for key in ("resize", "crop", "mean_image"))
    sizes = [crop] if isinstance(resize, int) else [resize, crop]
    plain = all(isinstance(s, list | tuple) and len(s) == 2 and all(type(n) is int for n in s) for s in sizes)
    shaped = image is None or (isinstance(image, Tensor) and image.dim() == 3 and image.shape[0] == channels)
    known_way = values.get("interpolation", "bilinear") in get_args(Interpolation)
    if not plain or not shaped or not known_way:
        raise TrainError(f"{path} is damaged: its preprocessing does not say how images are resized and cut")
    known = {field.name for field in fields(Preprocessing)}
    return Preprocessing.from_plain({key: value for key, value in values.items() if key in known})


def _module(net: Net, state: Mapping[str, Any], path: Path) -> nn.Module:
    """Build a network and load weights that fit it in every name, shape and kind of number.

    They are held against the network first as `meta` tensors, which take no memory: a spec in a damaged file
    may describe one of any size.
    """
    what = f"the weights in {path}"
    if not all(isinstance(k, str) and isinstance(v, Tensor) for k, v in state.items()):
        raise TrainError(f"{what} are damaged: they are not tensors by their names")
    with torch.device("meta"):
        expected = build(net)
    try:
        refuse_unfit(expected, state, what)
    except WeightsError as error:
        raise TrainError(str(error)) from error
    module = build(net)
    module.load_state_dict(state, strict=True)
    return module.eval()
