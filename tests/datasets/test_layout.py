"""Folders of photos: which are parts, classes and images, and which are errors."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from image_files import photo

from netspec.datasets.info import dataset_info
from netspec.datasets.layout import class_folders, list_images, refuse_single
from netspec.datasets.registry import open_data
from netspec.errors import DataError


def make(root: Path, *names: str) -> Path:
    """Create a photo for each name in .jpg, a folder for each that ends in /, and a text for all others."""
    for name in names:
        path = root / "set" / name
        if name.endswith("/"):
            path.mkdir(parents=True)
        elif name.endswith(".jpg"):
            photo(path, (200, 60, 60), size=(4, 4))
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("text")
    return root / "set"


def both(*names: str) -> tuple[str, ...]:
    """Four training photos and one validation photo in each folder."""
    return tuple(f"{name}/{n}.jpg" for name in names for n in (range(4) if "train" in name.lower() else [0]))


USABLE = {
    "system folders are not classes": (
        *both("train/cat", "train/dog", "val/cat", "val/dog"),
        *("train/__MACOSX/x.txt", "train/.cache/x.txt", "val/__MACOSX/"),
    ),
    "one folder in each class": both("train/cat/images", "train/dog/images", "val/cat", "val/dog"),
    "folders beside photos": both("train/cat", "train/dog/near", "train/dog/far", "val/cat", "val/dog"),
    "other names of the parts": both("Training/cat", "Training/dog", "TEST/cat", "TEST/dog"),
}


@pytest.mark.parametrize("names", USABLE.values(), ids=USABLE)
def test_usable_folders(names, tmp_path):
    name = f"folder:{make(tmp_path, *names)}"
    assert open_data(name).class_names == ("cat", "dog")
    assert dataset_info(name).classes == 2


# Unusable folders, and what the message suggests; `{}` is the folder.
REFUSED = {
    "two levels of folders": (
        both("a/cat", "a/dog", "b/cat", "b/dog"),
        "{}/a holds folders (cat, dog), so {} is one level above the class folders: use folder:{}/a",
    ),
    "parts with unusual names": (
        (*both("train_set/cat", "train_set/dog", "holdout/cat", "holdout/dog"), "holdout/readme.txt"),
        "or rename the folders in {} to train/ and val/",
    ),
    "a folder around the parts": (
        both("photos/train/cat", "photos/train/dog", "photos/val/cat", "photos/val/dog"),
        "{} has a single class, photos, but training needs at least two: did you mean folder:{}/photos?",
    ),
    "a part without the other": (both("test/cat", "test/dog"), "did you mean folder:{}/test?"),
    "a single class": (both("train/cat", "val/cat"), "{}/train has a single class, cat"),
    "a single class and a system folder": (
        (*both("cat"), "__MACOSX/cat/x.txt"),
        "{} has a single class, cat",
    ),
    "folders in train": (
        both("train/x/cat", "train/x/dog", "train/y/cat", "val/cat"),
        "one level above the class folders",
    ),
}


@pytest.mark.parametrize(("names", "message"), REFUSED.values(), ids=REFUSED)
def test_unusable_folders(names, message, tmp_path):
    root = make(tmp_path, *names)
    for read in (open_data, dataset_info):
        with pytest.raises(DataError) as caught:
            read(f"folder:{root}")
        assert message.replace("{}", str(root)) in str(caught.value)


@pytest.mark.parametrize(
    "empty", [(), ("val/dog/",), ("val/dog/notes.txt",)], ids=["missing", "empty", "text"]
)
def test_a_class_without_validation_images_is_logged(empty, tmp_path, caplog):
    caplog.set_level("INFO")
    root = make(tmp_path, *both("train/cat", "train/dog", "train/owl", "val/cat", "val/owl"), *empty)
    data = open_data(f"folder:{root}")
    assert f"{root}/val has no images of dog" in caplog.text
    assert data.val.labels.tolist() == [0, 2]


def test_validation_images_must_exist_and_be_of_known_classes(tmp_path):
    root = make(tmp_path, *both("train/cat", "train/dog"), "val/cat/", "val/dog/")
    with pytest.raises(DataError, match="val holds no images: add images, or remove it"):
        open_data(f"folder:{root}")
    make(tmp_path, "val/fox/1.jpg")
    with pytest.raises(DataError, match=r"val has a class folder fox, which .*train lacks"):
        open_data(f"folder:{root}")


def test_images_are_recognized_by_content_and_other_files_named(tmp_path, caplog):
    caplog.set_level("INFO")
    root = make(tmp_path, *both("train/cat", "train/dog", "val/cat", "val/dog"))
    (root / "train/cat/0.jpg").rename(root / "train/cat/0.jfif")
    (root / "train/cat/1.jpg").rename(root / "train/cat/photo")
    make(tmp_path, *(f"train/dog/{n}.heic" for n in range(7)), "val/cat/.DS_Store")
    data = open_data(f"folder:{root}")
    assert (data.train_images, dataset_info(f"folder:{root}").train_images) == (8, 8)
    names = ", ".join(f"dog/{n}.heic" for n in range(5))
    assert f"{root}/train: skipped 7 files that are not supported images: {names} and 2 more" in caplog.text
    assert f"{root}/val" not in caplog.text
    (root / "train/dog/4.avif").write_bytes(b"\0\0\0\x1cftypavif")
    for path in (root / "train/dog").glob("*.jpg"):
        path.unlink()
    with pytest.raises(DataError, match=r"dog holds no images .*; 0\.heic is not in one of these formats"):
        open_data(f"folder:{root}")


def test_circular_links_and_pipes_are_skipped(tmp_path):
    root = make(tmp_path, *both("cat", "dog"))
    (root / "cat" / "again").symlink_to(root / "cat")
    (root / "cat" / "above").symlink_to(root)
    (root / "cat" / "everything").symlink_to("/")
    (root / "cat" / "zeros.jpg").symlink_to("/dev/zero")
    os.mkfifo(root / "cat" / "pipe.jpg")
    assert [os.path.basename(p) for p in list_images(root / "cat").images] == [b"0.jpg"]  # noqa: PTH119


@pytest.mark.parametrize("target", [".", "/", ".."])
def test_a_class_that_links_to_a_folder_around_it_is_refused(tmp_path, target):
    root = make(tmp_path, *both("cat", "dog"))
    (root / "fish").symlink_to(target)
    with pytest.raises(DataError, match=f"fish is a link to {target}, which contains the link"):
        open_data(f"folder:{root}")


def test_classes_may_be_links_to_folders_elsewhere(tmp_path):
    whole = make(tmp_path, *both("cat", "dog", "fish"))
    few = tmp_path / "few"
    few.mkdir()
    for name in ("cat", "dog"):
        (few / name).symlink_to(whole / name)
    assert class_folders(few) == ("cat", "dog")
    assert len(list_images(few / "cat").images) == 1


@pytest.mark.parametrize("name", ["gone", "file"])
def test_missing_folders_and_files(name, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=f"{name} (does not exist|cannot be read: not a directory)"):
        class_folders(tmp_path / name)


DEEP = [
    (
        both("a/b/cat", "a/b/dog"),
        "has a single class, a, but training needs at least two: did you mean folder:{}/a/b?",
    ),
    (
        both("a/b/c/cat", "a/b/c/dog", "z/b/c/cat", "z/b/c/dog"),
        "is 3 levels above the class folders: use folder:{}/a/b/c,",
    ),
    (both("holdout/cat", "holdout/dog", "train_data/cat", "train_data/dog"), "use folder:{}/train_data,"),
    (both("A/cat", "A/dog", "my_training/cat", "my_training/dog"), "use folder:{}/my_training,"),
]


@pytest.mark.parametrize(("names", "words"), DEEP, ids=[w for _, w in DEEP])
def test_the_folder_that_is_meant_is_named_at_once(tmp_path, names, words):
    root = make(tmp_path, *names)
    with pytest.raises(DataError) as refused:
        refuse_single(root, class_folders(root))
    assert words.format(root) in str(refused.value)


@pytest.mark.parametrize(
    ("names", "warned"),
    [
        (("Train", "b"), True),
        (("test", "a", "b"), True),
        (("train", "bus", "car", "boat", "bike"), False),
        (("a", "b"), False),
    ],
)
def test_a_class_with_the_name_of_a_split_is_mentioned(tmp_path, caplog, names, warned):
    assert class_folders(make(tmp_path, *both(*names))) == tuple(sorted(names))
    assert ("is read as a class" in caplog.text) == warned


def test_pipes_and_broken_links_are_skipped_by_name(tmp_path):
    root = make(tmp_path, "a/1.jpg")
    os.mkfifo(root / "a" / "2.jpg")
    (root / "a" / "3.jpg").symlink_to("/nowhere/at/all.jpg")
    listing = list_images(root)
    assert [Path(os.fsdecode(p)).name for p in listing.images] == ["1.jpg"]
    assert [Path(p).name for p in listing.skipped] == ["2.jpg", "3.jpg"]


def test_a_link_to_its_own_folder_ends_the_search_for_classes(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "loop").symlink_to(tmp_path / name, target_is_directory=True)
        (tmp_path / name / "other").mkdir()
    with pytest.raises(DataError, match="holds folders"):
        class_folders(tmp_path)
