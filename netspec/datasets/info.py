"""Data sets by their counts: how many images train a network, and whether their classes and channels fit."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from netspec.checker import Report
from netspec.diagnostics import Diagnostic, did_you_mean, in_order
from netspec.errors import DataError
from netspec.graph import Net
from netspec.shape import is_image

EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".ppm", ".pgm", ".tif", ".tiff", ".webp")
"""The endings of files that training takes for images."""
VAL_SHARE = 0.2
"""What training holds out of a folder without `val/`, as `netspec train` does by default."""


TRAIN_NAMES = ("train", "training")
VAL_NAMES = ("val", "valid", "validation", "test", "testing")
"""What the folders of a set's two parts are called, in any case; of several to validate on, the first."""


@dataclass(frozen=True)
class Samples:
    """A data set: its images to train on, its classes, and the channels of an image."""

    name: str
    train_images: int
    classes: int
    channels: int

    def ratio(self, net: Net) -> float:
        """Trained parameters for each image."""
        return net.totals.params / self.train_images


KNOWN = {
    s.name: s
    for s in (
        Samples("imagenet", 1_281_167, 1000, 3),  # ILSVRC 2012
        Samples("mnist", 60_000, 10, 1),
        Samples("fashion-mnist", 60_000, 10, 1),
        Samples("cifar10", 50_000, 10, 3),
        Samples("cifar100", 50_000, 100, 3),
        Samples("digits", 1_442, 10, 1),  # scikit-learn's 1,797, without the fifth that is held out
    )
}


UNCOUNTED = ("prepared", "shards", "synthetic")
"""Sets of training that take reading to be counted, or have no images of their own."""


def samples(name: str) -> Samples:
    """The counts of a data set, known by its name; those of `folder:PATH` are counted.

    >>> samples("imagenet").train_images
    1281167

    Raises:
        DataError: there is no set of that name, or the folder has no class folders with images.
    """
    kind, _, path = name.partition(":")
    if kind == "folder" and path:
        return folder(name, Path(path))
    if kind in UNCOUNTED:
        known = f"{', '.join(KNOWN)} and folder:PATH"
        raise DataError(f"{name} is not counted here, but by netspec train: counted are {known}")
    if name not in KNOWN:
        near = did_you_mean(name, KNOWN) or f"known are {', '.join(KNOWN)} and folder:PATH"
        raise DataError(f"no data set is named {name}: {near}", wrong_use=True)
    return KNOWN[name]


def folder(name: str, root: Path) -> Samples:
    """Count the images of class folders: those of `train/`, or what is left when a share is held out."""
    parts = find_parts(root)
    place = parts[0] if parts else root
    try:
        classes = [p for p in sorted(place.iterdir()) if p.is_dir() and not p.name.startswith(".")]
    except OSError as error:
        raise DataError(f"{place} cannot be read: {(error.strerror or str(error)).lower()}") from None
    counts = [count_images(p) for p in classes]
    if not counts or not all(counts):
        empty = f"{classes[counts.index(0)]} holds no images" if counts else f"{place} has no class folders"
        raise DataError(f"{empty}: a folder of data has a folder with images for each class")
    held = 0 if parts else sum(min(max(round(n * VAL_SHARE), 1), n - 1) for n in counts)
    return Samples(name, sum(counts) - held, len(counts), 3)


def find_parts(root: Path) -> tuple[Path, Path] | None:
    """The folders to train and to validate on, by their usual names; None where the classes lie in `root`.

    Raises:
        DataError: there is a folder to train on, with class folders in it, and none to validate on.
    """
    try:
        folders = {p.name.lower(): p for p in sorted(root.iterdir(), reverse=True) if p.is_dir()}
    except OSError:
        return None
    train, val = (
        next((folders[name] for name in names if name in folders), None) for names in (TRAIN_NAMES, VAL_NAMES)
    )
    if train is None:
        return None
    if val is not None:
        return train, val
    if any(p.is_dir() and not p.name.startswith(".") for p in train.iterdir()):
        message = f"{root} has {train.name}/ and no folder to validate on, such as val/"
        raise DataError(f"{message}: add one, or name folder:{train}, of which a share is held out")
    return None  # a class of trains


def count_images(place: Path) -> int:
    """The image files below a folder, links followed."""
    files = (name for _, _, names in os.walk(place, followlinks=True) for name in names)
    return sum(name.lower().endswith(EXTENSIONS) and not name.startswith(".") for name in files)


def hold_against(report: Report, data: Samples) -> Report:
    """A report with a warning for each thing in which a network does not fit a data set."""
    if report.net is None:
        return report
    found = (*report.diagnostics, *misfits(report.net, data))
    return replace(report, diagnostics=in_order(found))


def misfits(net: Net, data: Samples) -> Iterator[Diagnostic]:
    """What does not fit: the channels of the input, or the classes that the output tells apart."""
    for node in net.inputs:
        if not is_image(node.shape) or node.shape.channels != data.channels:
            size = "x".join(map(str, node.shape[1:])) if is_image(node.shape) else "HxW"
            channels = plural(data.channels, "channel")
            message = f"{data.name} has images of {channels}, and {node.name} is {node.shape}"
            help = f"--input {data.channels}x{size}"
            yield Diagnostic("data-channels", message, node.span, "warning", help=help)
    for output in net.outputs:
        node = net.nodes[output.node]
        if not output.training and node.shape != (data.classes,):
            message = f"{data.name} has {plural(data.classes, 'class')}, and {output.name} gives {node.shape}"
            yield Diagnostic("data-classes", message, node.span, "warning", help=way_out(net, data))


def plural(count: int, word: str) -> str:
    """
    >>> plural(1, "channel"), plural(10, "class")
    ('1 channel', '10 classes')
    """
    ending = "" if count == 1 else "es" if word.endswith("s") else "s"
    return f"{count:,} {word}{ending}"


def way_out(net: Net, data: Samples) -> str | None:
    if "classes" not in net.arguments:
        return None
    return f"--set classes={data.classes}; `netspec train` does so by itself"


def sentence(net: Net, data: Samples) -> str:
    """The ratio with its terms."""
    images, classes = plural(data.train_images, "image"), plural(data.classes, "class")
    terms, ratio = f"{net.totals.params:,} / {data.train_images:,}", data.ratio(net)
    spelled = f"{ratio:,.1f}" if ratio >= 1 else f"{ratio:.3g}"
    return f"{data.name} has {images} to train on, in {classes}: {terms} = {spelled} parameters for each"


def figures(net: Net, data: Samples) -> dict[str, object]:
    """The same for machines."""
    return {
        "name": data.name,
        "train_images": data.train_images,
        "classes": data.classes,
        "channels": data.channels,
        "params_per_image": data.ratio(net),
    }


__all__ = ["Samples", "figures", "hold_against", "samples", "sentence"]
