"""What is said of a run before its first step: what it repeats, and what it cannot mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from netspec.datasets.layout import find_parts
from netspec.language.values import spell
from netspec.recipe import Recipe
from netspec.training.state import Run


def heading(about: Mapping[str, object]) -> str:
    """A comment that says which network the recipe trained, so that the whole run can be repeated."""
    arguments, inputs = about.get("arguments"), about.get("inputs")
    words = [f"--set {n}={spell(v)}" for n, v in arguments.items()] if isinstance(arguments, dict) else []
    words += [f"--input {n}={spell(tuple(s))}" for n, s in inputs.items()] if isinstance(inputs, dict) else []
    words += [f"--weights {_one_line(about['weights'])}"] if about.get("weights") else []
    path = _one_line(about.get("path", ""))
    return f"# netspec train {' '.join([path, *words])}\n" if path else ""


def _one_line(text: object) -> str:
    return " ".join(str(text).split())


def doubts(run: Run) -> Iterator[str]:
    """What a recipe asks for that this run cannot mean."""
    recipe, data = run.recipe, run.data
    if recipe.schedule.warmup >= recipe.epochs:
        rise = f"the learning rate rises over {recipe.schedule.warmup:g} epochs"
        yield f"{rise}, and the run has {recipe.epochs}: it ends before the rise does"
    if recipe.batch > run.batches.batch:
        every = f"{data.name} has {data.train_images:,} images to train on"
        yield f"{every}: a step takes them all, not {recipe.batch:,}"
    asked = [n for n in ("resize", "crop") if getattr(recipe, n)]
    asked += ["evaluate: ten_crop"] * (recipe.evaluate == "ten_crop")
    if seen_whole(run) and asked:
        whole = f"images of {data.name} are seen whole, in the size of the input"
        yield f"{whole}: {' and '.join(asked)} change{'s' * (len(asked) == 1)} nothing"
    if recipe.val_share != Recipe().val_share and not holds_out(data.name):
        yield f"val_share is for folders of photos without val/: it changes nothing for {data.name}"


def holds_out(data: str) -> bool:
    """Whether a set is a folder of which a share is held out for validation."""
    kind, _, path = data.partition(":")
    return kind == "folder" and find_parts(Path(path)) is None


def seen_whole(run: Run) -> bool:
    """Whether images are resized to the network's input, with no crops to take."""
    return isinstance(run.batches.preprocessing.resize, tuple)
