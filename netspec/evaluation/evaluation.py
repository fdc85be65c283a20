"""Evaluates trained models on labelled images, individually and as an ensemble."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

import torch
from torch import Tensor

from netspec.build import choose_device, memory_errors, place
from netspec.datasets.base import Batch, Data, LoaderConfig, check_fit
from netspec.datasets.image_folder import ImageFolder, scan
from netspec.datasets.layout import class_folders, find_parts
from netspec.datasets.registry import open_data
from netspec.datasets.screening import screened
from netspec.errors import DataError
from netspec.evaluation.load import LoadedModel, Model, as_model, choose_view
from netspec.evaluation.metrics import (
    ClassScore,
    Confusion,
    Predictions,
    Score,
    collect_predictions,
    confusion_matrix,
    ensemble,
    per_class,
    score,
    worst_confusions,
)
from netspec.evaluation.run import Run
from netspec.recipe.images import Raw
from netspec.transforms.crops import View

OnBatch: TypeAlias = Callable[[str, int, int], object]
"""A function called after each batch with the model's path, the number of images done, and the total."""


@dataclass(frozen=True)
class ModelScore:
    """The score of one model, which `path` and `weights` identify."""

    path: Path
    weights: str
    score: Score


@dataclass(frozen=True)
class Evaluation:
    """The scores of one or more models on the same images.

    `subset` says which images of the data set were used, and `view` how they were cropped. `predictions` are
    the predictions of the ensemble, or of the only model.
    """

    data: str
    subset: str
    view: str
    models: tuple[ModelScore, ...]
    predictions: Predictions
    class_names: tuple[str, ...]

    @property
    def score(self) -> Score:
        """The score of the ensemble, or of the only model."""
        return score(self.predictions)

    @property
    def ensemble(self) -> Score | None:
        """The score of the models' averaged probabilities; None if there is only one model."""
        return self.score if len(self.models) > 1 else None

    @property
    def crops(self) -> int:
        """The number of crops averaged for each image."""
        return self.predictions.crops

    @cached_property
    def confusion(self) -> Tensor:
        """The confusion matrix, classes x classes: image counts by true class (row) and predicted class."""
        return confusion_matrix(self.predictions)

    @property
    def per_class(self) -> tuple[ClassScore, ...]:
        """The errors of each class that has images."""
        return tuple(per_class(self.predictions))

    def worst_confusions(self, count: int = 10) -> list[Confusion]:
        """Return the most frequent confusions, most frequent first."""
        return worst_confusions(self.confusion, count)


def evaluate(
    models: Model | Sequence[Model],
    *,
    data: str | None = None,
    root: str | Path | None = None,
    crops: int | None = None,
    weights: str | None = None,
    ema: bool = False,
    device: str = "auto",
    workers: int | None = None,
    batch: int | None = None,
    on_batch: OnBatch | None = None,
) -> Evaluation:
    """Evaluate trained models on labelled images, in float32.

    By default, each model is evaluated on the images on which it was validated; `data` and `root` choose
    other images. `crops` (1 or 10) and `batch` default to the recipe's values. `weights` names published
    weights for zoo networks. `ema=True` uses the averaged weights of a checkpoint. Several models must have
    the same classes; they are also scored as an ensemble.

    Raises:
        TrainError: a model cannot be opened, or there is no such device.
        DataError: the images cannot be read or do not match a model.
    """
    given = [models] if isinstance(models, str | Path | Run | LoadedModel) else models
    opened = [as_model(each, weights, ema=ema) for each in given]
    if not opened:
        raise DataError("there is no model to evaluate: name at least one", wrong_use=True)
    if data is None and len({model.data for model in opened}) > 1:
        names = ", ".join(dict.fromkeys(model.data for model in opened))
        raise DataError(f"the models were trained on {names}: choose one with `data`", wrong_use=True)
    first = opened[0]
    images = [open_images(model, data, Path(root) if root else None) for model in opened]
    view, where = choose_view(first, crops), choose_device(device)
    predictions = []
    for model, own in zip(opened, images, strict=True):
        _check_same_images(model, own, first, images[0])
        found = predict_images(model, own, view, where, workers, batch, on_batch)
        predictions.append(_reorder(found, model, first))
    combined = predictions[0] if len(predictions) == 1 else ensemble(predictions)
    return Evaluation(
        data=images[0].data.name,
        subset=images[0].subset,
        view=_describe_view(first, combined.crops),
        models=tuple(
            ModelScore(model.path, model.weights, score(each))
            for model, each in zip(opened, predictions, strict=True)
        ),
        predictions=combined,
        class_names=first.class_names if first.known_classes else images[0].data.class_names,
    )


def _describe_view(model: LoadedModel, crops: int) -> str:
    if crops > 1:
        return f"{crops} crops"
    return "centre crop" if model.crops_photos else "whole image"


# The images


@dataclass(frozen=True)
class LabelledImages:
    """A data set for evaluation. `subset` says which of its images are used."""

    data: Data
    subset: str


def open_images(model: LoadedModel, name: str | None, root: Path | None) -> LabelledImages:
    """Open the images on which a model was validated, or the images of the data set `name`.

    In a folder without `val/`, these are the images that training held out, or all images if the model was
    trained on other data.

    Raises:
        DataError: there is no such data set, or it cannot be read.
    """
    name = name or model.data
    kind, _, path = name.partition(":")
    if kind == "folder" and path and find_parts(Path(path)) is None and not _same_folder(name, model.data):
        classes = class_folders(Path(path))
        every = scan(Path(path), classes)
        folder, _ = screened(ImageFolder(name, classes, every, every), skip_bad=False, training=False)
        return LabelledImages(folder, "all images")
    saved_root = model.root if name == model.data else None
    data = open_data(
        name,
        root or saved_root,
        val_share=model.val_share,
        seed=model.recipe.seed,
        download=root is not None
        or saved_root is None,  # a checkpoint must not choose a folder to download to
    )
    data, _ = screened(data, skip_bad=model.skip_bad and name == model.data, training=False)
    held_out = kind == "folder" and find_parts(Path(path)) is None
    return LabelledImages(data, "images held out from training" if held_out else "validation images")


def _same_folder(one: str, other: str) -> bool:
    """Return True if two data set names, such as `folder:PATH`, refer to the same folder."""
    (_, _, path), (kind, _, other_path) = one.partition(":"), other.partition(":")
    return kind == "folder" and os.path.realpath(path) == os.path.realpath(other_path)


def predict_images(
    model: LoadedModel,
    images: LabelledImages,
    view: View,
    device: torch.device,
    workers: int | None = None,
    batch: int | None = None,
    on_batch: OnBatch | None = None,
) -> Predictions:
    """Return a model's predictions for labelled images, with its class indices as labels.

    Raises:
        DataError: the images or their classes do not match the model, or an image cannot be read.
    """
    _check_channels(model, images.data)
    shape = check_fit(images.data, model.input_shape)
    numbers = class_numbers(model, images.data)
    size = batch or model.recipe.batch
    # With `Raw`, these images' statistics are not measured: `model.preprocessing` has the training set's.
    recipe = model.recipe.model_copy(update={"normalize": Raw(), "augment": (), "batch": size})
    with memory_errors(f"a batch of {recipe.batch}"):
        place(model.module, device)
        loader = LoaderConfig(shape, recipe, device, workers, preprocessing=model.preprocessing)
        batches = images.data.open(loader).validate(view)
        counted = _counted(batches, str(model.path), images.data.val_images, on_batch)
        predictions = collect_predictions(model.module, counted)
    return predictions if numbers is None else replace(predictions, labels=numbers[predictions.labels])


def _counted(batches: Iterator[Batch], title: str, total: int, on_batch: OnBatch | None) -> Iterator[Batch]:
    """Yield the batches and call `on_batch` after each."""
    done = 0
    for images, labels in batches:
        yield images, labels
        done += len(labels)
        if on_batch:
            on_batch(title, done, total)


def class_numbers(model: LoadedModel, data: Data) -> Tensor | None:
    """Return the model's index of each class of the data, matched by name, or None if the indices agree.

    Raises:
        DataError: the data has a class on which the model was not trained.
    """
    known = model.class_names[: model.known_classes]
    if data.class_names == known:
        return None
    if not known and len(data.class_names) == len(model.class_names):
        return None  # published weights name ImageNet's classes differently, but in the same order
    number = {name: index for index, name in enumerate(known)}
    unknown = [name for name in data.class_names if name not in number]
    if unknown:
        message = f"the model in {model.path} was not trained on the class {unknown[0]} of {data.name}"
        listed = f"{', '.join(known[:5])}{' ...' if len(known) > 5 else ''}"
        classes = f"{len(known)} classes: {listed}" if known else f"{len(model.class_names)} unnamed classes"
        raise DataError(f"{message}; it has {classes}")
    return torch.tensor([number[name] for name in data.class_names])


def _check_channels(model: LoadedModel, data: Data) -> None:
    if data.channels != model.input_shape[0]:
        images = f"{data.channels} channel{'s' * (data.channels != 1)}"
        shape = "x".join(map(str, model.input_shape))
        message = f"{data.name} has images with {images}, but the network in {model.path} takes {shape}"
        raise DataError(f"{message}: choose other images with `data`")


def _check_same_images(
    model: LoadedModel, images: LabelledImages, first: LoadedModel, others: LabelledImages
) -> None:
    """Raise DataError if two models held out different images: each trained on images the other held out."""
    if isinstance(images.data, ImageFolder) and isinstance(others.data, ImageFolder):
        here, there = images.data.val.paths, others.data.val.paths
        if here.shape != there.shape or (here != there).any():
            raise DataError(
                f"{model.path} and {first.path} held out different images of {images.data.name}, so each was "
                "trained on some of the other's: evaluate them one by one, or choose other images with `data`"
            )


def _reorder(predictions: Predictions, model: LoadedModel, first: LoadedModel) -> Predictions:
    """Return predictions with the classes in the order of the model `first`.

    Raises:
        DataError: the models have different classes.
    """
    if model.class_names == first.class_names:
        return predictions
    if set(model.class_names) != set(first.class_names):
        classes = f"{model.path} and {first.path} have different classes"
        raise DataError(f"{classes}, so they cannot form an ensemble: evaluate them one by one")
    order = torch.tensor([model.class_names.index(name) for name in first.class_names])
    return Predictions(
        predictions.log_probs[:, order], order.argsort()[predictions.labels], predictions.crops
    )
