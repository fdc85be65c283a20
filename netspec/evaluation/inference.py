"""Trained networks on labelled images: the images that they may be judged by, prepared as in training."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from torch import Tensor

from netspec.build.device import memory_explained, place
from netspec.datasets.base import Batch, Data, LoaderConfig, check_fit
from netspec.datasets.image_folder import ImageFolder, scan
from netspec.datasets.layout import class_folders, find_parts
from netspec.datasets.registry import open_data
from netspec.errors import DataError
from netspec.evaluation.load import Saved
from netspec.evaluation.metrics import Votes, collect
from netspec.recipe import Recipe
from netspec.recipe.images import Raw
from netspec.transforms.crops import View


@dataclass(frozen=True)
class Images:
    """Labelled images for one network: the data set, and which of its images these are in words."""

    data: Data
    which: str


@dataclass(frozen=True)
class Runtime:
    """Where networks are run: a device, the processes that read files, images in a batch if given."""

    device: torch.device
    workers: int | None = None
    batch: int | None = None


def open_images(saved: Saved, name: str | None, root: Path | None) -> Images:
    """Open the images to judge a network by: those it was validated on, or another set by its name.

    Of a folder without `val/` these are the images that the training held out, and all of them where the
    network was trained on other data.

    Raises:
        DataError: there is no such set, or it cannot be read.
    """
    name = name or saved.data
    kind, _, path = name.partition(":")
    if kind == "folder" and path and find_parts(Path(path)) is None and not _same(name, saved.data):
        classes = class_folders(Path(path))
        every = scan(Path(path), classes)
        return Images(ImageFolder(name, classes, every, every), "all images")
    known = saved.root if name == saved.data else None
    data = open_data(
        name,
        root or known,
        val_share=saved.val_share,
        seed=saved.recipe.seed,
        download=root is not None or known is None,  # nothing is written where a stranger's file says
    )
    held_out = kind == "folder" and find_parts(Path(path)) is None
    return Images(data, "the images that its training held out" if held_out else "validation images")


def _same(one: str, other: str) -> bool:
    """Whether two names mean the same folder."""
    kind, _, path = other.partition(":")
    return kind == "folder" and Path(path).resolve() == Path(one.partition(":")[2]).resolve()


def hear(saved: Saved, images: Images, view: View, runtime: Runtime) -> Votes:
    """Run a network over images; class numbers are the network's own.

    Raises:
        DataError: the images do not fit the network, their classes are not its classes, or a file is bad.
    """
    _refuse_channels(saved, images.data)
    shape = check_fit(images.data, saved.input_shape)
    numbers = class_numbers(saved, images.data)
    recipe = raw_recipe(saved.recipe, runtime.batch)
    with memory_explained(recipe.batch):
        place(saved.module, runtime.device)
        setting = LoaderConfig(
            shape, recipe, runtime.device, runtime.workers, preprocessing=saved.preprocessing
        )
        batches = images.data.open(setting).validate(view)
        votes = collect(saved.module, watched(batches, images.data.val_images, str(saved.path)))
    return votes if numbers is None else replace(votes, labels=numbers[votes.labels])


def _refuse_channels(saved: Saved, data: Data) -> None:
    """Refuse images whose channels the network does not take, for its input can no longer be changed."""
    if data.channels != saved.input_shape[0]:
        images = f"{data.channels} channel{'s' * (data.channels != 1)}"
        takes = "x".join(map(str, saved.input_shape))
        message = f"{data.name} has images of {images}, but the network in {saved.path} takes {takes}"
        raise DataError(f"{message}: name other images with --data")


def class_numbers(saved: Saved, data: Data) -> Tensor | None:
    """The network's number for each class of the data, by name; None where they are the same.

    Raises:
        DataError: the network was not trained to know a class of the data.
    """
    known = saved.class_names[: saved.known_classes]
    if data.class_names == known:
        return None
    if not known and len(data.class_names) == len(saved.class_names):
        return None  # published weights name no classes: theirs are in ImageNet's order
    number = {name: place for place, name in enumerate(known)}
    unknown = [name for name in data.class_names if name not in number]
    if unknown:
        message = f"{data.name} has the class {unknown[0]}, which the network in {saved.path} does not know"
        kinds = f"{', '.join(known[:5])}{' ...' if len(known) > 5 else ''}"
        has = f"it knows {len(known)}: {kinds}" if known else f"it has {len(saved.class_names)} unnamed ones"
        raise DataError(f"{message}; {has}")
    return torch.tensor([number[name] for name in data.class_names])


def watched(batches: Iterator[Batch], count: int, title: str) -> Iterator[Batch]:
    """The batches, with a bar on standard error where that is a terminal."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(escape(title), total=count)
        for images, labels in batches:
            yield images, labels
            bar.advance(task, len(labels))


def raw_recipe(recipe: Recipe, batch: int | None = None) -> Recipe:
    """A recipe that measures nothing: the statistics are those of the training, not of these images."""
    return recipe.model_copy(update={"normalize": Raw(), "augment": (), "batch": batch or recipe.batch})
