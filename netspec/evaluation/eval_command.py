"""`netspec eval`: trained networks, alone and together, on labelled images."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from netspec.build.device import choose_device
from netspec.datasets.image_folder import ImageFolder
from netspec.errors import DataError, TrainError
from netspec.evaluation.inference import Images, Runtime, hear, open_images
from netspec.evaluation.load import Saved
from netspec.evaluation.metrics import Votes, by_class, confusion_matrix, ensemble, score, worst
from netspec.evaluation.published import open_network
from netspec.evaluation.scoring import Score
from netspec.tables import align, percent

TROUBLE = (TrainError, DataError)
"""What can be wrong for a reason the user can mend."""


@dataclass(frozen=True)
class Judged:
    """The figures of every network, and the vote of all: of the one where there is but one."""

    members: tuple[tuple[Saved, Score], ...]
    images: Images
    votes: Votes
    total: Score

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the classes, by the numbers that the votes use."""
        return class_names(self.members[0][0], self.images)


def class_names(saved: Saved, images: Images) -> tuple[str, ...]:
    """The network's names of its classes, or the data's where it has none."""
    return saved.class_names if saved.known_classes else images.data.class_names


def eval_networks(
    networks: Sequence[str],
    *,
    data: str | None,
    root: Path | None,
    crops: str | None,
    per_class: bool,
    confusion: Path | None,
    ema: bool,
    weights: str | None,
    form: str,
    device: str,
    workers: int | None,
    batch: int | None,
) -> str:
    """Judge checkpoints, or a network of the zoo by published weights, and give the text to show.

    Raises:
        DataError, TrainError: what does not fit or cannot be read.
    """
    if confusion is not None and confusion.suffix not in (".csv", ".png", ".svg", ".pdf"):
        message = f"{confusion} is no picture or table that can be written"
        raise TrainError(f"{message}: name a .csv, .png, .svg or .pdf file", wrong_use=True)
    members = [open_network(name, weights, ema=ema) for name in networks]
    runtime = Runtime(choose_device(device), workers, batch)
    judged = judge(members, data, root, int(crops) if crops else None, runtime)
    if confusion is not None:
        from netspec.evaluation.confusion import write_confusion

        write_confusion(confusion, confusion_matrix(judged.votes), judged.names)
    show = as_json if form == "json" else as_text
    return show(judged, per_class=per_class, confusions=confusion is not None)


def judge(
    members: Sequence[Saved], data: str | None, root: Path | None, crops: int | None, runtime: Runtime
) -> Judged:
    """Run every network over the same images and take their vote."""
    if data is None and len({m.data for m in members}) > 1:
        names = ", ".join(dict.fromkeys(m.data for m in members))
        raise DataError(f"the networks were trained on {names}: say with --data which to use", wrong_use=True)
    opened = [open_images(member, data, root) for member in members]
    crops = crops or (10 if members[0].recipe.evaluate == "ten_crop" else 1)
    scores, heard = [], []
    for member, images in zip(members, opened, strict=True):
        _refuse_other_images(member, images, members[0], opened[0])
        votes = hear(member, images, "ten_crop" if crops == 10 else "center_crop", runtime)
        votes = _reordered(votes, member, members[0])
        scores.append((member, score(votes)))
        heard.append(votes)
    together = heard[0] if len(heard) == 1 else ensemble(heard)
    return Judged(tuple(scores), opened[0], together, score(together))


def _refuse_other_images(member: Saved, images: Images, first: Saved, others: Images) -> None:
    """Refuse networks whose runs held out different images of a folder: each knows some of the others'."""
    if isinstance(images.data, ImageFolder) and isinstance(others.data, ImageFolder):
        here, there = images.data.val.paths, others.data.val.paths
        if here.shape != there.shape or (here != there).any():
            message = f"{member.path} and {first.path} held out different images of {images.data.name}"
            raise DataError(
                f"{message}, so that each was trained on some of the other's: judge them one by one, "
                "or on other images with --data"
            )


def _reordered(votes: Votes, member: Saved, first: Saved) -> Votes:
    """A network's votes in the order of the first network's classes."""
    if member.class_names == first.class_names:
        return votes
    if set(member.class_names) != set(first.class_names):
        message = f"{member.path} and {first.path} tell different classes apart"
        raise DataError(f"{message}: an ensemble needs the same classes; evaluate them one by one")
    order = torch.tensor([member.class_names.index(name) for name in first.class_names])
    return Votes(votes.scores[:, order], order.argsort()[votes.labels], votes.crops)


def as_json(judged: Judged, *, per_class: bool, confusions: bool) -> str:
    """Everything as JSON; errors are shares from 0 to 1."""
    content: dict[str, Any] = {
        "data": judged.images.data.name,
        "crops": judged.votes.crops,
        "networks": [
            {"network": str(saved.path), "weights": saved.weights, **_figures(figures)}
            for saved, figures in judged.members
        ],
    }
    if len(judged.members) > 1:
        content["ensemble"] = _figures(judged.total)
    names = judged.names
    if per_class:
        content["classes"] = [
            {
                **asdict(c),
                "label": names[c.label],
                "taken_for": None if c.taken_for is None else names[c.taken_for],
            }
            for c in by_class(judged.votes)
        ]
    if confusions:
        found = worst(confusion_matrix(judged.votes))
        content["confusions"] = [asdict(c) | {"true": names[c.true], "guess": names[c.guess]} for c in found]
    return json.dumps(content, indent=2)


def _figures(figures: Score) -> dict[str, object]:
    return asdict(figures) | {
        "top1_accuracy": 1 - figures.top1_error,
        "top5_accuracy": 1 - figures.top5_error,
    }


def as_text(judged: Judged, *, per_class: bool, confusions: bool) -> str:
    """Tables for people."""
    data = judged.images.data
    photos = isinstance(judged.members[0][0].preprocessing.resize, int)
    one = "centre crop" if photos else "whole"  # images of small sets are resized to the network's input
    crops = f"{judged.votes.crops} crops" if judged.votes.crops > 1 else one
    parts = [f"{data.name}: {judged.total.images:,} images ({judged.images.which}), {crops}"]
    rows = [_row(str(saved.path), saved.weights, figures) for saved, figures in judged.members]
    if len(rows) > 1:
        rows.append(_row(f"ensemble of {len(rows)}", "mean of probabilities", judged.total))
    head = ["network", "weights", "loss", "top-1 accuracy", "top-1 error", "top-5 accuracy", "top-5 error"]
    parts.append(align(head, rows, words=2))
    if per_class:
        parts.append(_classes(judged))
    if confusions:
        parts.append(_confusions(judged))
    return "\n\n".join(parts)


def _row(name: str, weights: str, figures: Score) -> list[str]:
    errors = [figures.top1_error, figures.top5_error]
    return [name, weights, f"{figures.loss:.4f}", *(percent(s) for e in errors for s in (1 - e, e))]


def _classes(judged: Judged) -> str:
    names = judged.names
    rows = [
        [
            names[c.label],
            "" if c.taken_for is None else f"{names[c.taken_for]} ({c.times:,})",
            f"{c.images:,}",
            percent(c.top1_error),
            percent(c.top5_error),
        ]
        for c in by_class(judged.votes)
    ]
    return align(["class", "most taken for", "images", "top-1 error", "top-5 error"], rows, words=2)


def _confusions(judged: Judged) -> str:
    names = judged.names
    found = worst(confusion_matrix(judged.votes))
    if not found:
        return "no image is taken for another class"
    rows = [[names[c.true], names[c.guess], f"{c.count:,}", percent(c.share)] for c in found]
    return align(["class", "taken for", "images", "of its images"], rows, words=2)
