"""Data sets by name: torchvision's, CIFAR in archives, ImageNet's archives, and synthetic images."""

from __future__ import annotations

import bz2
import io
import pickle
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from image_files import photo, write_idx
from PIL import Image
from scipy.io import savemat
from torchvision.datasets.vision import VisionDataset

from netspec.datasets.base import LoaderConfig, check_fit
from netspec.datasets.registry import DATASETS, TorchvisionSet, open_data
from netspec.errors import DataError
from netspec.recipe import Recipe
from netspec.recipe.images import Raw

CPU = torch.device("cpu")
RANDOM = np.random.default_rng(0)
NAMES = [f"class{number}" for number in range(10)]


def setting(size: int = 32, channels: int = 3, **more: Any) -> LoaderConfig:
    recipe = Recipe(batch=10, normalize=Raw(), seed=2)
    return LoaderConfig((channels, size, size), recipe, CPU, 0, **more)


def jpeg(colour: int, side: int = 32) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (side, side), (colour, 255 - colour, 7)).save(content, "jpeg", quality=100)
    return content.getvalue()


def jpegs() -> dict[str, bytes]:
    """Two training images and one test image of each class, not in the order of the classes."""
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


def test_jpegs_are_decoded_once(archive: Path, cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    first = open_data("cifar10", archive)
    assert "decoding" in caplog.text
    caplog.clear()
    assert len(list((cache / "cifar10").iterdir())) == 1
    second = open_data("cifar10", archive)
    assert not caplog.text
    one, two = (next(data.open(setting()).validate()) for data in (first, second))
    assert one[0].equal(two[0])
    next((cache / "cifar10").iterdir()).write_bytes(b"junk")
    assert open_data("cifar10", archive).train_images == 20


# Sets in memory: functions that write files in torchvision's layout, and make torchvision accept them


def write_cifar(root: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    kind = getattr(torchvision.datasets, name.upper())
    monkeypatch.setattr(kind, "_check_integrity", lambda self: (root / kind.base_folder).is_dir())
    monkeypatch.setattr(torchvision.datasets.cifar, "check_integrity", lambda *_: True)
    folder = root / kind.base_folder
    folder.mkdir(parents=True)
    key = "labels" if name == "cifar10" else "fine_labels"
    for file, _ in kind.train_list + kind.test_list:
        entry = {"data": RANDOM.integers(0, 256, (10, 3072), dtype=np.uint8), key: list(range(10))}
        (folder / file).write_bytes(pickle.dumps(entry))
    classes = [f"class{number}" for number in range(10 if name == "cifar10" else 100)]
    (folder / kind.meta["filename"]).write_bytes(pickle.dumps({kind.meta["key"]: classes}))


def write_svhn(root: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(torchvision.datasets.svhn, "check_integrity", lambda *_: True)
    for part in ("train", "test"):
        pixels = RANDOM.integers(0, 256, (32, 32, 3, 10), dtype=np.uint8)
        savemat(root / f"{part}_32x32.mat", {"X": pixels, "y": np.arange(1, 11)[:, None]})


def write_stl10(root: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(torchvision.datasets.STL10, "_check_integrity", lambda self: True)
    folder = root / "stl10_binary"
    folder.mkdir()
    (folder / "class_names.txt").write_text("\n".join(f"class{number}" for number in range(10)))
    for part in ("train", "test"):
        RANDOM.integers(0, 256, (10, 3, 96, 96), dtype=np.uint8).tofile(folder / f"{part}_X.bin")
        np.arange(1, 11, dtype=np.uint8).tofile(folder / f"{part}_y.bin")


def write_usps(root: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for file in ("usps.bz2", "usps.t.bz2"):
        values = RANDOM.uniform(-1, 1, (10, 256)).round(3)
        lines = [
            " ".join([str(label + 1), *(f"{place}:{value}" for place, value in enumerate(row, 1))])
            for label, row in enumerate(values)
        ]
        (root / file).write_bytes(bz2.compress("\n".join(lines).encode()))


def write_emnist(root: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    row = DATASETS[name]
    assert isinstance(row, TorchvisionSet)
    raw, first = root / row.torchvision / "raw", 1 if name == "emnist-letters" else 0
    raw.mkdir(parents=True)
    for prefix in row.prefixes:
        labels = (np.arange(12) % 10 + first).astype(np.uint8)
        write_idx(raw / f"{prefix}-images-idx3-ubyte", RANDOM.integers(0, 256, (12, 28, 28), dtype=np.uint8))
        write_idx(raw / f"{prefix}-labels-idx1-ubyte", labels)


ARRAYS = {
    "cifar10": write_cifar,
    "cifar100": write_cifar,
    "svhn": write_svhn,
    "stl10": write_stl10,
    "usps": write_usps,
    "kmnist": write_emnist,
    "emnist-balanced": write_emnist,
    "emnist-byclass": write_emnist,
    "emnist-bymerge": write_emnist,
    "emnist-digits": write_emnist,
    "emnist-letters": write_emnist,
    "emnist-mnist": write_emnist,
}


@pytest.mark.parametrize(("name", "write"), ARRAYS.items(), ids=ARRAYS)
def test_images_in_memory_equal_torchvisions(name, write, tmp_path, monkeypatch):
    write(tmp_path, monkeypatch, name)
    row = DATASETS[name]
    data = open_data(name, tmp_path, download=False)
    assert (len(data.class_names), data.channels) == (row.classes, row.channels)
    options = row.val or {**row.train, "train": False}
    part = getattr(torchvision.datasets, row.torchvision)(str(tmp_path), **options)
    images, labels = data.val_part.images, data.val_part.labels
    assert images.shape[2:] == (row.size, row.size)
    first = 1 if name == "emnist-letters" else 0
    for index, (image, label) in enumerate(part):
        assert images[index].permute(1, 2, 0).squeeze(2).numpy().tolist() == np.asarray(image).tolist()
        assert labels[index] == label - first
    if getattr(part, "classes", None) and not name.startswith("emnist"):
        assert data.class_names == tuple(part.classes)
    if name.startswith("emnist"):
        assert data.class_names == tuple(part.classes[first:])


# Sets of photos: files in torchvision's layout; None stands for a JPEG


def write_flowers(root: Path) -> None:
    savemat(root / "flowers-102/imagelabels.mat", {"labels": np.array([[1, 2, 102, 1]])})
    savemat(root / "flowers-102/setid.mat", {"trnid": [[1, 2]], "valid": [[3, 4]], "tstid": [[1]]})


PHOTOS: dict[str, tuple[dict[str, str | None], Callable[[Path], object] | None]] = {
    "food101": (
        {
            "food-101/meta/train.json": '{"soup": ["soup/1", "soup/2"], "pie": ["pie/3"]}',
            "food-101/meta/test.json": '{"soup": ["soup/4"], "pie": ["pie/5"]}',
            **{
                f"food-101/images/{name}.jpg": None
                for name in ("soup/1", "soup/2", "pie/3", "soup/4", "pie/5")
            },
        },
        None,
    ),
    "flowers102": ({f"flowers-102/jpg/image_0000{n}.jpg": None for n in range(1, 5)}, write_flowers),
    "oxford-iiit-pet": (
        {
            "oxford-iiit-pet/annotations/trainval.txt": "boxer_1 2 2 1\nBengal_2 1 1 1\n",
            "oxford-iiit-pet/annotations/test.txt": "Bengal_3 1 1 1\n",
            **{f"oxford-iiit-pet/images/{name}.jpg": None for name in ("boxer_1", "Bengal_2", "Bengal_3")},
        },
        None,
    ),
    "imagenette": (
        {
            f"imagenette2/{part}/{wnid}/{part}_{number}.JPEG": None
            for part in ("train", "val")
            for wnid in ("n01440764", "n02102040")
            for number in range(2)
        },
        None,
    ),
    "gtsrb": (
        {
            "gtsrb/GTSRB/Training/00000/1.ppm": None,
            "gtsrb/GTSRB/Training/00001/2.ppm": None,
            "gtsrb/GTSRB/Final_Test/Images/3.ppm": None,
            "gtsrb/GT-final_test.csv": "Filename;Width;ClassId\n3.ppm;9;1\n",
        },
        None,
    ),
    "dtd": (
        {
            "dtd/dtd/labels/train1.txt": "dots/1.jpg\nlines/2.jpg\n",
            "dtd/dtd/labels/val1.txt": "lines/3.jpg\ndots/1.jpg\n",
            **{f"dtd/dtd/images/{name}.jpg": None for name in ("dots/1", "lines/2", "lines/3")},
        },
        None,
    ),
    "fgvc-aircraft": (
        {
            "fgvc-aircraft-2013b/data/variants.txt": "707-320\nA380\n",
            "fgvc-aircraft-2013b/data/images_variant_train.txt": "1 A380\n2 707-320\n",
            "fgvc-aircraft-2013b/data/images_variant_val.txt": "3 A380\n",
            **{f"fgvc-aircraft-2013b/data/images/{n}.jpg": None for n in range(1, 4)},
        },
        None,
    ),
    "country211": (
        {
            f"country211/{part}/{code}/{part}.jpg": None
            for part in ("train", "valid")
            for code in ("AD", "AE")
        },
        None,
    ),
    "eurosat": (
        {f"eurosat/2750/{kind}/{kind}_{n}.jpg": None for kind in ("Forest", "River") for n in range(5)},
        None,
    ),
}


def write_files(root: Path, files: dict[str, str | None]) -> None:
    for number, (name, text) in enumerate(files.items()):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if text is None:
            photo(path, (20 * number, 90, 10), size=(16, 12))
        else:
            path.write_text(text)


@pytest.mark.parametrize(("name", "files"), PHOTOS.items(), ids=PHOTOS)
def test_photos_are_those_that_torchvision_lists(name, files, tmp_path, monkeypatch):
    texts, more = files
    write_files(tmp_path, texts)
    if more:
        more(tmp_path)
    monkeypatch.setattr(torchvision.datasets.flowers102, "check_integrity", lambda *_: True)
    data, row = open_data(name, tmp_path, download=False), DATASETS[name]
    kind = getattr(torchvision.datasets, row.torchvision)
    parts = [(data.train, kind(str(tmp_path), **row.train))]
    if row.val is None:
        assert (data.train_images, data.val_images) == (8, 2)
        images = {path for files in (data.train, data.val) for path in files.paths.tolist()}
        assert images == {path.encode() for path, _ in parts[0][1].samples}
        return
    parts.append((data.val, kind(str(tmp_path), **row.val)))
    for ours, theirs in parts:
        assert len(ours) == len(theirs)
        for index, (image, label) in enumerate(theirs):
            assert (ours.photo(index) == np.asarray(image.convert("RGB"))).all()
            assert ours[index][1] == label
    assert len(data.class_names) == 102 if name == "flowers102" else len(data.class_names) >= 2


def test_a_photo_of_another_format_is_refused_by_its_content(tmp_path):
    """netspec decodes the file itself, in few formats; torchvision would run Ghostscript."""
    write_files(tmp_path, PHOTOS["eurosat"][0])
    data = open_data("eurosat", tmp_path, download=False)
    for path in data.train.paths.tolist():
        Path(path.decode()).write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\nshowpage\n")
    assert "not an image" in data.train.photo(0).reason


def test_a_missing_library_is_named(tmp_path, monkeypatch):
    write_svhn(tmp_path, monkeypatch, "svhn")
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(DataError, match=r"svhn needs scipy: pip install scipy"):
        open_data("svhn", tmp_path, download=False)


DAMAGED: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut short": (
        lambda path: path.write_bytes(path.read_bytes()[:-99]),
        "cannot be read .*: download it again",
    ),
    "no archive": (lambda path: path.write_bytes(b"junk"), "cannot be read"),
    "other content": (lambda path: repack(path, {"readme.txt": b"x"}), "has no images in train/CLASS/"),
    "a bad image": (lambda path: repack(path, {"train/class0/0.jpg": jpeg(3)[:300]}), "0.jpg cannot be read"),
    "another size": (lambda path: repack(path, {"train/class0/0.jpg": jpeg(3, 40)}), "is 40x40, not 32x32"),
    "few classes": (
        lambda path: repack(path, {f"{part}/class0/0.jpg": jpeg(3) for part in ("train", "test")}),
        "has 1 classes, but cifar10 has 10",
    ),
    "a second one": (lambda path: (path.parent / "b.tar").write_bytes(b""), "holds 2 archives.*`root`"),
}


def repack(path: Path, content: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as file:
        for name, value in content.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(value)
            file.addfile(entry, io.BytesIO(value))


@pytest.mark.parametrize(("damage", "message"), DAMAGED.values(), ids=DAMAGED)
def test_unusable_archives(damage: Callable[[Path], object], message: str, archive: Path) -> None:
    damage(archive)
    with pytest.raises(DataError, match=message):
        open_data("cifar10", archive.parent)


def test_no_cifar_and_no_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: VisionDataset) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(torchvision.datasets.CIFAR10, "download", fail)
    with pytest.raises(DataError, match=r"holds no CIFAR10, and the download failed \(no route.*`root`"):
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
def test_synthetic_images_have_the_shape_of_the_input(name: str, classes: int) -> None:
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


def test_synthetic_images_are_divided_among_processes() -> None:
    data = open_data("synthetic:5")
    whole = next(data.open(setting()).train(0))[0]
    parts = [next(data.open(setting(rank=rank, world=2)).train(0, 3))[0] for rank in (0, 1)]
    assert torch.cat(parts).equal(whole)


@pytest.mark.parametrize("name", ["synthetic:x", "synthetic:0", "synthetic:-3", "synthetic:99999999999"])
def test_synthetic_images_with_an_invalid_number_of_classes(name: str) -> None:
    with pytest.raises(DataError, match="needs a number of classes") as caught:
        open_data(name)
    assert caught.value.wrong_use


@pytest.fixture
def ilsvrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """ImageNet's archives with two classes of two images, whose checksums torchvision is made to accept."""
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


def test_imagenets_archives_are_unpacked_once(ilsvrc: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    (ilsvrc / ".train.unpacking" / "left from a killed run").mkdir(parents=True)
    for said in (True, False):
        data = open_data("imagenet", ilsvrc)
        assert (data.class_names, data.train_images, data.val_images) == (("n01", "n02"), 4, 3)
        assert ("unpacking" in caplog.text) is said
        caplog.clear()
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
