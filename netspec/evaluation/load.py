"""Loads trained networks from checkpoints, which contain their specs, or with published weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, cast, get_args

import torch
from torch import Tensor, nn

from netspec import zoo
from netspec.build import build
from netspec.checker import check_file
from netspec.checkpoint import CHECKPOINT, Checkpoint, best_weights, load, read_checkpoint, read_content
from netspec.checkpoint import restore as restore_net
from netspec.checkpoint.content import SavedPreprocessing
from netspec.datasets.info import class_titles
from netspec.errors import TrainError, WeightsError
from netspec.evaluation.run import Run
from netspec.graph import Net
from netspec.library import locate
from netspec.recipe import Recipe
from netspec.shape import Shape
from netspec.transforms.crops import View
from netspec.transforms.pixels import Interpolation
from netspec.transforms.preprocessing import Preprocessing
from netspec.weights import check_state, find, load_weights


@dataclass(frozen=True)
class LoadedModel:
    """A trained network in evaluation mode on the CPU, and how it was trained.

    `path` is the checkpoint, run or zoo name that was opened, and `weights` says which of its weights were
    loaded. `class_names` has a name for each output; only the first `known_classes` classes had training
    images. `input_shape` is channels, height, width.
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
    skip_bad: bool = False

    def classify(self, images: Tensor) -> Tensor:
        """Return the logits of images, N x classes, or log-probabilities if the network ends in a softmax."""
        scores: Tensor = self.module(images)
        output = next(o for o in self.net.outputs if not o.training)
        softmax = self.net.computing(output.node).op.keyword == "softmax"
        return scores.float().log() if softmax else scores

    @property
    def class_titles(self) -> tuple[str, ...]:
        """The names of the classes; for ImageNet, each WordNet number is followed by its words."""
        return class_titles(self.class_names)

    @property
    def crops_photos(self) -> bool:
        """Whether images are resized by their short side and then cropped, or resized whole."""
        return isinstance(self.preprocessing.resize, int)


Model: TypeAlias = str | Path | Run | LoadedModel
"""A checkpoint, a run or its folder, a loaded model, or (with `weights`) the name of a zoo network."""


def as_model(model: Model, weights: str | None, *, ema: bool = False) -> LoadedModel:
    """Return a loaded model; if it is not loaded yet, open it with `open_model`."""
    if isinstance(model, LoadedModel):
        return model
    return open_model(model.folder if isinstance(model, Run) else model, weights, ema=ema)


def choose_view(model: LoadedModel, crops: int | None) -> View:
    """Return the view for 1 or 10 crops, by default the recipe's; raises TrainError for other numbers."""
    if crops not in (None, 1, 10):
        raise TrainError(f"`crops` must be 1 or 10, not {crops}", wrong_use=True)
    ten = crops == 10 if crops else model.recipe.evaluate == "ten_crop"
    return "ten_crop" if ten else "center_crop"


def open_model(name: str | Path, weights: str | None = None, *, ema: bool = False) -> LoadedModel:
    """Open a checkpoint or the folder of a run; with `weights`, open a zoo network by name.

    `ema=True` loads the averaged weights of a checkpoint.

    Raises:
        TrainError: the file is missing or damaged, or no such weights are published.
    """
    if weights is not None:
        if ema:
            raise TrainError("published weights have no averaged version: leave out `ema`", wrong_use=True)
        return load_published(str(name), weights)
    if not Path(name).exists():
        message = f"there is no checkpoint {name}"
        if str(name) in zoo.names():
            message += f"; for the zoo network, choose published weights with `weights`: {_listed(name)}"
        raise TrainError(message)
    return load_checkpoint(Path(name), ema=ema)


def _listed(name: str | Path) -> str:
    return f"`netspec zoo show {name}` lists them"


def load_checkpoint(path: Path, *, ema: bool = False) -> LoadedModel:
    """Load a checkpoint, the folder of a run, or a file of weights beside a checkpoint.

    For a folder, the best weights are loaded, or the last weights if there are no best weights; with
    `ema=True`, the averaged weights of the checkpoint. The spec in the checkpoint is checked again. No code
    in the file is run, and no other file is read.

    Raises:
        TrainError: the file cannot be read, is not a checkpoint, or is damaged.
    """
    content, state, which = _read(path, ema)
    net, about = restore_net(content.about, path), content.about
    names, outputs = content.class_names, _count_outputs(net, path)
    if len(names) > outputs:
        raise TrainError(f"{path} names {len(names)} classes, but its network has {outputs} outputs")
    shape = _input_shape(net, content.input_shape, path)
    return LoadedModel(
        path=path,
        weights=which,
        net=net,
        module=_module(net, state, path),
        recipe=content.recipe,
        class_names=(*names, *(f"output {k}" for k in range(len(names), outputs))),
        known_classes=len(names),
        preprocessing=_preprocessing(content.preprocessing, shape, path),
        input_shape=shape,
        data=content.data,
        root=None if about.root is None else Path(about.root),
        val_share=0.2 if about.val_share is None else about.val_share,
        skip_bad=about.skip_bad,
    )


def _read(path: Path, ema: bool) -> tuple[Checkpoint, Mapping[str, Any], str]:
    """Return the content of a checkpoint, the state_dict to load, and a text that says which it is."""
    if path.is_dir():
        missing = f"{path} is not the folder of a run: it has no {CHECKPOINT}"
        content = _checkpoint(path / CHECKPOINT, missing)
        if not ema and (best := best_weights(path)):
            epoch = content.best.epoch if content.best else "unknown"
            return content, load(best), f"best, epoch {epoch}"
    else:
        entries = load(path)
        if entries and all(isinstance(value, Tensor) for value in entries.values()):
            return _bare_weights(path, entries, ema)
        content = read_content(entries, path)
    if not ema:
        return content, content.model, f"last, epoch {content.epoch}"
    if not content.ema:
        message = f"{path} has no averaged weights, because its recipe has no entry ema"
        raise TrainError(f"{message}: leave out `ema`", wrong_use=True)
    return content, content.ema, f"averaged, epoch {content.epoch}"


def _bare_weights(path: Path, state: dict[str, Any], ema: bool) -> tuple[Checkpoint, dict[str, Any], str]:
    """Like `_read`, but for a file of weights, whose network the checkpoint beside it describes."""
    if ema:
        message = f"{path} holds a single set of weights"
        raise TrainError(f"{message}: open the checkpoint or the run's folder to use `ema`", wrong_use=True)
    missing = f"{path} holds only weights, and there is no {CHECKPOINT} beside it to describe the network"
    return _checkpoint(path.with_name(CHECKPOINT), missing), state, path.name


def _checkpoint(path: Path, missing: str) -> Checkpoint:
    if not path.is_file():
        raise TrainError(f"{path} is not a file" if path.exists() else missing)
    return read_checkpoint(path)


def _count_outputs(net: Net, path: Path) -> int:
    """Return a classifier's number of outputs; raises TrainError for other kinds of networks."""
    shapes = [net.nodes[o.node].shape for o in net.outputs if not o.training]
    if len(net.inputs) != 1 or len(shapes) != 1 or len(shapes[0]) != 1:
        raise TrainError(f"{path} holds {net.name}, which is not a classifier with one input and one output")
    return shapes[0].features


def _input_shape(net: Net, saved: tuple[int, ...], path: Path) -> tuple[int, int, int]:
    shape = net.inputs[0].shape
    if tuple(shape) != saved or len(shape) != 3:
        message = f"{path} is damaged: its network takes {shape}"
        raise TrainError(f"{message}, but it was trained on {'x'.join(map(str, saved))}")
    return shape[0], shape[1], shape[2]


def _preprocessing(saved: SavedPreprocessing, shape: tuple[int, int, int], path: Path) -> Preprocessing:
    """Return the preprocessing saved in a checkpoint; raises TrainError if it does not match the network."""
    channels, *size = shape
    for key, numbers in (("mean", saved.mean), ("scale", saved.scale)):
        if len(numbers) != channels:
            raise TrainError(f"{path} is damaged: its preprocessing has no {key} for {channels} channels")
    whole = isinstance(saved.resize, tuple)
    view = saved.resize if whole else saved.crop
    too_small = not isinstance(saved.resize, tuple) and (saved.resize or 0) < max(size)
    if view != tuple(size) or too_small or saved.interpolation not in get_args(Interpolation):
        raise TrainError(f"{path} is damaged: its preprocessing has no valid resize and crop")
    square = size if whole else [saved.resize, saved.resize]
    if saved.mean_image is not None and saved.mean_image.shape != (channels, *square):
        raise TrainError(f"{path} is damaged: its preprocessing has a mean image of another size")
    return Preprocessing(
        saved.mean,
        saved.scale,
        saved.resize,
        saved.crop,
        cast(Interpolation, saved.interpolation),
        saved.mean_image,
    )


def _module(net: Net, state: Mapping[str, Any], path: Path) -> nn.Module:
    """Return a network with its weights after checking the name, shape and dtype of each weight.

    The check uses `meta` tensors, which take no memory, because the spec in a damaged file may describe a
    network of any size.
    """
    what = f"the weights in {path}"
    if not all(isinstance(k, str) and isinstance(v, Tensor) for k, v in state.items()):
        raise TrainError(f"{what} are damaged: they are not named tensors")
    with torch.device("meta"):
        expected = build(net)
    try:
        check_state(expected, state, what)
    except WeightsError as error:
        raise TrainError(str(error)) from error
    module = build(net)
    module.load_state_dict(state, strict=True)
    return module.eval()


# Published weights


def load_published(name: str, weights: str) -> LoadedModel:
    """Load a zoo network with torchvision's published weights and the preprocessing from its card.

    Raises:
        TrainError: the network is not in the zoo, or has no such weights.
    """
    found = locate(name)
    if found.card is None:
        message = f"{name} is not a zoo network, and only zoo networks have published weights"
        raise TrainError(f"{message}: leave out `weights` to open a checkpoint", wrong_use=True)
    try:
        entry = find(found.card, weights)
        images = _published_images(found.card, weights)
        shape = (3, images.crop, images.crop)
        net = check_file(found.path, found.arguments, {"": Shape(shape)}).require()
        module = build(net)
        load_weights(module, found.card, weights)
    except WeightsError as error:
        raise TrainError(str(error)) from error
    return LoadedModel(
        path=Path(name),
        weights=weights,
        net=net,
        module=module.eval(),
        recipe=Recipe(resize=images.resize, crop=images.crop, batch=32),
        class_names=tuple(entry.meta["categories"]),
        known_classes=0,
        preprocessing=published_preprocessing(images),
        input_shape=shape,
        data="imagenet",
        root=None,
        val_share=0.2,
    )


def published_preprocessing(images: zoo.Evaluation) -> Preprocessing:
    """Return the preprocessing that a card describes, for pixel values in [0, 255]."""
    return Preprocessing(
        tuple(255 * m for m in images.mean or ()),
        tuple(1 / (255 * s) for s in images.std or ()),
        resize=images.resize,
        crop=(images.crop, images.crop),
        interpolation=images.interpolation,
    )


def _published_images(card: zoo.Card, weights: str) -> zoo.Evaluation:
    """Return the preprocessing that the card lists for the given weights; raises WeightsError if none."""
    images = next((r.evaluation for r in card.results if r.weights == weights), None)
    if images is None or images.mean is None or images.std is None:
        message = f"the card of {card.name} lists no preprocessing for the weights {weights}"
        raise WeightsError(f"{message}: choose other weights; {_listed(card.name)}")
    return images
