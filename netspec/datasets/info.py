"""The counts and class names of a data set, and whether they match a network; torch is not imported."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from netspec.checker import Report
from netspec.datasets.layout import class_folders, find_parts, list_images, refuse_single
from netspec.datasets.registry import DATASETS, Request, find_row
from netspec.diagnostics import Diagnostic, in_order
from netspec.errors import DataError
from netspec.graph import Net
from netspec.registry import resolve
from netspec.shape import is_image


@dataclass(frozen=True)
class DatasetInfo:
    """The counts of a data set: training images, classes, and channels of each image."""

    name: str
    train_images: int
    classes: int
    channels: int

    def params_per_image(self, net: Net) -> float:
        """Return a network's number of parameters divided by the number of training images."""
        return net.totals.params / self.train_images

    def to_dict(self, net: Net) -> dict[str, object]:
        """Return these counts and the network's parameters per image as plain values."""
        return {
            "name": self.name,
            "train_images": self.train_images,
            "classes": self.classes,
            "channels": self.channels,
            "params_per_image": self.params_per_image(net),
        }


def dataset_info(name: str) -> DatasetInfo:
    """Return the counts of a data set: published counts for a named set, actual counts for `folder:PATH`.

    >>> dataset_info("imagenet").train_images
    1281167

    Raises:
        DataError: no data set has this name, its images cannot be counted, or the folder has no class
        folders.
    """
    row, argument = find_row(name)
    if row.counter:
        counted: DatasetInfo = resolve(row.counter)(Request(name, argument))
        return counted
    if row.classes is None or row.channels is None or row.train_images is None:
        message = f"the images of {name} cannot be counted without reading them"
        raise DataError(f"{message}: use folder:PATH, or a named set such as mnist", wrong_use=True)
    return DatasetInfo(name, row.train_images, row.classes, row.channels)


def count_folder(request: Request) -> DatasetInfo:
    """Count the images in `train/`, or the images in class folders that are not held out for validation."""
    root = Path(request.argument)
    parts = find_parts(root)
    place = parts[0] if parts else root
    classes = class_folders(place)
    refuse_single(place, classes)
    counts = [len(list_images(place / name).images) for name in classes]
    if not all(counts):
        empty = place / classes[counts.index(0)]
        raise DataError(f"{empty} holds no images: add images or remove the folder")
    held = 0 if parts else sum(min(max(round(n * request.val_share), 1), n - 1) for n in counts)
    return DatasetInfo(request.name, sum(counts) - held, len(counts), 3)


def with_data_warnings(report: Report, data: DatasetInfo) -> Report:
    """Return a report with the warnings of `data_warnings` added."""
    if report.net is None:
        return report
    found = (*report.diagnostics, *data_warnings(report.net, data))
    return replace(report, diagnostics=in_order(found))


def data_warnings(net: Net, data: DatasetInfo) -> Iterator[Diagnostic]:
    """Yield warnings for inputs whose channels, and outputs whose classes, differ from the data set's."""
    for node in net.inputs:
        if not is_image(node.shape) or node.shape.channels != data.channels:
            size = "x".join(map(str, node.shape[1:])) if is_image(node.shape) else "HxW"
            channels = plural(data.channels, "channel")
            message = f"{data.name} has images of {channels}, but the input {node.name} is {node.shape}"
            help = f"set `input={data.channels}x{size}`"
            yield Diagnostic("data-channels", message, node.span, "warning", help=help)
    for output in net.outputs:
        node = net.nodes[output.node]
        if not output.training and node.shape != (data.classes,):
            classes = plural(data.classes, "class")
            message = f"{data.name} has {classes}, but the output of {output.name} is {node.shape}"
            help = f"set `classes={data.classes}`; training does this automatically"
            has_classes = "classes" in net.arguments
            yield Diagnostic(
                "data-classes", message, node.span, "warning", help=help if has_classes else None
            )


def plural(count: int, word: str) -> str:
    """Return a count with its noun.

    >>> plural(1, "channel"), plural(10, "class")
    ('1 channel', '10 classes')
    """
    ending = "" if count == 1 else "es" if word.endswith("s") else "s"
    return f"{count:,} {word}{ending}"


def params_sentence(net: Net, data: DatasetInfo) -> str:
    """Return a sentence that states and derives a network's number of parameters per training image."""
    images, classes = plural(data.train_images, "training image"), plural(data.classes, "class")
    terms, ratio = f"{net.totals.params:,} / {data.train_images:,}", data.params_per_image(net)
    number = f"{ratio:,.1f}" if ratio >= 1 else f"{ratio:.3g}"
    return f"{data.name} has {images} in {classes}: {terms} = {number} parameters per image"


def markdown_table() -> str:
    """Return a Markdown table of all data sets, for docs/data.md."""
    head = ["`--data`", "contents", "classes", "training images", "validation images", "`--root`"]
    lines = [head, ["---", "---", "---:", "---:", "---:", "---"]]
    for row in DATASETS.values():
        counts = ["" if n is None else f"{n:,}" for n in (row.classes, row.train_images, row.val_images)]
        root = "" if row.root == "none" else row.root
        lines.append([f"`{row.spelling}`", row.contents, *counts, root])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


WORDNET = re.compile(r"n\d{8}")
"""A WordNet number, as in the names of ImageNet's folders."""


@cache
def class_titles(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of classes, with words after names that are ImageNet's WordNet numbers.

    torchvision lists the words of ILSVRC 2012 in the order of the numbers.
    """
    if len(names) != 1000 or not all(WORDNET.fullmatch(name) for name in names):
        return names
    from torchvision.models import ResNet50_Weights

    words = dict(zip(sorted(names), ResNet50_Weights.DEFAULT.meta["categories"], strict=True))
    return tuple(f"{name} {words[name]}" for name in names)
