"""Photos in class folders, such as ImageNet's: found by their paths."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from netspec.run.data.photos import PhotoBatches, PhotoSet
from netspec.run.data.source import DataError, Setting
from netspec.run.data.tree import Files, class_folders, scan, scan_parts, split


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

    def open(self, setting: Setting) -> PhotoBatches:
        """Measure the mean where the recipe needs it, and get the readers ready."""
        known = self.name == "imagenet"
        return PhotoBatches(PhotoSet(self.train_files, self.val_files, known), setting)


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
