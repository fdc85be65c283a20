"""Predicts the classes of image files."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from netspec.build import choose_device, memory_errors, place
from netspec.datasets.layout import EXTENSIONS
from netspec.errors import TrainError
from netspec.evaluation.load import LoadedModel, Model, as_model, choose_view
from netspec.evaluation.metrics import log_probabilities
from netspec.transforms.crops import View
from netspec.transforms.pixels import BadImage, Pixels, read_photo
from netspec.transforms.preprocessing import prepare_image


@dataclass(frozen=True)
class Prediction:
    """The most likely classes of one image with their probabilities, most likely first.

    If the image cannot be read, `classes` is empty and `error` says why. `change` describes how the image was
    converted for the network, for example to greyscale.
    """

    path: Path
    classes: tuple[tuple[str, float], ...] = ()
    error: str = ""
    change: str = ""


def predict(
    model: Model,
    images: str | Path | Sequence[str | Path],
    *,
    top: int = 5,
    crops: int | None = None,
    weights: str | None = None,
    ema: bool = False,
    device: str = "auto",
    batch: int = 32,
) -> list[Prediction]:
    """Return the `top` most likely classes of images, given as files, folders or glob patterns.

    Images are read and cropped exactly as in validation; `crops` (1 or 10) defaults to the recipe's
    `evaluate`. For an unreadable image or a name that matches no image, the prediction has an `error`.

    Raises:
        TrainError: the model cannot be opened, the device does not exist, or `top` or `batch` is below 1.
    """
    for name, value in (("top", top), ("batch", batch)):
        if value < 1:
            raise TrainError(f"`{name}` must be at least 1, not {value}", wrong_use=True)
    opened = as_model(model, weights, ema=ema)
    names = [images] if isinstance(images, str | Path) else images
    paths, missing = find_images(names)
    inputs = read_images(opened, paths, choose_view(opened, crops))
    with memory_errors(f"a batch of {batch}"):
        predictions = list(_predict(opened, inputs, top, choose_device(device), batch))
    return [*predictions, *missing]


def find_images(names: Sequence[str | Path]) -> tuple[list[Path], list[Prediction]]:
    """Return the image files that names, folders and patterns match, in order and without duplicates.

    The second list has a prediction with an error for each name that matches no file.
    """
    found: dict[Path, None] = {}
    missing = []
    for name in map(str, names):
        is_pattern = any(c in name for c in "*?[") and not Path(name).exists()
        matches = sorted(glob.glob(name, recursive=True)) if is_pattern else [name]  # noqa: PTH207, any root
        if not matches:
            missing.append(Prediction(Path(name), error="no file matches this pattern"))
        for path in map(Path, matches):
            files = sorted(_images_in(path)) if path.is_dir() else [path]
            if not files:
                endings = ", ".join(extension[1:] for extension in EXTENSIONS)
                missing.append(Prediction(path, error=f"the folder holds no images ({endings})"))
            found |= dict.fromkeys(files)
    return list(found), missing


def _images_in(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if path.suffix.lower() in EXTENSIONS and not path.name.startswith(".") and path.is_file():
            yield path


@dataclass(frozen=True)
class ImageInput:
    """A network's input image (C x H x W or crops x C x H x W), or the reason why it cannot be read."""

    path: Path
    pixels: Tensor | None
    error: str = ""
    change: str = ""


def read_images(model: LoadedModel, paths: Sequence[Path], view: View) -> Iterator[ImageInput]:
    """Yield image files as inputs of a model.

    If the model was trained on crops of image files, images are cropped as in validation; if it was trained
    on small images, they are resized to the network's input.
    """
    grey = model.input_shape[0] == 1
    size = None if model.crops_photos else model.input_shape[1:]
    for path in paths:
        photo = read_photo(str(path)) if path.exists() else BadImage(str(path), "there is no such file")
        if isinstance(photo, BadImage):
            yield ImageInput(path, None, photo.reason)
        else:
            pixels = prepare_image(photo, model.preprocessing, view)
            yield ImageInput(path, pixels, "", _change(photo, grey, size))


def _change(photo: Pixels, grey: bool, size: tuple[int, int] | None) -> str:
    """Describe how an image was converted: to greyscale, or to the size of the network's input."""
    changes = []
    if grey and bool((photo != photo[..., :1]).any()):
        changes.append("converted to greyscale")
    height, width = photo.shape[:2]
    if size is not None and (height, width) != size:
        changes.append(f"resized from {width}x{height} to {size[1]}x{size[0]}")
    return " and ".join(changes)


@torch.inference_mode()
def _predict(
    model: LoadedModel, inputs: Iterator[ImageInput], top: int, device: torch.device, batch: int
) -> Iterator[Prediction]:
    """Yield the predictions for inputs in order, computed in batches of `batch` images."""
    place(model.module, device)
    while group := list(islice(inputs, batch)):
        readable = [each.pixels for each in group if each.pixels is not None]
        probabilities: Iterator[Tensor] = iter(())
        if readable:
            log_probs = log_probabilities(model.classify, torch.stack(readable).to(device))
            probabilities = iter(log_probs.float().exp().cpu())
        for each in group:
            classes = () if each.pixels is None else _top_classes(next(probabilities), model, top)
            yield Prediction(each.path, classes, each.error, each.change)


def _top_classes(probabilities: Tensor, model: LoadedModel, top: int) -> tuple[tuple[str, float], ...]:
    values, classes = probabilities.topk(min(top, len(probabilities)))
    ranked = zip(classes.tolist(), values.tolist(), strict=True)
    return tuple((model.class_titles[k], value) for k, value in ranked)
