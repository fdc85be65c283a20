"""Sets by name: CIFAR in all its forms, Fashion-MNIST, ImageNet's archives, and noise."""

from __future__ import annotations

import io
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from torchvision.datasets.vision import VisionDataset

from netspec.datasets.base import LoaderConfig, check_fit
from netspec.datasets.registry import open_data
from netspec.errors import DataError
from netspec.recipe import Recipe
from netspec.recipe.images import Raw

CPU = torch.device("cpu")
NAMES = [f"class{number}" for number in range(10)]


def setting(size: int = 32, channels: int = 3, **more: Any) -> LoaderConfig:
    recipe = Recipe(batch=10, normalize=Raw(), seed=2)
    return LoaderConfig((channels, size, size), recipe, CPU, 0, **more)


def jpeg(colour: int, side: int = 32) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (side, side), (colour, 255 - colour, 7)).save(content, "jpeg", quality=100)
    return content.getvalue()


def jpegs() -> dict[str, bytes]:
    """Two images of each class to train on, one to test on; in an order that is not the classes'."""
    content = {}
    for part, count in (("test", 1), ("train", 2)):
        for label in reversed(range(10)):
            for number in range(count):
                content[f"{part}/class{label}/{number:04}.jpg"] = jpeg(20 * label + number)
    return content


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "set" / "cifar.tar.gz"
    path.parent.mkdir()
    with tarfile.open(path, "w:gz") as file:
        for name, content in jpegs().items():
            entry = tarfile.TarInfo(f"./cifar/{name}")
            entry.size = len(content)
            file.addfile(entry, io.BytesIO(content))
    return path


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    for name, content in jpegs().items():
        path = tmp_path / "folders" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "folders"


def test_cifar_from_an_archive_and_from_folders_is_the_same(archive: Path, folders: Path) -> None:
    found = [open_data("cifar10", root) for root in (archive, archive.parent, folders)]
    for data in found:
        assert (data.class_names, data.channels) == (tuple(NAMES), 3)
        assert (data.train_images, data.val_images) == (20, 10)
    batches = [list(data.open(setting()).validate()) for data in found]
    images, labels = batches[0][0]
    assert all(other[0][0].equal(images) and other[0][1].equal(labels) for other in batches)
    colours = images.mean((2, 3))
    assert (colours[:, 0] - 20 * labels).abs().max() <= 2


def test_jpegs_are_decoded_once(archive: Path, cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = open_data("cifar10", archive)
    assert "decoding" in capsys.readouterr().err
    assert len(list((cache / "cifar10").iterdir())) == 1
    second = open_data("cifar10", archive)
    assert not capsys.readouterr().err
    one, two = (next(data.open(setting()).validate()) for data in (first, second))
    assert one[0].equal(two[0])
    next((cache / "cifar10").iterdir()).write_bytes(b"junk")
    assert open_data("cifar10", archive).train_images == 20


def theirs(root: Path, monkeypatch: pytest.MonkeyPatch, name: str = "cifar10") -> Any:
    """Write torchvision's files, and let it take them for the real ones."""
    kind = getattr(torchvision.datasets, name.upper())
    monkeypatch.setattr(kind, "_check_integrity", lambda self: (root / kind.base_folder).is_dir())
    monkeypatch.setattr(torchvision.datasets.cifar, "check_integrity", lambda *_: True)
    folder, random = root / kind.base_folder, np.random.default_rng(0)
    folder.mkdir(parents=True)
    key = "labels" if name == "cifar10" else "fine_labels"
    for file, _ in kind.train_list + kind.test_list:
        entry = {"data": random.integers(0, 256, (10, 3072), dtype=np.uint8), key: list(range(10))}
        (folder / file).write_bytes(pickle.dumps(entry))
    classes = [f"class{number}" for number in range(10 if name == "cifar10" else 100)]
    (folder / kind.meta["filename"]).write_bytes(pickle.dumps({kind.meta["key"]: classes}))
    return kind


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_cifar_is_what_torchvision_reads(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = theirs(tmp_path, monkeypatch, name)
    data, part = open_data(name, tmp_path), kind(str(tmp_path), train=False)
    images, labels = next(data.open(setting()).validate())
    assert images.equal(torch.from_numpy(part.data).permute(0, 3, 1, 2).float())
    assert labels.tolist() == part.targets
    assert data.class_names == tuple(part.classes)


SPOILT: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut short": (
        lambda path: path.write_bytes(path.read_bytes()[:-99]),
        "cannot be read .*: fetch it again",
    ),
    "no archive": (lambda path: path.write_bytes(b"junk"), "cannot be read"),
    "other content": (lambda path: repack(path, {"readme.txt": b"x"}), "has no images in train/CLASS/"),
    "a bad image": (lambda path: repack(path, {"train/class0/0.jpg": jpeg(3)[:300]}), "0.jpg cannot be read"),
    "another size": (lambda path: repack(path, {"train/class0/0.jpg": jpeg(3, 40)}), "is 40x40, not 32x32"),
    "few classes": (
        lambda path: repack(path, {f"{part}/class0/0.jpg": jpeg(3) for part in ("train", "test")}),
        "has 1 classes, and cifar10 has 10",
    ),
    "a second one": (lambda path: (path.parent / "b.tar").write_bytes(b""), "holds 2 archives.*--root"),
}


def repack(path: Path, content: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as file:
        for name, value in content.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(value)
            file.addfile(entry, io.BytesIO(value))


@pytest.mark.parametrize(("spoil", "message"), SPOILT.values(), ids=SPOILT)
def test_spoilt_archives(spoil: Callable[[Path], object], message: str, archive: Path) -> None:
    spoil(archive)
    with pytest.raises(DataError, match=message):
        open_data("cifar10", archive.parent)


def test_no_cifar_and_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: VisionDataset) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(torchvision.datasets.CIFAR10, "download", fail)
    with pytest.raises(DataError, match=r"holds no CIFAR10, and the download failed \(no route.*--root"):
        open_data("cifar10", tmp_path)
    with pytest.raises(DataError, match="holds no CIFAR10: put"):
        open_data("cifar10", tmp_path, download=False)


@pytest.mark.parametrize(("name", "kind"), [("cifar10", "CIFAR10"), ("mnist", "MNIST")])
def test_a_failed_download_leaves_no_folder(
    name: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: VisionDataset) -> None:
        (Path(self.root) / "raw").mkdir(parents=True)
        raise RuntimeError("no route to host")

    monkeypatch.setattr(getattr(torchvision.datasets, kind), "download", fail)
    with pytest.raises(DataError, match=rf"a/b holds no {kind}, and the download failed"):
        open_data(name, tmp_path / "a" / "b")
    assert not list(tmp_path.iterdir())


def test_fashion_mnist_has_mnists_files_and_its_own_classes(mnist_root: Path) -> None:
    data = open_data("fashion-mnist", mnist_root)
    assert (data.name, data.train_images, data.channels) == ("fashion-mnist", 64, 1)
    assert data.class_names == tuple(torchvision.datasets.FashionMNIST.classes)


@pytest.mark.parametrize(("name", "classes"), [("synthetic", 1000), ("synthetic:7", 7)])
def test_noise_takes_the_networks_shape(name: str, classes: int) -> None:
    data = open_data(name)
    assert len(data.class_names) == classes
    for shape in ((1, 9, 9), (3, 16, 12)):
        recipe = Recipe(batch=100)
        batches = data.open(LoaderConfig(check_fit(data, shape), recipe, CPU))
        found = list(batches.train(0))
        assert len(found) == batches.steps == 128
        assert found[0][0].shape == (100, *shape)
        assert found[0][0] is found[-1][0]
        assert int(found[0][1].max()) < classes
        assert sum(len(labels) for _, labels in batches.validate()) == data.val_images == 1280
        assert next(batches.validate("ten_crop"))[0].shape == (100, 10, *shape)


def test_noise_is_shared_out() -> None:
    data = open_data("synthetic:5")
    whole = next(data.open(setting()).train(0))[0]
    parts = [next(data.open(setting(rank=rank, world=2)).train(0, 3))[0] for rank in (0, 1)]
    assert torch.cat(parts).equal(whole)


@pytest.mark.parametrize("name", ["synthetic:x", "synthetic:0", "synthetic:-3"])
def test_noise_of_no_number_of_classes(name: str) -> None:
    with pytest.raises(DataError, match="should name its number of classes") as caught:
        open_data(name)
    assert caught.value.wrong_use


@pytest.fixture
def ilsvrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """ImageNet's archives, with two classes of two images, whose sums torchvision takes for right."""
    monkeypatch.setattr(torchvision.datasets.imagenet, "check_integrity", lambda *_: True)
    root = tmp_path / "ilsvrc"
    root.mkdir()
    inner = {}
    for wnid in ("n01", "n02"):
        repack(tmp_path / "inner", {f"{wnid}_{number}.JPEG": jpeg(number) for number in range(2)})
        inner[f"{wnid}.tar"] = (tmp_path / "inner").read_bytes()
    repack(root / "ILSVRC2012_img_train.tar", inner)
    repack(root / "ILSVRC2012_img_val.tar", {f"ILSVRC2012_val_{i}.JPEG": jpeg(9) for i in range(3)})
    torch.save(({"n01": ("a",), "n02": ("b",)}, ["n02", "n01", "n02"]), root / "meta.bin")
    return root


def test_imagenets_archives_are_unpacked_once(ilsvrc: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (ilsvrc / ".train.unpacking" / "left from a killed run").mkdir(parents=True)
    for said in (True, False):
        data = open_data("imagenet", ilsvrc)
        assert (data.class_names, data.train_images, data.val_images) == (("n01", "n02"), 4, 3)
        assert ("unpacking" in capsys.readouterr().err) is said
    assert sorted(p.name for p in ilsvrc.iterdir() if p.is_dir()) == ["train", "val"]


def test_an_archive_that_cannot_be_unpacked_leaves_no_folder(ilsvrc: Path) -> None:
    (ilsvrc / "ILSVRC2012_img_train.tar").write_bytes(b"junk")
    with pytest.raises(DataError, match=r"img_train\.tar cannot be unpacked"):
        open_data("imagenet", ilsvrc)
    assert not (ilsvrc / "train").exists()


def test_the_real_cifar(data_root: Path) -> None:
    root = data_root / "cifar10"
    if not root.is_dir():
        pytest.skip(f"there is no {root}")
    data = open_data("cifar10", root)
    assert (data.train_images, data.val_images, data.class_names[0]) == (50_000, 10_000, "airplane")
