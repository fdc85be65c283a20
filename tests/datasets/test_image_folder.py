"""Class folders of photos, compared with torchvision's ImageFolder and transforms."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import collect
from PIL import Image
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from netspec.datasets.base import Data, LoaderConfig
from netspec.datasets.info import dataset_info
from netspec.datasets.registry import open_data
from netspec.errors import DataError
from netspec.recipe import Recipe, read
from netspec.recipe.images import Flip, Lighting, Mean, MeanStd, Raw
from netspec.transforms.crops import View
from netspec.transforms.pixels import Pixels, read_photo

CPU = torch.device("cpu")

MODES = ("L", "CMYK", "P", "RGBA", "1", "LA", "I;16")

# Unusable folders: how to damage `root`, which has class0 to class2 of four photos, and the message.
DAMAGED: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing root": (lambda root: root.rename(root.with_name("moved")), "does not exist"),
    "empty class": (lambda root: (root / "void").mkdir(), "void holds no images"),
    "no classes": (lambda root: [p.rename(root.parent / p.name) for p in root.iterdir()], "no class folders"),
}

# Unreadable files: how to damage their content, and the reason in the message.
BROKEN: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "zero bytes": (lambda content: b"", "not an image, or a damaged one"),
    "text": (lambda content: b"hello", "not an image, or a damaged one"),
    "truncated": (lambda content: content[: len(content) // 2], "[Tt]runcated"),
}


def setting(workers: int = 0, size: int = 16, **recipe: object) -> LoaderConfig:
    values = {"batch": 4, "normalize": Raw(), "resize": 20} | recipe
    return LoaderConfig((3, size, size), Recipe.model_validate(values), CPU, workers)


@pytest.fixture
def parts(photos: Callable[..., Path], tmp_path: Path) -> Path:
    photos("set/train", 5)
    photos("set/val", 2)
    return tmp_path / "set"


def test_imagenet_reads_the_same_images_as_torchvision(parts: Path) -> None:
    data = open_data("imagenet", parts)
    view = v2.Compose([v2.Resize(20), v2.CenterCrop(16), v2.PILToTensor()])
    theirs = ImageFolder(str(parts / "val"), view)
    images, labels = collect(data.open(setting()).validate())
    assert data.class_names == tuple(theirs.classes)
    assert (data.train_images, data.val_images) == (15, 6)
    assert images.equal(torch.stack([image for image, _ in theirs]).float())
    assert labels.tolist() == theirs.targets


def test_ten_crops_equal_torchvisions(parts: Path) -> None:
    view = v2.Compose([v2.Resize(20), v2.CenterCrop(20), v2.TenCrop(16), v2.PILToTensor()])
    theirs = ImageFolder(str(parts / "val"), view)
    kind: View = "ten_crop"
    images, _ = collect(open_data("imagenet", parts).open(setting()).validate(kind))
    assert images.equal(torch.stack([torch.stack(crops) for crops, _ in theirs]).float())


def test_training_crops_are_windows_of_the_resized_centre(parts: Path) -> None:
    batches = open_data("imagenet", parts).open(setting(augment=(Flip(),), batch=15))
    centre = v2.Compose([v2.Resize(20), v2.CenterCrop(20), v2.PILToTensor()])
    wholes = torch.stack([image for image, _ in ImageFolder(str(parts / "train"), centre)]).float()
    wholes = torch.cat([wholes, wholes.flip(-1)])
    windows = wholes.unfold(2, 16, 1).unfold(3, 16, 1).permute(0, 2, 3, 1, 4, 5).reshape(-1, 3 * 16 * 16)
    images, labels = collect(batches.train(0))
    assert torch.cdist(images.flatten(1), windows).amin(1).max() == 0
    assert labels.bincount().tolist() == [5, 5, 5]


def test_batches_do_not_depend_on_the_number_of_workers(parts: Path) -> None:
    augment = (Flip(), Lighting())
    runs = [open_data("imagenet", parts).open(setting(workers, augment=augment)) for workers in (0, 1, 2)]
    for epoch in (0, 2):
        images = [collect(run.train(epoch))[0] for run in runs]
        assert images[0].equal(images[1])
        assert images[0].equal(images[2])
    assert not collect(runs[0].train(1))[0].equal(images[0])


def test_reading_does_not_advance_torchs_generator(parts: Path) -> None:
    before = torch.get_rng_state()
    collect(open_data("imagenet", parts).open(setting()).train(0))
    assert torch.get_rng_state().equal(before)


@pytest.mark.parametrize("mode", MODES)
def test_every_colour_mode_becomes_rgb(mode: str, tmp_path: Path) -> None:
    grey = Image.new("RGB", (8, 6), (120, 120, 120))
    path = tmp_path / ("image.jpg" if mode in ("L", "CMYK") else "image.png")
    source = Image.new("I;16", (8, 6), 120 * 256) if mode == "I;16" else grey.convert(mode)
    source.save(path)
    photo = read_photo(str(path))
    assert isinstance(photo, np.ndarray)
    assert (photo.shape, photo.dtype) == ((6, 8, 3), "uint8")
    if mode not in ("1", "P"):  # these modes cannot store this grey, or dither it
        assert abs(photo.astype(int) - 120).max() <= 2


def test_a_transparent_palette_becomes_rgb(tmp_path: Path) -> None:
    image = Image.new("P", (8, 8), 3)
    image.info["transparency"] = bytes([0, 128, 255, 255])
    image.save(tmp_path / "image.png", transparency=image.info["transparency"])
    assert isinstance(read_photo(str(tmp_path / "image.png")), np.ndarray)


def test_a_png_named_jpg_and_a_single_pixel_are_read(photos: Callable[..., Path]) -> None:
    root = photos("odd", 3)
    Image.new("RGB", (9, 9)).save(root / "class0" / "png.jpg", format="png")
    Image.new("L", (1, 1)).save(root / "class1" / "pixel.PNG", format="png")
    data = open_data(f"folder:{root}", val_share=0.3)
    assert collect(data.open(setting(batch=20)).train(0))[0].shape == (8, 3, 16, 16)


def test_a_folder_is_split_by_class_and_seed(photos: Callable[..., Path]) -> None:
    root = photos("whole", 10)

    def names(data: Data) -> list[set[bytes]]:
        return [set(files.paths.tolist()) for files in (data.train, data.val)]  # type: ignore[attr-defined]

    data = open_data(f"folder:{root}", val_share=0.3, seed=1)
    train, val = names(data)
    assert (data.train_images, data.val_images) == (21, 9)
    assert not train & val
    assert data.val.labels.bincount().tolist() == [3, 3, 3]  # type: ignore[attr-defined]
    assert names(open_data(f"folder:{root}", val_share=0.3, seed=1)) == [train, val]
    assert names(open_data(f"folder:{root}", val_share=0.3, seed=2)) != [train, val]


def test_the_mean_is_measured(photos: Callable[..., Path]) -> None:
    data = open_data(f"folder:{photos('whole', 5)}", val_share=0.2)
    view = v2.Compose([v2.Resize(20), v2.CenterCrop(20), v2.PILToTensor()])
    paths = [os.fsdecode(path) for path in data.train.paths]  # type: ignore[attr-defined]
    pixels = torch.stack([view(Image.open(path)) for path in paths]).double()
    batches = data.open(setting(normalize=MeanStd()))
    assert batches.preprocessing.mean == pytest.approx(pixels.mean((0, 2, 3)).tolist())
    deviations = pixels.transpose(0, 1).flatten(1).std(1, False)
    assert batches.preprocessing.scale == pytest.approx((1 / deviations).tolist())


def test_imagenets_mean_is_the_published_one(parts: Path) -> None:
    batches = open_data("imagenet", parts).open(setting(normalize=Mean()))
    assert batches.preprocessing.mean == pytest.approx((123.675, 116.28, 103.53))


@pytest.mark.parametrize(("damage", "message"), DAMAGED.values(), ids=DAMAGED)
def test_unusable_folders(
    damage: Callable[[Path], object], message: str, photos: Callable[..., Path]
) -> None:
    root = photos("whole")
    damage(root)
    with pytest.raises(DataError, match=message):
        open_data(f"folder:{root}")


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize(("damage", "reason"), BROKEN.values(), ids=BROKEN)
def test_unreadable_images_are_named(
    damage: Callable[[bytes], bytes], reason: str, workers: int, photos: Callable[..., Path]
) -> None:
    root = photos("whole")
    for path in (root / "class1").iterdir():
        path.write_bytes(damage(path.read_bytes()))
    batches = open_data(f"folder:{root}").open(setting(workers))
    message = rf"class1/\d\.jpg cannot be read \(.*{reason}.*replace or remove the file"
    with pytest.raises(DataError, match=message):
        collect(batches.train(0))


def test_a_dead_worker_is_an_error(parts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(path: str) -> Pixels:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError(path)

    monkeypatch.setattr("netspec.datasets.image_folder.read_photo", die)
    batches = open_data("imagenet", parts).open(setting(workers=1))
    with pytest.raises(DataError, match=r"a process that reads images died.*`workers=0`"):
        collect(batches.train(0))


def test_imagenet_needs_both_parts(parts: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no train/ folder"):
        open_data("imagenet", tmp_path / "nowhere")
    with pytest.raises(DataError, match="name its folder with `root`"):
        open_data("imagenet")
    (parts / "val" / "class2").rename(parts / "val" / "other")
    with pytest.raises(DataError, match=r"val has a class folder other, which .*train lacks"):
        open_data("imagenet", parts)


def test_a_single_image_for_each_class_cannot_be_split(photos: Callable[..., Path]) -> None:
    with pytest.raises(DataError, match="none is left for validation"):
        open_data(f"folder:{photos('single', 1)}")


@pytest.mark.parametrize("share", [0.0, 1.0, -1.0])
def test_val_share_outside_its_range(share: float, photos: Callable[..., Path]) -> None:
    with pytest.raises(DataError, match="between 0 and 1"):
        open_data(f"folder:{photos('whole')}", val_share=share)


SIZES = {
    "crop": ({"crop": 20}, "crops images to 20x20, but the network takes 16x16"),
    "resize": ({"resize": 10}, "resized to 10 are too small for the network's 16x16"),
}


@pytest.mark.parametrize(("entries", "message"), SIZES.values(), ids=SIZES)
def test_sizes_that_do_not_fit(entries: dict[str, object], message: str, parts: Path) -> None:
    with pytest.raises(DataError, match=message):
        open_data("imagenet", parts).open(LoaderConfig((3, 16, 16), read(entries), CPU))


def test_other_files_are_skipped(photos: Callable[..., Path]) -> None:
    root = photos("whole")
    (root / "class0" / "notes.txt").write_text("x")
    (root / "class0" / "._0.jpg").write_text("x")
    (root / ".cache").mkdir()
    assert open_data(f"folder:{root}").train_images == 9


PARTS = [
    ("train", "valid"),
    ("Train", "Val"),
    ("training", "validation"),
    ("train", "test"),
    ("TRAIN", "val"),
]


@pytest.mark.parametrize("names", PARTS, ids="+".join)
def test_parts_are_found_by_their_usual_names(names: tuple[str, str], photos: Callable[..., Path]) -> None:
    root = photos(f"set/{names[0]}", 5).parent
    photos(f"set/{names[1]}", 2)
    data = open_data(f"folder:{root}")
    assert (data.train_images, data.val_images) == (15, 6)
    assert data.class_names == ("class0", "class1", "class2")
    assert dataset_info(f"folder:{root}").train_images == 15


def test_a_training_folder_without_validation_is_an_error(photos: Callable[..., Path]) -> None:
    root = photos("set/train", 5).parent
    (root / "extra").mkdir()
    with pytest.raises(DataError, match=r"has train/ but no validation folder.*or use folder:.*/train"):
        open_data(f"folder:{root}")
    with pytest.raises(DataError, match="no validation folder"):
        dataset_info(f"folder:{root}")


def test_train_can_be_a_class(photos: Callable[..., Path]) -> None:
    root = photos("set")
    (root / "class0").rename(root / "train")
    assert open_data(f"folder:{root}").class_names == ("class1", "class2", "train")
