"""Augmentations and normalizations: each is documented, implemented, and applied by every data set."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from pictures import collect, in_memory, setting

from netspec.datasets.in_memory import InMemoryBatches
from netspec.datasets.registry import open_data
from netspec.recipe import PARTS
from netspec.recipe.images import (
    AUGMENTATIONS,
    NORMALIZATIONS,
    Augmentation,
    Cutmix,
    Flip,
    Lighting,
    MeanFile,
    Mixup,
    RandomErasing,
    Scale,
)
from netspec.registry import resolve
from netspec.transforms.augment import mixed
from netspec.transforms.crops import Stages

STAGES = ("window", "photo", "batch", "mix")

# Every augmentation, in a form that changes nearly every image.
AUGMENTED = {
    "flip": Flip(p=1.0),
    "lighting": Lighting(sigma=0.5),
    "crop": AUGMENTATIONS["crop"](),
    "random_resized_crop": AUGMENTATIONS["random_resized_crop"](),
    "rand_augment": AUGMENTATIONS["rand_augment"](ops=4, magnitude=20),
    "trivial_augment": AUGMENTATIONS["trivial_augment"](),
    "auto_augment": AUGMENTATIONS["auto_augment"](),
    "random_erasing": RandomErasing(p=1.0),
    "mixup": Mixup(alpha=5.0),
    "cutmix": Cutmix(),
}
# Every normalization.
NORMALIZED = {
    **{name: NORMALIZATIONS[name]() for name in ("none", "mean", "mean_std", "mean_image", "imagenet")},
    "scale": Scale(factor=0.5),
    "mean_file": MeanFile(path="mean.npy"),
}


def faults(part: type[Augmentation]) -> list[str]:
    """The missing parts of an augmentation."""
    found = [] if part.__doc__ and part.__doc__ != Augmentation.__doc__ else ["doc"]
    named = [getattr(part, stage) for stage in STAGES if getattr(part, stage)]
    if not named:
        found.append("stage")
    return found + [name for name in named if not resolve(name).__doc__]


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_every_augmentation_is_complete_and_has_a_test(name):
    assert faults(AUGMENTATIONS[name]) == []
    assert AUGMENTED[name].name == name
    assert PARTS["augment"] is AUGMENTATIONS


@pytest.mark.parametrize("name", NORMALIZATIONS)
def test_every_normalization_is_complete_and_has_a_test(name):
    part = NORMALIZATIONS[name]
    assert part.__doc__
    assert resolve(part.function).__doc__
    assert isinstance(NORMALIZED[name], part)
    assert PARTS["normalize"] is NORMALIZATIONS


@pytest.fixture(params=["files", "memory"])
def source(request, photos):
    """Opens twelve images, from files or in memory."""
    if request.param == "files":
        return open_data(f"folder:{photos('whole', 5)}").open
    part = in_memory(12, 3, 24)
    return lambda chosen: InMemoryBatches(part, part, chosen)


def trained(source, *steps, **recipe):
    """The images of an epoch, in one batch, after a recipe's augmentations."""
    config = setting(augment=steps, batch=12, **recipe)
    images, labels = next(source(config).train(0))
    return mixed(images, labels, 12, config.recipe, torch.Generator().manual_seed(2))[0]


@pytest.mark.parametrize("name", AUGMENTED)
def test_every_augmentation_changes_images_of_every_source(source, name):
    plain, changed = trained(source), trained(source, AUGMENTED[name])
    assert plain.shape == changed.shape == (12, 3, 16, 16)
    assert (plain != changed).flatten(1).any(1).sum() >= 6


@pytest.mark.parametrize("name", NORMALIZED)
def test_every_normalization_suits_every_source(source, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("mean.npy", np.full(3, 40.0))
    plain, changed = trained(source), trained(source, normalize=NORMALIZED[name])
    assert plain.equal(changed) == (name == "none")


def darker(step, images, context):
    """Halve the normalized values."""
    return images / 2


def inverted(step, crop, random):
    """Invert the pixels of one image."""
    return replace(crop, pixels=255 - crop.pixels)


@pytest.mark.parametrize(
    ("stage", "function"), [("batch", darker), ("photo", inverted)], ids=["batch", "photo"]
)
def test_a_new_augmentation_is_applied_to_every_source(source, stage, function, monkeypatch):
    """One class is enough: both photos in files and images in memory apply it."""
    monkeypatch.setattr(AUGMENTATIONS, "_members", dict(AUGMENTATIONS))

    class New(Augmentation):
        """New."""

        kind: str = "new"

    setattr(New, stage, f"{__name__}:{function.__name__}")
    monkeypatch.setitem(sys.modules, __name__, sys.modules[__name__])
    plain = setting(batch=12)
    recipe = plain.recipe.model_copy(update={"augment": (New(),)})
    before, after = (source(c) for c in (plain, replace(plain, recipe=recipe)))
    (one, _), (two, _) = collect(before.train(0)), collect(after.train(0))
    assert two.equal(one / 2 if stage == "batch" else 255 - one)


def test_an_incomplete_augmentation_fails(monkeypatch):
    monkeypatch.setattr(AUGMENTATIONS, "_members", dict(AUGMENTATIONS))

    class Bare(Augmentation):
        kind: str = "bare"

    assert faults(Bare) == ["doc", "stage"]
    Bare.batch = "netspec.transforms.augment:absent"
    with pytest.raises(AttributeError, match="absent"):
        faults(Bare)


def test_each_augmentation_is_in_one_stage():
    recipe = setting(augment=tuple(AUGMENTED.values())).recipe
    for memory in (False, True):
        stages = Stages.of(recipe, in_memory=memory)
        placed = [*stages.photo, *stages.batch, *([stages.window] if stages.window else [])]
        windows = [s for s in recipe.augment if s.window and not (memory and s.batch)]
        assert len(placed) == len(recipe.augment) - 2 - (len(windows) - 1)
