"""Photos in class folders, such as ImageNet's: read, resized and cropped by worker processes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torchvision.transforms import v2

from netspec.recipe import Recipe
from netspec.recipe.images import Crop, Flip, Lighting, Mean, MeanStd
from netspec.run.data.loading import EpochLoader, Pixels, Reader
from netspec.run.data.source import Batch, DataError, Preprocessing, Setting, View, generator
from netspec.run.data.transforms import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Draw,
    Normalizer,
    augmented,
    check_augment,
    preprocessing,
)
from netspec.run.data.tree import Files, class_folders, scan, scan_parts, split

SAMPLE = 1000  # images that a folder's mean is measured on


@dataclass(frozen=True)
class Folder:
    """Images in class folders; the folders' names are the class names, whatever the files' colour mode."""

    name: str
    class_names: tuple[str, ...]
    train_files: Files
    val_files: Files
    channels: int = 3

    @property
    def train_images(self) -> int:
        """Images to train on."""
        return len(self.train_files)

    @property
    def val_images(self) -> int:
        """Images to validate on."""
        return len(self.val_files)

    def open(self, setting: Setting) -> FolderBatches:
        """Measure the mean where the recipe needs it, and get the readers ready."""
        return FolderBatches(self, setting)


def open_folder(name: str, root: Path, val_share: float, seed: int) -> Folder:
    """List the images of class folders, or of `train/` and `val/` where both are there."""
    if (root / "train").is_dir() and (root / "val").is_dir():
        return Folder(name, *scan_parts(root))
    if not 0 < val_share < 1:
        raise DataError(f"the share to validate on must lie between 0 and 1, and is {val_share}")
    classes = class_folders(root)
    return Folder(name, classes, *split(scan(root, classes), val_share, seed))


def open_imagenet(root: Path) -> Folder:
    """List the images of ILSVRC's `train/` and `val/`, each with a folder for every class."""
    for part in ("train", "val"):
        if not (root / part).is_dir():
            message = f"{root} has no {part}/ folder: imagenet needs train/ and val/"
            raise DataError(message + " with a folder for every class (name the place with --root)")
    return Folder("imagenet", *scan_parts(root))


class FolderBatches:
    """Batches read from files; normalised, and shifted in colour, on the device."""

    def __init__(self, folder: Folder, setting: Setting) -> None:
        check_augment(setting.recipe, folder.channels)
        self.folder, self.setting = folder, setting
        self.resize = _short_side(setting.recipe, setting.size)
        self.preprocessing: Preprocessing = preprocessing(
            setting.recipe, *_statistics(folder, self.resize, setting)
        )
        self.normalizer = Normalizer.of(self.preprocessing, setting.device)
        view = training_view(setting.recipe, self.resize, setting.size)
        self.share = setting.share(self.batch)
        self.loader = self._loader(folder.train_files, view, self.batch, self.share)
        self.val_loaders: dict[View, EpochLoader] = {}

    @property
    def batch(self) -> int:
        """Images in one training batch."""
        return min(self.setting.recipe.batch, self.folder.train_images)

    @property
    def steps(self) -> int:
        """Training batches in one epoch; an incomplete last one is left out, shuffled anew each time."""
        return len(self.loader.sampler)

    def train(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Shuffled and augmented batches of one epoch, from step `start` on."""
        recipe, seed = colour_only(self.setting.recipe), self.setting.recipe.seed
        for step, (images, labels) in enumerate(self.loader.batches(epoch, start), start):
            draw = Draw(generator(seed, epoch, 1, step), self.batch, self.share)
            yield augmented(self.normalizer(images), recipe, self.normalizer, draw), labels

    def validate(self, view: View = "center_crop") -> Iterator[Batch]:
        """Every validation image once."""
        if view not in self.val_loaders:
            batch = max(self.setting.recipe.batch // (10 if view == "ten_crop" else 1), 1)
            transform = validation_view(view, self.resize, self.setting.size)
            share = self.setting.val_share(self.folder.val_images)
            chosen = self.folder.val_files.between(share)
            self.val_loaders[view] = self._loader(chosen, transform, batch)
        for images, labels in self.val_loaders[view].batches(0):
            yield self.normalizer(images), labels

    def _loader(self, files: Files, view: Pixels, batch: int, share: slice | None = None) -> EpochLoader:
        reader = Reader(files, view, self.setting.recipe.seed)
        return EpochLoader(reader, batch, self.setting, share)


def colour_only(recipe: Recipe) -> Recipe:
    """The part of a recipe's augmentation that the workers leave to the device."""
    return recipe.model_copy(update={"augment": tuple(s for s in recipe.augment if isinstance(s, Lighting))})


def training_view(recipe: Recipe, resize: int, size: tuple[int, int]) -> Pixels:
    """Krizhevsky et al.'s: short side to `resize`, the centre square, a crop anywhere in it, flips."""
    padding = next((step.padding for step in recipe.augment if isinstance(step, Crop)), None)
    flips = [v2.RandomHorizontalFlip()] if any(isinstance(step, Flip) for step in recipe.augment) else []
    crop = v2.RandomCrop(size, padding=padding)
    steps = [v2.Resize(resize), v2.CenterCrop(resize), crop, *flips, v2.PILToTensor()]
    view: Pixels = v2.Compose(steps)
    return view


def validation_view(kind: View, resize: int, size: tuple[int, int]) -> Pixels:
    """Short side to `resize`, then the centre crop, or the four corners and the centre, each mirrored too."""
    steps = [v2.CenterCrop(size), v2.PILToTensor()]
    if kind == "ten_crop":
        steps = [v2.CenterCrop(resize), v2.TenCrop(size), v2.PILToTensor(), torch.stack]
    view: Pixels = v2.Compose([v2.Resize(resize), *steps])
    return view


def _short_side(recipe: Recipe, size: tuple[int, int]) -> int:
    """The short side to resize to: the recipe's, or 256 for 224 and in proportion."""
    takes = "x".join(map(str, size))
    if recipe.crop and (recipe.crop, recipe.crop) != size:
        message = f"the recipe crops images to {recipe.crop}x{recipe.crop}, but the network takes {takes}"
        raise DataError(message + ": make them the same, or leave crop out of the recipe")
    short = recipe.resize or round(max(size) * 256 / 224)
    if short < max(size):
        message = f"images resized to {short} are too small for the network's {takes}"
        raise DataError(f"{message}: set resize to {max(size)} or more")
    return short


def _statistics(folder: Folder, resize: int, setting: Setting) -> tuple[Tensor, Tensor]:
    """Each channel's mean and deviation in units of 0 to 255: ImageNet's are known, others are measured."""
    if folder.name == "imagenet" or not isinstance(setting.recipe.normalize, Mean | MeanStd):
        return torch.tensor(IMAGENET_MEAN) * 255, torch.tensor(IMAGENET_STD) * 255
    every = -(-len(folder.train_files) // SAMPLE)
    chosen = torch.arange(len(folder.train_files)) % every == 0
    view = validation_view("center_crop", resize, (resize, resize))
    loader = EpochLoader(Reader(folder.train_files.chosen(chosen), view, 0), 32, setting)
    count, total, squares = 0, torch.zeros(3, dtype=torch.double), torch.zeros(3, dtype=torch.double)
    for images, _ in loader.batches(0):
        values = images.cpu().double().transpose(0, 1).flatten(1)
        count += values.shape[1]
        total += values.sum(1)
        squares += values.square().sum(1)
    mean = total / count
    return mean, (squares / count - mean**2).clamp(min=0).sqrt()
