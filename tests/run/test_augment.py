"""Augmentations of today against torchvision's, in folders and in memory, and the statistics they need."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2

from netspec.recipe import Recipe, RecipeError, read
from netspec.recipe.images import (
    AutoAugment,
    Crop,
    Flip,
    Lighting,
    Mean,
    MeanFile,
    MeanImage,
    RandAugment,
    RandomErasing,
    RandomResizedCrop,
    Raw,
    TrivialAugment,
)
from netspec.run.data import Batches, DataError, Setting, open_data
from netspec.run.data.normalize import Normalizer
from netspec.run.data.policies import applied, policies
from netspec.run.data.resident import Labelled, ResidentBatches
from netspec.run.data.source import Preprocessing
from netspec.run.data.statistics import EIGENVALUES, EIGENVECTORS, measure
from netspec.run.data.transforms import Draw, erase
from netspec.run.data.tree import class_folders, scan
from netspec.run.data.views import FixedView, TrainingView, random_window
from netspec.values import Call

CPU = torch.device("cpu")
RANDOM = np.random.default_rng(0)
PHOTO = RANDOM.integers(0, 256, (50, 70, 3), dtype=np.uint8)


def setting(size: int = 16, channels: int = 3, **recipe: object) -> Setting:
    values = {"batch": 4, "normalize": Raw(), "resize": 20} | recipe
    return Setting((channels, size, size), Recipe.model_validate(values), CPU, 0)


def collect(batches: Iterator[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    images, labels = zip(*batches, strict=True)
    return torch.cat(images), torch.cat(labels)


def in_memory(count: int = 12, channels: int = 3, size: int = 16) -> Labelled:
    stream = torch.Generator().manual_seed(3)
    images = torch.randint(256, (count, channels, size, size), generator=stream, dtype=torch.uint8)
    return Labelled(images, torch.arange(count))


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
def test_policies_are_torchvisions(ours: RandAugment, theirs: v2.Transform, channels: int) -> None:
    pixels = torch.from_numpy(PHOTO[:, :, :channels].copy())
    image = v2.functional.to_pil_image(pixels.permute(2, 0, 1))
    before = torch.get_rng_state()
    for seed in range(8):
        found = applied(pixels, policies(Recipe(augment=(ours,))), seed)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            wanted = v2.functional.pil_to_tensor(theirs(image))
        assert found.permute(2, 0, 1).equal(wanted)
    assert torch.get_rng_state().equal(before)


TODAYS = (RandomResizedCrop(), Flip(p=0.3), RandAugment(), RandomErasing(p=0.5))
Open = Callable[[Setting], Batches]


@pytest.fixture(params=["folder", "memory", "grey memory"])
def source(request: pytest.FixtureRequest, photos: Callable[..., Path]) -> Open:
    """Opens a source of 12 images, whatever the channels of the setting."""
    if request.param == "folder":
        return open_data(f"folder:{photos('whole', 5)}").open
    part = in_memory(12, 1 if request.param.startswith("grey") else 3, 24)
    channels = part.images.shape[1]
    return lambda chosen: ResidentBatches(part, part, replace(chosen, input_shape=(channels, *chosen.size)))


@pytest.mark.parametrize("augment", [TODAYS, (Crop(padding=2), TrivialAugment())], ids=["window", "crop"])
def test_epochs_repeat_resume_and_are_shared_out(augment: tuple[object, ...], source: Open) -> None:
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


def draw(batch: int, seed: int = 0) -> Draw:
    return Draw(torch.Generator().manual_seed(seed), batch, slice(0, batch))


def test_erased_boxes_are_torchvisions() -> None:
    images = torch.ones(3000, 1, 20, 30)
    erased = erase(images, 0.5, draw(3000))[:, 0] == 0
    hit = erased.flatten(1).any(1)
    assert abs(float(hit.float().mean()) - 0.5) < 0.03
    rows, columns = erased.any(2).sum(1), erased.any(1).sum(1)
    assert erased.sum((1, 2)).equal(rows * columns)  # boxes, whole
    theirs = v2.RandomErasing(p=1)
    torch.manual_seed(0)
    found = [theirs.make_params([torch.ones(1, 20, 30)]) for _ in range(1500)]
    sizes = torch.tensor([(f["h"], f["w"]) for f in found]).double()
    ours = torch.stack([rows, columns], 1)[hit].double()
    assert (ours.mean(0) - sizes.mean(0)).abs().max() < 0.4
    assert (ours.std(0) - sizes.std(0)).abs().max() < 0.4


# Statistics


def test_the_colours_of_a_set_are_its_own(photos: Callable[..., Path], cache: Path) -> None:
    data = open_data(f"folder:{photos('whole', 5)}")
    found = data.open(setting(augment=(Lighting(),))).found  # type: ignore[attr-defined]
    paths = [os.fsdecode(path) for path in data.train_files.paths]  # type: ignore[attr-defined]
    view = v2.Compose([v2.Resize(20), v2.CenterCrop(20), v2.PILToTensor()])
    images = torch.stack([view(Image.open(path)) for path in paths])
    colours = images.transpose(0, 1).flatten(1).double() / 255
    values = torch.linalg.eigvalsh(torch.cov(colours, correction=0)).flip(0)
    torch.testing.assert_close(found.eigenvalues.double(), values, rtol=1e-4, atol=1e-6)
    vectors = found.eigenvectors.double()
    torch.testing.assert_close(
        vectors.T @ torch.cov(colours, correction=0) @ vectors, values.diag(), rtol=1e-4, atol=1e-6
    )


def test_what_was_measured_is_kept(
    photos: Callable[..., Path], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = photos("whole", 5)
    first = open_data(f"folder:{root}").open(setting(normalize=MeanImage()))
    assert len(list((cache / "statistics").iterdir())) == 1
    monkeypatch.setattr("netspec.run.data.photos.measure", None)  # calling it would fail
    second = open_data(f"folder:{root}").open(setting(normalize=MeanImage()))
    assert first.preprocessing == second.preprocessing
    assert first.preprocessing.mean_image.equal(second.preprocessing.mean_image)  # type: ignore[union-attr]
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache.parent))
    for path in (root / "class0").iterdir():
        os.utime(path, (1, 1))
    open_data(f"folder:{root}").open(setting(normalize=MeanImage()))
    open_data(f"folder:{root}").open(setting(normalize=MeanImage(), resize=24))
    assert len(list((cache / "statistics").iterdir())) == 3


def test_a_cache_that_cannot_be_written_is_no_fault(
    photos: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = photos("whole", 5)
    monkeypatch.setenv("XDG_CACHE_HOME", str(root / "class0" / "0.jpg"))
    assert open_data(f"folder:{root}").open(setting(normalize=Mean())).preprocessing.mean[0] > 0


def test_imagenets_sample_has_imagenets_components(data_root: Path) -> None:
    root = data_root / "imagenet-sample"
    files = scan(root, class_folders(root))
    view = FixedView("center_crop", 256, (256, 256))
    found = measure(view(files.photo(i), 0)[0][0].permute(2, 0, 1)[None] for i in range(0, len(files), 6))  # type: ignore[arg-type]
    torch.testing.assert_close(found.eigenvalues, torch.tensor(EIGENVALUES), rtol=0.5, atol=0)
    first, published = found.eigenvectors[:, 0], torch.tensor(EIGENVECTORS)[:, 0]
    assert abs(float(first @ published)) > 0.999


# Mean images


def test_a_mean_images_window_is_subtracted(photos: Callable[..., Path]) -> None:
    data = open_data(f"folder:{photos('whole', 5)}")
    recipe = {"augment": (Flip(), Crop(padding=3)), "batch": 12, "seed": 4}
    plain, less = (data.open(setting(normalize=n, **recipe)) for n in (Raw(), MeanImage()))
    mean = less.preprocessing.mean_image
    assert mean is not None
    assert mean.shape == (3, 20, 20)
    padded = torch.nn.functional.pad(mean, (3, 3, 3, 3))
    windows = padded.unfold(1, 16, 1).unfold(2, 16, 1).permute(1, 2, 0, 3, 4).reshape(-1, 3, 16, 16)
    windows = torch.cat([windows, windows.flip(-1)]).flatten(1)
    differences = (collect(plain.train(0))[0] - collect(less.train(0))[0]).flatten(1)
    assert torch.cdist(differences, windows, compute_mode="donot_use_mm_for_euclid_dist").amin(1).max() < 0.01
    for view in ("center_crop", "ten_crop"):
        one, two = (collect(b.validate(view))[0] for b in (plain, less))  # type: ignore[arg-type]
        found = (one - two).flatten(0, -4).flatten(1)
        assert torch.cdist(found, windows, compute_mode="donot_use_mm_for_euclid_dist").amin(1).max() < 0.01


def test_ten_crops_take_the_windows_of_their_places() -> None:
    """A photo that is its own mean image leaves nothing, in every crop."""
    pixels = PHOTO[:20, :20].copy()
    values = Preprocessing(
        (0.0,) * 3, (1.0,) * 3, mean_image=torch.from_numpy(pixels).permute(2, 0, 1).float()
    )
    crops, places = FixedView("ten_crop", 20, (13, 16))(pixels)
    images = torch.stack(crops).permute(0, 3, 1, 2)
    assert Normalizer.of(values, CPU)(images, torch.tensor(places)).abs().max() == 0


def test_a_mean_image_in_memory() -> None:
    part = in_memory(12)
    batches = ResidentBatches(part, part, setting(normalize=MeanImage(), augment=(Crop(padding=9),)))
    images, _ = collect(batches.validate())
    torch.testing.assert_close(images, part.images - part.images.float().mean(0))
    moved = collect(batches.train(0))[0]
    assert (moved == 0).flatten(1).any(1).all()  # the padding is the mean's own


@pytest.mark.parametrize("order", ["bgr", "rgb"])
def test_a_mean_file_is_read_in_its_order(order: str, tmp_path: Path, photos: Callable[..., Path]) -> None:
    mean = RANDOM.random((3, 20, 20)) * 255
    np.save(tmp_path / "mean.npy", mean)
    part = in_memory(12, size=20)
    chosen = setting(20, normalize=MeanFile(path=str(tmp_path / "mean.npy"), order=order))  # type: ignore[arg-type]
    images, _ = collect(ResidentBatches(part, part, chosen).validate())
    wanted = torch.from_numpy(mean[::-1].copy() if order == "bgr" else mean).float()
    torch.testing.assert_close(images, part.images - wanted)
    folder = open_data(f"folder:{photos('whole', 5)}").open(replace(chosen, input_shape=(3, 16, 16)))
    assert collect(folder.train(0))[0].shape == (12, 3, 16, 16)


def test_a_mean_of_channels_alone(tmp_path: Path) -> None:
    np.save(tmp_path / "mean.npy", np.array([1.0, 2.0, 3.0]))
    chosen = setting(normalize=MeanFile(path=str(tmp_path / "mean.npy")))
    assert ResidentBatches(in_memory(), in_memory(), chosen).preprocessing.mean == (3.0, 2.0, 1.0)


def test_caffes_mean(data_root: Path, photos: Callable[..., Path]) -> None:
    path = data_root / "ilsvrc_2012_mean.npy"
    recipe = {"normalize": MeanFile(path=str(path)), "resize": 256}
    batches = open_data(f"folder:{photos('whole', 5)}").open(setting(227, **recipe))
    assert batches.preprocessing.mean == pytest.approx((123, 117, 104), abs=1)  # in RGB order
    assert next(batches.train(0))[0].shape == (4, 3, 227, 227)


MEANS: dict[str, tuple[object, str]] = {
    "another size": (
        np.zeros((3, 9, 9)),
        "is a mean of 9x9, but the images are resized to 20x20: set resize to 9",
    ),
    "other channels": (
        np.zeros((1, 20, 20)),
        "holds 1x20x20 of float64, but the mean of these images is 3xHxW",
    ),
    "texts": (np.array(["a", "b", "c"]), "holds 3 of <U1"),
    "no array": (b"junk", "is not a .npy file"),
    "no file": (None, "cannot be read: No such file"),
}


@pytest.mark.parametrize(("content", "message"), MEANS.values(), ids=MEANS)
def test_means_that_do_not_fit(
    content: object, message: str, tmp_path: Path, photos: Callable[..., Path]
) -> None:
    path = tmp_path / "mean.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.save(path, content)
    with pytest.raises(DataError, match=message):
        open_data(f"folder:{photos('whole')}").open(setting(normalize=MeanFile(path=str(path))))


MISFITS: dict[str, tuple[dict[str, object], str]] = {
    "two windows": ({"augment": (RandomResizedCrop(), Crop())}, "both choose the window"),
    "a mean image": ({"augment": (RandomResizedCrop(),), "normalize": MeanImage()}, "use normalize: mean"),
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


def test_recipes_spell_them() -> None:
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
