"""Random windows, policies and erasing, compared with torchvision's, for photos and images in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
import torch
from pictures import PHOTO, in_memory, setting
from torchvision.transforms import v2

from netspec.datasets.base import Batches, LoaderConfig
from netspec.datasets.in_memory import InMemoryBatches
from netspec.datasets.registry import open_data
from netspec.errors import DataError
from netspec.language.values import Call
from netspec.recipe import Recipe, RecipeError, read
from netspec.recipe.images import (
    AutoAugment,
    Crop,
    Flip,
    Mean,
    MeanImage,
    RandAugment,
    RandomErasing,
    RandomResizedCrop,
    TrivialAugment,
)
from netspec.registry import resolve
from netspec.transforms.augment import Context, Draw, erase
from netspec.transforms.crops import Cut, TrainingView, random_window
from netspec.transforms.normalize import IMAGENET
from netspec.transforms.preprocessing import Normalizer, Preprocessing

# Random resized crops


def test_random_windows_are_drawn_as_torchvision_draws_them() -> None:
    step = RandomResizedCrop(scale=(0.2, 0.9), ratio=(0.5, 2.0))
    boxes = [random_window((50, 70), step, Random(seed)) for seed in range(4000)]
    ours = torch.tensor([(b.top, b.left, b.height, b.width) for b in boxes]).double()
    theirs_step = v2.RandomResizedCrop(8, step.scale, step.ratio)
    torch.manual_seed(0)
    found = [theirs_step.make_params([torch.zeros(3, 50, 70)]) for _ in range(4000)]
    theirs = torch.tensor([[f[name] for name in ("top", "left", "height", "width")] for f in found]).double()
    assert (ours[:, :2] + ours[:, 2:] <= torch.tensor([50, 70])).all()
    for points in (ours.mean(0) - theirs.mean(0), ours.std(0) - theirs.std(0)):
        assert points.abs().max() < 0.8


@pytest.mark.parametrize("shape", [(1, 300), (300, 1), (10, 10)])
def test_windows_of_long_images_fall_back_to_the_centre(shape: tuple[int, int]) -> None:
    box = random_window(shape, RandomResizedCrop(scale=(1.0, 1.0)), Random(0))
    assert 0 <= box.top <= box.top + box.height <= shape[0]
    assert 0 <= box.left <= box.left + box.width <= shape[1]
    assert abs(box.top - (shape[0] - box.height) / 2) <= 0.5


def test_a_window_of_everything_is_the_resized_image() -> None:
    step = RandomResizedCrop(scale=(1.0, 1.0), ratio=(1.4, 1.4))
    view = TrainingView(Recipe(augment=(step,)), 20, (16, 16))
    wanted = v2.functional.resize(torch.from_numpy(PHOTO).permute(2, 0, 1), [16, 16], antialias=True)
    assert view(PHOTO, 0)[0][0].permute(2, 0, 1).equal(wanted)


# Policies

POLICIES = {
    "rand_augment": (RandAugment(ops=3, magnitude=12), v2.RandAugment(3, 12)),
    "trivial_augment": (TrivialAugment(), v2.TrivialAugmentWide()),
    "auto_augment": (AutoAugment(policy="cifar10"), v2.AutoAugment(v2.AutoAugmentPolicy.CIFAR10)),
}


@pytest.mark.parametrize(("ours", "theirs"), POLICIES.values(), ids=POLICIES)
@pytest.mark.parametrize("channels", [1, 3])
def test_policies_equal_torchvisions(ours: RandAugment, theirs: v2.Transform, channels: int) -> None:
    pixels = torch.from_numpy(PHOTO[:, :, :channels].copy())
    image = v2.functional.to_pil_image(pixels.permute(2, 0, 1))
    before = torch.get_rng_state()
    for seed in range(8):
        found = resolve(ours.photo)(ours, Cut(pixels), Random(seed)).pixels
        with torch.random.fork_rng():
            torch.manual_seed(Random(seed).getrandbits(63))
            wanted = v2.functional.pil_to_tensor(theirs(image))
        assert found.permute(2, 0, 1).equal(wanted)
    assert torch.get_rng_state().equal(before)


MODERN = (RandomResizedCrop(), Flip(p=0.3), RandAugment(), RandomErasing(p=0.5))
Open = Callable[[LoaderConfig], Batches]


@pytest.fixture(params=["folder", "memory", "grey memory"])
def source(request: pytest.FixtureRequest, photos: Callable[..., Path]) -> Open:
    """A function that opens 12 images, from files or in memory."""
    if request.param == "folder":
        return open_data(f"folder:{photos('whole', 5)}").open
    part = in_memory(12, 1 if request.param.startswith("grey") else 3, 24)
    channels = part.images.shape[1]
    return lambda chosen: InMemoryBatches(part, part, replace(chosen, input_shape=(channels, *chosen.size)))


@pytest.mark.parametrize("augment", [MODERN, (Crop(padding=2), TrivialAugment())], ids=["window", "crop"])
def test_epochs_repeat_resume_and_are_divided_among_processes(
    augment: tuple[object, ...], source: Open
) -> None:
    def batches(rank: int = 0, world: int = 1) -> Batches:
        return source(replace(setting(augment=augment), rank=rank, world=world))

    whole = list(batches().train(1))
    assert [images.shape[2:] for images, _ in whole] == [(16, 16)] * 3
    assert all(a[0].equal(b[0]) for a, b in zip(batches().train(1, 1), whole[1:], strict=True))
    shares = [list(batches(rank, 2).train(1)) for rank in (0, 1)]
    for step, (images, labels) in enumerate(whole):
        assert torch.cat([share[step][0] for share in shares]).equal(images)
        assert torch.cat([share[step][1] for share in shares]).equal(labels)


# Erasing


def context(batch: int) -> Context:
    draw = Draw(torch.Generator().manual_seed(0), batch, slice(0, batch))
    return Context(draw, Normalizer(torch.zeros(1, 1, 1), torch.ones(1, 1, 1)), IMAGENET)


def test_erased_boxes_equal_torchvisions() -> None:
    images = torch.ones(3000, 1, 20, 30)
    erased = erase(RandomErasing(p=0.5), images, context(3000))[:, 0] == 0
    hit = erased.flatten(1).any(1)
    assert abs(float(hit.float().mean()) - 0.5) < 0.03
    rows, columns = erased.any(2).sum(1), erased.any(1).sum(1)
    assert erased.sum((1, 2)).equal(rows * columns)  # each erased region is one box
    theirs = v2.RandomErasing(p=1)
    torch.manual_seed(0)
    found = [theirs.make_params([torch.ones(1, 20, 30)]) for _ in range(1500)]
    sizes = torch.tensor([(f["h"], f["w"]) for f in found]).double()
    ours = torch.stack([rows, columns], 1)[hit].double()
    assert (ours.mean(0) - sizes.mean(0)).abs().max() < 0.4
    assert (ours.std(0) - sizes.std(0)).abs().max() < 0.4


# Misfits


MISFITS: dict[str, tuple[dict[str, object], str]] = {
    "two windows": ({"augment": (RandomResizedCrop(), Crop())}, "both choose the window"),
    "a mean image": ({"augment": (RandomResizedCrop(),), "normalize": MeanImage()}, "`train.normalize=mean`"),
}


@pytest.mark.parametrize(("entries", "message"), MISFITS.values(), ids=MISFITS)
def test_augmentations_that_do_not_fit(entries: dict[str, object], message: str, source: Open) -> None:
    with pytest.raises(DataError, match=message):
        source(setting(**entries))


# What prediction needs


@pytest.mark.parametrize("normalize", [Mean(), MeanImage()], ids=["mean", "mean image"])
def test_preprocessing_is_saved_as_plain_values(normalize: object, source: Open, tmp_path: Path) -> None:
    found = source(setting(normalize=normalize)).preprocessing
    torch.save(found.to_plain(), tmp_path / "x.pt")
    loaded = Preprocessing.from_plain(torch.load(tmp_path / "x.pt", weights_only=True))
    assert loaded == found
    assert loaded.crop == (16, 16)
    assert (loaded.mean_image is None) == isinstance(normalize, Mean)
    assert Preprocessing.from_plain({"mean": [1.0], "scale": [2.0]}) == Preprocessing((1.0,), (2.0,))


# Recipes


def test_recipes_can_name_augmentations() -> None:
    entries = {
        "augment": [
            Call("random_resized_crop", (), {"scale": [0.1, 1]}),
            Call("flip", (0.2,)),
            "rand_augment",
        ]
    }
    assert read(entries).augment == (RandomResizedCrop(scale=(0.1, 1.0)), Flip(p=0.2), RandAugment())
    with pytest.raises(RecipeError, match="scale of random_resized_crop must have its lower bound first"):
        read({"augment": [Call("random_resized_crop", (), {"scale": [1, 0.1]})]})
