"""Sets in memory: MNIST's files, digits, and batches cut from tensors."""

from __future__ import annotations

import gzip
import os
import shutil
import urllib.error
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torchvision
from pictures import collect
from torch import Tensor
from torch.nn.functional import interpolate

from netspec.datasets.base import LoaderConfig, check_fit
from netspec.datasets.in_memory import InMemoryBatches, Labelled
from netspec.datasets.registry import open_data
from netspec.errors import DataError
from netspec.language.values import Call
from netspec.recipe import Recipe, read
from netspec.recipe.images import Crop, Flip, Lighting, Mean, Raw, Scale
from netspec.transforms.augment import Context, Draw, flip, lighting, shift
from netspec.transforms.normalize import EIGENVALUES, EIGENVECTORS, IMAGENET, preprocessing
from netspec.transforms.preprocessing import Normalizer

CPU = torch.device("cpu")
REAL_MNIST = Path(os.environ.get("NETSPEC_DATA", Path(__file__).parents[3] / "shared" / "data")) / "mnist"

# Truncated, mislabelled or missing files: how the folder is damaged, and the message.
DAMAGED: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing file": (
        lambda r: (r / "t10k-labels-idx1-ubyte").unlink(),
        r"has no t10k-labels-idx1-ubyte\[\.gz\]",
    ),
    "empty file": (lambda r: (r / "t10k-images-idx3-ubyte").write_bytes(b""), "t10k-images.*not an IDX file"),
    "not gzip": (
        lambda r: (r / "train-images-idx3-ubyte.gz").write_bytes(b"junk" * 9),
        "damaged.*download it again",
    ),
    "swapped": (
        lambda r: shutil.copy(r / "t10k-labels-idx1-ubyte", r / "t10k-images-idx3-ubyte"),
        "3 dimensions",
    ),
    "cut short": (lambda r: os.truncate(r / "t10k-images-idx3-ubyte", 500), "ends after 484 of 12544 bytes"),
    "gzip cut short": (
        lambda r: os.truncate(r / "train-images-idx3-ubyte.gz", 5000),
        "damaged.*download it again",
    ),
    "labels of another set": (
        lambda r: shutil.copy(r / "t10k-labels-idx1-ubyte", r / "train-labels-idx1-ubyte"),
        "64 images but 16 labels",
    ),
}


def setting(size: int = 28, **recipe: object) -> LoaderConfig:
    return LoaderConfig(
        (1, size, size), Recipe.model_validate({"batch": 16, "normalize": Raw()} | recipe), CPU
    )


def context(batch: int, seed: int = 0, black: Tensor | None = None, scale: Tensor | None = None) -> Context:
    """A context for a batch, whose normalization has this value of black and this scale."""
    draw = Draw(torch.Generator().manual_seed(seed), batch, slice(0, batch))
    scale = torch.ones(3, 1, 1) if scale is None else scale
    return Context(draw, Normalizer(torch.zeros_like(scale) if black is None else -black, scale), IMAGENET)


def random_set(count: int = 50, channels: int = 1, size: int = 6) -> Labelled:
    stream = torch.Generator().manual_seed(3)
    images = torch.randint(256, (count, channels, size, size), generator=stream, dtype=torch.uint8)
    return Labelled(images, torch.arange(count))


def test_mnist_equals_torchvisions(mnist_root: Path, tmp_path: Path) -> None:
    raw = tmp_path / "torchvision" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for path in mnist_root.iterdir():
        content = path.read_bytes()
        name = path.name.removesuffix(".gz")
        (raw / name).write_bytes(gzip.decompress(content) if path.suffix else content)
    for root in (mnist_root, tmp_path / "torchvision"):
        data = open_data("mnist", root)
        assert (data.train_images, data.val_images, data.channels) == (64, 16, 1)
        images, labels = collect(data.open(setting()).validate())
        theirs = torchvision.datasets.MNIST(str(tmp_path / "torchvision"), train=False)
        assert images.equal(theirs.data.unsqueeze(1).float())
        assert labels.equal(theirs.targets)


@pytest.mark.parametrize(("damage", "message"), DAMAGED.values(), ids=DAMAGED)
def test_damaged_mnist(damage: Callable[[Path], object], message: str, mnist_root: Path) -> None:
    damage(mnist_root)
    with pytest.raises(DataError, match=message):
        open_data("mnist", mnist_root).open(setting())


def test_no_mnist_and_no_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(torchvision.datasets.mnist, "download_and_extract_archive", fail)
    with pytest.raises(DataError, match=r"the download failed .*set `root` to the folder that contains them"):
        open_data("mnist", tmp_path / "nothing")


def test_digits_have_every_class_in_both_parts() -> None:
    data = open_data("digits")
    assert data.train_images + data.val_images == 1797
    batches = data.open(setting(8, batch=data.train_images))
    for part in (batches.train(0), batches.validate()):
        images, labels = collect(part)
        assert set(labels.tolist()) == set(range(10))
        assert images.amax() == 255


def test_an_epoch_has_each_image_once_in_its_own_order() -> None:
    batches = InMemoryBatches(random_set(48), random_set(5), setting(6))
    orders = [collect(batches.train(epoch))[1] for epoch in (0, 0, 1)]
    assert orders[0].equal(orders[1])
    assert not orders[0].equal(orders[2])
    assert orders[2].sort().values.equal(torch.arange(48))


@pytest.mark.parametrize(("count", "steps", "size"), [(50, 3, 16), (16, 1, 16), (7, 1, 7)])
def test_all_batches_have_one_size(count: int, steps: int, size: int) -> None:
    batches = InMemoryBatches(random_set(count), random_set(5), setting(6))
    assert [len(labels) for _, labels in batches.train(0)] == [size] * steps
    assert (batches.steps, batches.batch) == (steps, size)


def test_images_keep_their_labels() -> None:
    part = random_set(48)
    images, labels = collect(InMemoryBatches(part, part, setting(6)).train(0))
    assert images.equal(part.images[labels].float())


def test_resizing_ahead_and_by_batches_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    part = random_set()
    wanted = interpolate(part.images, (9, 9), mode="bilinear", antialias=True).float()
    ahead, _ = collect(InMemoryBatches(part, part, setting(9)).validate())
    monkeypatch.setattr("netspec.datasets.in_memory.MEMORY", 0)
    later, _ = collect(InMemoryBatches(part, part, setting(9)).validate())
    assert ahead.equal(wanted)
    assert later.equal(wanted)


NORMALIZED: dict[str, tuple[Call, Callable[[Tensor], Tensor]]] = {
    "none": (Call("none"), lambda x: x),
    "scale": (Call("scale", (1 / 256,)), lambda x: x / 256),
    "mean": (Call("mean"), lambda x: x - x.mean((0, 2, 3), keepdim=True)),
    "mean_std": (
        Call("mean_std"),
        lambda x: (
            (x - x.mean((0, 2, 3), keepdim=True)) / x.transpose(0, 1).flatten(1).std(1, False).view(3, 1, 1)
        ),
    ),
    "imagenet": (
        Call("imagenet"),
        lambda x: torchvision.transforms.v2.functional.normalize(
            x / 255, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
        ),
    ),
}


@pytest.mark.parametrize(("call", "formula"), NORMALIZED.values(), ids=NORMALIZED)
@pytest.mark.parametrize("memory", [2**30, 0], ids=["ahead", "by batches"])
def test_normalization(
    call: Call, formula: Callable[[Tensor], Tensor], memory: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("netspec.datasets.in_memory.MEMORY", memory)
    part = random_set(channels=3)
    recipe = read({"normalize": call})
    images, _ = collect(InMemoryBatches(part, part, LoaderConfig((3, 6, 6), recipe, CPU)).validate())
    torch.testing.assert_close(images, formula(part.images.double()).float())


def test_flips_mirror_about_half() -> None:
    images = random_set(1000, size=2).images.float()
    flipped = flip(Flip(), images, context(1000))
    same, mirrored = ((flipped == i).flatten(1).all(1) for i in (images, images.flip(-1)))
    assert (same | mirrored).all()
    assert 430 < int((mirrored & ~same).sum()) < 570


def test_shifts_are_windows_of_the_padded_image() -> None:
    images = random_set(200, channels=2, size=5).images.float()
    fill = torch.tensor([-1.0, -2.0]).view(2, 1, 1)
    shifted = shift(Crop(padding=2), images, context(200, black=fill, scale=torch.ones(2, 1, 1)))
    seen = set()
    for image, result in zip(images, shifted, strict=True):
        padded = fill.repeat(1, 9, 9)
        padded[:, 2:7, 2:7] = image
        places = [(i, j) for i in range(5) for j in range(5) if padded[:, i : i + 5, j : j + 5].equal(result)]
        assert len(places) == 1
        seen.add(places[0])
    assert len(seen) == 25


def test_shifts_pad_with_black() -> None:
    white = Labelled(torch.full((8, 1, 4, 4), 255, dtype=torch.uint8), torch.zeros(8, dtype=torch.long))
    augment, normalize = (Crop(padding=3),), Scale(factor=1 / 255)
    batches = InMemoryBatches(white, white, setting(4, augment=augment, normalize=normalize))
    images, _ = collect(batches.train(0))
    assert set(images.unique().tolist()) <= {0.0, 1.0}
    assert 0.0 in images


def test_lighting_moves_along_the_principal_components() -> None:
    images = torch.zeros(20_000, 3, 1, 1)
    moved = lighting(Lighting(), images, context(20_000)).view(-1, 3)
    vectors = torch.tensor(EIGENVECTORS)
    assert (vectors.T @ vectors - torch.eye(3)).abs().max() < 1e-3
    spread = (moved @ vectors).std(0)
    torch.testing.assert_close(spread, 25.5 * torch.tensor(EIGENVALUES), rtol=0.03, atol=0)


def test_lighting_is_in_the_units_of_the_normalized_image() -> None:
    values = preprocessing(read({"normalize": Call("imagenet")}), IMAGENET, (2, 2))
    normalizer, plain = Normalizer.of(values, CPU), torch.full((4, 3, 2, 2), 100.0)
    moved = lighting(Lighting(), plain, context(4, 5))
    ours = lighting(Lighting(), normalizer(plain), context(4, 5, scale=normalizer.scale))
    torch.testing.assert_close(ours, normalizer(moved))


def test_augmentation_is_the_same_for_the_same_seed_and_epoch() -> None:
    part = random_set(48)
    first, second = (
        InMemoryBatches(part, part, setting(6, augment=(Flip(), Crop(padding=1)))) for _ in range(2)
    )
    assert collect(first.train(3))[0].equal(collect(second.train(3))[0])


MISFITS = {
    "grey into RGB": (
        "digits",
        (3, 28, 28),
        r"grey images with 1 channel, .* 3x28x28: set its input to 1x28x28",
    ),
    "images into a vector": ("digits", (784,), "the network takes 784, which is not CxHxW"),
}


@pytest.mark.parametrize(("name", "shape", "message"), MISFITS.values(), ids=MISFITS)
def test_images_that_do_not_fit_the_network(name: str, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        check_fit(open_data(name), shape)


UNKNOWN = {
    "cifar": "unknown data set cifar: did you mean `cifar10`",
    "weather": "unknown data set weather: expected one of mnist, fashion-mnist",
    "mnist:5": "unknown data set mnist:5",
    "folder": "folder has no path: write folder:PATH",
    "folder:": "folder: has no path: write folder:PATH",
}


@pytest.mark.parametrize(("name", "message"), UNKNOWN.items(), ids=UNKNOWN)
def test_unknown_names(name: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        open_data(name)
    assert caught.value.wrong_use


def test_lighting_on_grey_images_is_an_error() -> None:
    recipe = read({"augment": [Call("lighting")]})
    with pytest.raises(DataError, match="lighting shifts RGB colours"):
        open_data("digits").open(LoaderConfig((1, 8, 8), recipe, CPU))


@pytest.mark.skipif(
    not REAL_MNIST.is_dir(), reason=f"there is no {REAL_MNIST}; NETSPEC_DATA names its parent"
)
def test_the_real_mnist() -> None:
    data = open_data("mnist", REAL_MNIST, download=False)
    assert (data.train_images, data.val_images) == (60_000, 10_000)
    batches = data.open(setting(normalize=Mean()))
    assert batches.preprocessing.mean == pytest.approx((0.1307 * 255,), abs=0.02)
