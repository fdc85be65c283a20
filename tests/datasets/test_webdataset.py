"""WebDataset shards: the same images as in class folders, in archives of its convention."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from pictures import collect, setting
from small import PHOTOS, command

from netspec.datasets.registry import open_data
from netspec.datasets.webdataset import Shards
from netspec.errors import DataError

Entry = tuple[str, bytes]


def write(path: Path, entries: Iterable[Entry]) -> None:
    with tarfile.open(path, "w") as archive:
        for name, content in entries:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


def entries(folder: Path) -> list[Entry]:
    """The samples of class folders, as class indices and images."""
    found: list[Entry] = []
    for label, name in enumerate(sorted(p.name for p in folder.iterdir())):
        for path in sorted((folder / name).iterdir()):
            key = f"{name}_{path.stem}"
            found += [(f"{key}.cls", str(label).encode()), (f"{key}.jpg", path.read_bytes())]
    return found


@pytest.fixture
def shards(tmp_path, photos) -> Path:
    """The same images as class folders in `set/`, and as shards in `shards/`."""
    folder = tmp_path / "shards"
    folder.mkdir()
    for part, count in (("train", 5), ("val", 2)):
        found = entries(photos(f"set/{part}", count=count))
        write(folder / f"set-{part}-000000.tar", found[:8])
        write(folder / f"set-{part}-000001.tar", found[8:])
    return folder


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_are_those_of_class_folders(shards, workers):
    found, folders = open_data(f"shards:{shards}"), open_data(f"folder:{shards.parent / 'set'}")
    assert (found.train_images, found.val_images, found.class_names) == (15, 6, ("0", "1", "2"))
    ours, theirs = (data.open(replace(setting(), workers=workers)) for data in (found, folders))
    torch.testing.assert_close(collect(ours.train(0)), collect(theirs.train(0)), rtol=0, atol=0)
    torch.testing.assert_close(collect(ours.validate()), collect(theirs.validate()), rtol=0, atol=0)


def test_training_and_evaluation_on_shards(shards, tmp_path):
    (tmp_path / "photos.net").write_text(PHOTOS)
    line = ["--data", f"shards:{shards}", "--epochs", 2, "--device", "cpu", "--out", tmp_path / "run"]
    assert command("train", tmp_path / "photos.net", *line).exit_code == 0
    assert "6 images (validation images), centre crop" in command("eval", tmp_path / "run").stdout


BROKEN: dict[str, tuple[list[Entry], str]] = {
    "no class": ([("a.jpg", b"")], "has no class index in a .cls file for a"),
    "no image": ([("x/a.cls", b"1")], "has no image for x/a"),
    "no number": ([("a.jpg", b""), ("a.cls", b"dog")], "no class index"),
    "too large": ([("a.jpg", b""), ("a.cls", b"9999999")], "no class index"),
    "two images": (
        [("a.jpg", b""), ("a.png", b""), ("a.cls", b"1")],
        "two images or two class indices for a",
    ),
    "one name": ([("a.jpg", b""), ("a.cls", b"1")] * 2, "two class indices for a"),
    "apart": ([("a.jpg", b""), ("b.cls", b"1")], "for a:"),
}


@pytest.mark.parametrize(("content", "message"), BROKEN.values(), ids=BROKEN)
def test_incomplete_samples_are_named(shards, content, message):
    write(shards / "set-val-000002.tar", content)
    with pytest.raises(DataError, match=r"set-val-000002\.tar") as caught:
        open_data(f"shards:{shards}")
    assert message in str(caught.value)


def test_parts_are_found_by_whole_words(shards, caplog):
    """An archive belongs to one part; a class without training images is logged."""
    caplog.set_level("INFO")
    (shards / "set-val-000000.tar").rename(shards / "retrieval-validation-0.tar")
    (shards / "set-train-000000.tar").rename(shards / "interval_train.tar")
    write(shards / "trainval.tar", [("1.jpg", b""), ("1.cls", b"7")])
    found = open_data(f"shards:{shards}")
    assert (found.train_images, found.val_images) == (15, 6)
    assert "no image" not in caplog.text
    write(shards / "more-train.tar", [("1.jpg", b""), ("1.cls", b"5")])
    assert len(open_data(f"shards:{shards}").class_names) == 6
    assert "class 3 (and 1 more of 6) has no training images" in caplog.text
    write(shards / "train-val.tar", [])
    with pytest.raises(DataError, match="has both train and val in its name"):
        open_data(f"shards:{shards}")
    with pytest.raises(DataError, match="nowhere is not a folder"):
        open_data(f"shards:{shards / 'nowhere'}")


def test_damaged_archives_and_images_are_named(shards):
    path = shards / "set-val-000001.tar"
    whole = path.read_bytes()
    path.write_bytes(whole[:700])
    with pytest.raises(DataError, match="cannot be read as a tar archive"):
        open_data(f"shards:{shards}")
    path.write_bytes(whole.replace(b"\xff\xd8", b"\x00\x00"))
    with pytest.raises(DataError, match=r"the image at byte [\d,]+ of .*set-val-000001.tar cannot be read"):
        list(open_data(f"shards:{shards}").open(setting()).validate())
    for each in (path, shards / "set-val-000000.tar"):
        write(each, [("README.txt", b"nothing")])
    with pytest.raises(DataError, match=r"set-val-000000\.tar holds no samples"):
        open_data(f"shards:{shards}")
    path.unlink()
    (shards / "set-val-000000.tar").unlink()
    with pytest.raises(DataError, match=r"no \.tar with the word val in its name"):
        open_data(f"shards:{shards}")


def test_the_list_is_cached_until_an_archive_changes(shards, monkeypatch, photos):
    before = open_data(f"shards:{shards}")
    with monkeypatch.context() as patch:
        patch.setattr(tarfile, "open", None)
        assert open_data(f"shards:{shards}").train_images == before.train_images
    write(shards / "set-train-000001.tar", entries(photos("more", count=9)))
    assert open_data(f"shards:{shards}").train_images == 4 + 27


def test_other_entries_are_skipped(tmp_path):
    write(
        tmp_path / "train.tar",
        [
            ("README.md", b""),
            ("", b"no name"),
            (".", b"a dot"),
            ("a/", b"a slash"),
            ("a/b.c/1.cls", b"4\n"),
            ("a/b.c/._1.JPG", b"no"),
            ("a/b.c/1.json", b"{}"),
            ("a/b.c/1.seg.png", b"no"),
            ("a/b.c/1.JPG", b"yes"),
        ],
    )
    write(tmp_path / "val.tar", [("1.webp", b"yes"), ("1.cls", b"0")])
    found = open_data(f"shards:{tmp_path}")
    assert len(found.class_names) == 5
    photos = found.train
    assert isinstance(photos, Shards)
    _, begin, end, label = photos.rows[0].tolist()
    assert (tmp_path / "train.tar").read_bytes()[begin:end] == b"yes"
    assert label == 4
