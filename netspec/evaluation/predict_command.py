"""`netspec predict`: the classes of image files, by a trained network."""

from __future__ import annotations

import csv
import glob
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from netspec.build.device import choose_device, memory_explained, place
from netspec.datasets.layout import EXTENSIONS
from netspec.diagnostics import printable
from netspec.errors import DataError, TrainError
from netspec.evaluation.images import Seen, see
from netspec.evaluation.load import Saved
from netspec.evaluation.published import open_network
from netspec.evaluation.scoring import predict
from netspec.tables import align, percent

TROUBLE = (TrainError, DataError)
"""What can be wrong for a reason the user can mend."""


@dataclass(frozen=True)
class Answer:
    """The most likely classes of an image with their probabilities, the likeliest first, or none."""

    seen: Seen
    guesses: tuple[tuple[str, float], ...] = ()


def predict_images(
    network: str,
    images: Sequence[str],
    *,
    top: int,
    crops: str | None,
    ema: bool,
    weights: str | None,
    form: str,
    device: str,
    batch: int,
    say: Callable[[str], object],
    warn: Callable[[str], object],
) -> int:
    """Name the classes of image files, folders of them and patterns, and give the exit status.

    `say` hears the answers, `warn` what was done to images and which cannot be read; the status is then 1.

    Raises:
        TrainError: the network cannot be opened.
    """
    saved = open_network(network, weights, ema=ema)
    ten = crops == "10" if crops else saved.recipe.evaluate == "ten_crop"
    paths, missing = find_images(images)
    seen = see(saved, paths, "ten_crop" if ten else "center_crop")
    with memory_explained(batch):
        answers = list(ask(saved, seen, top, choose_device(device), batch))
    if text := FORMS[form](answers):
        say(text)
    bad = [f"{a.seen.path} cannot be read: {a.seen.reason}" for a in answers if a.seen.pixels is None]
    for note in changes(answers):
        warn(f"note: {note}")
    for fault in [*missing, *bad]:
        warn(f"error: {printable(fault)}")
    return 1 if missing or bad else 0


def find_images(names: Sequence[str]) -> tuple[list[Path], list[str]]:
    """The files of names, folders and patterns in order, each once, and what is wrong with the others."""
    found: dict[Path, None] = {}
    faults = []
    for name in names:
        path = Path(name)
        pattern = any(c in name for c in "*?[") and not path.exists()
        matches = sorted(glob.glob(name, recursive=True)) if pattern else [name]  # noqa: PTH207, any root
        if not matches:
            faults.append(f"no file matches {name}")
        for match in map(Path, matches):
            inside = sorted(_images(match)) if match.is_dir() else [match]
            if not inside:
                kinds = ", ".join(extension[1:] for extension in EXTENSIONS)
                faults.append(f"{match} holds no images ({kinds})")
            found |= dict.fromkeys(inside)
    return list(found), faults


def _images(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if path.suffix.lower() in EXTENSIONS and not path.name.startswith(".") and path.is_file():
            yield path


@torch.inference_mode()
def ask(saved: Saved, seen: Iterator[Seen], top: int, device: torch.device, batch: int) -> Iterator[Answer]:
    """A network's answers to images, in their order, `batch` images at a time."""
    place(saved.module, device)
    waiting: list[Seen] = []
    for one in seen:
        waiting.append(one)
        if len(waiting) == batch:
            yield from _answers(saved, waiting, top, device)
            waiting = []
    yield from _answers(saved, waiting, top, device)


def _answers(saved: Saved, seen: Sequence[Seen], top: int, device: torch.device) -> Iterator[Answer]:
    pixels = [one.pixels.to(device) for one in seen if one.pixels is not None]
    chances: Iterator[Tensor] = iter(_chances(saved, pixels, device) if pixels else ())
    for one in seen:
        guesses = () if one.pixels is None else _ranked(next(chances), saved, top)
        yield Answer(one, guesses)


def _chances(saved: Saved, pixels: Sequence[Tensor], device: torch.device) -> Tensor:
    """Probabilities, N x classes."""
    return predict(saved.module, torch.stack(list(pixels)).to(device)).float().exp().cpu()


def _ranked(chances: Tensor, saved: Saved, top: int) -> tuple[tuple[str, float], ...]:
    values, places = chances.topk(min(top, len(chances)))
    ranked = zip(places.tolist(), values.tolist(), strict=True)
    return tuple((saved.class_names[k], chance) for k, chance in ranked)


def changes(answers: Sequence[Answer]) -> Iterator[str]:
    """What was done to images that are not like those of the training, in one sentence."""
    changed = [a.seen for a in answers if a.seen.change]
    if changed:
        others = f", and so were {len(changed) - 1} more" if len(changed) > 1 else ""
        first = printable(f"{changed[0].path} was {changed[0].change}")
        yield f"{first}, like the images that the network was trained on{others}"


def as_text(answers: Sequence[Answer]) -> str:
    """A table for people."""
    rows = [
        ["" if place else str(a.seen.path), name, percent(chance)]
        for a in answers
        for place, (name, chance) in enumerate(a.guesses)
    ]
    return align(["image", "class", "probability"], rows, words=2) if rows else ""


def as_json(answers: Sequence[Answer]) -> str:
    """A list with an object for each image; one that cannot be read has `error` in place of `classes`."""
    content = [
        {"image": str(a.seen.path), "error": a.seen.reason}
        if a.seen.pixels is None
        else {"image": str(a.seen.path), "classes": [{"class": n, "probability": p} for n, p in a.guesses]}
        for a in answers
    ]
    return json.dumps(content, indent=2)


def as_csv(answers: Sequence[Answer]) -> str:
    """A row for each image and class."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image", "rank", "class", "probability"])
    for a in answers:
        writer.writerows([a.seen.path, rank, n, f"{p:.6g}"] for rank, (n, p) in enumerate(a.guesses, 1))
    return text.getvalue().rstrip("\n")


FORMS: Mapping[str, Callable[[Sequence[Answer]], str]] = {"table": as_text, "json": as_json, "csv": as_csv}
