"""Prepared copies: the same batches as from the files, and no incomplete copies."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections import namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from pictures import CPU, collect
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from netspec.cli import main
from netspec.datasets.base import LoaderConfig
from netspec.datasets.prepare import Packer, prepare
from netspec.datasets.registry import open_data
from netspec.errors import DataError
from netspec.recipe import Recipe
from netspec.recipe.images import Flip, Lighting, MeanImage, MeanStd, RandomResizedCrop, Raw


def setting(workers: int = 0, **recipe: object) -> LoaderConfig:
    values = {"batch": 4, "resize": 20, "augment": (Flip(), Lighting()), "normalize": MeanStd()} | recipe
    return LoaderConfig((3, 16, 16), Recipe.model_validate(values), CPU, workers)


def copy(source: Path, out: Path, size: int = 20, quality: int | None = None) -> Path:
    prepare(f"folder:{source}", None, out, size=size, quality=quality, val_share=0.2)
    return out


@pytest.fixture
def source(photos: Callable[..., Path]) -> Path:
    return photos("whole", 5)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_copy_gives_the_batches_of_the_files(workers: int, source: Path, tmp_path: Path) -> None:
    chosen = setting(workers)
    sets = [open_data(f"folder:{source}"), open_data(f"prepared:{copy(source, tmp_path / 'copy')}")]
    assert sets[0].class_names == sets[1].class_names
    assert [(s.train_images, s.val_images, s.channels) for s in sets] == [(12, 3, 3)] * 2
    theirs, ours = (data.open(chosen) for data in sets)
    for one, two in (
        (theirs.train(1), ours.train(1)),
        (theirs.train(1, 2), ours.train(1, 2)),
        (theirs.validate(), ours.validate()),
        (theirs.validate("ten_crop"), ours.validate("ten_crop")),
    ):
        (images, labels), (others, numbers) = collect(one), collect(two)
        assert images.equal(others)
        assert labels.equal(numbers)


def test_long_photos_are_cut_in_a_copy(source: Path, tmp_path: Path) -> None:
    for name, size in (("long.png", (4001, 80)), ("longer.png", (6001, 81)), ("tall.png", (7, 500))):
        Image.effect_noise(size, 90).convert("RGB").save(source / "class0" / name)
    copied = copy(source, tmp_path / "copy")
    assert copied.stat().st_size < 19 * 20 * 161 * 3
    chosen = setting(augment=(), normalize=Raw())
    theirs, ours = (open_data(name).open(chosen) for name in (f"folder:{source}", f"prepared:{copied}"))
    for one, two in ((theirs.train(0), ours.train(0)), (theirs.validate(), ours.validate())):
        assert (collect(one)[0] - collect(two)[0]).abs().max() <= 1


def test_a_copy_of_jpegs_is_close(source: Path, tmp_path: Path) -> None:
    data = open_data(f"prepared:{copy(source, tmp_path / 'copy', quality=98)}")
    plain = open_data(f"prepared:{copy(source, tmp_path / 'plain')}")
    chosen = setting(augment=(), normalize=MeanImage())
    images, others = (collect(each.open(chosen).train(0))[0] for each in (data, plain))
    assert 0 < (images - others).abs().mean() < 6
    assert (tmp_path / "copy").stat().st_size < (tmp_path / "plain").stat().st_size


def test_random_windows_are_cut_from_a_copy(source: Path, tmp_path: Path) -> None:
    batches = open_data(f"prepared:{copy(source, tmp_path / 'copy')}").open(
        setting(augment=(RandomResizedCrop(),))
    )
    assert collect(batches.train(0))[0].shape == (12, 3, 16, 16)


def test_a_recipe_with_another_size(source: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    data = open_data(f"prepared:{copy(source, tmp_path / 'copy', 24)}")
    assert collect(data.open(setting()).validate())[0].shape == (3, 3, 16, 16)
    assert "are resized a second time, from 24 to 20: prepare a copy of size 20" in caplog.text
    with pytest.raises(DataError, match=r"short side of 24, but the recipe resizes to 30: .*with size 30"):
        data.open(setting(resize=30))
    small = open_data(f"prepared:{copy(source, tmp_path / 'small', 16)}")
    assert small.open(setting(resize=None)).preprocessing.resize == 16


def test_a_copy_of_imagenet_has_its_mean(photos: Callable[..., Path], tmp_path: Path) -> None:
    photos("set/train", 2)
    photos("set/val", 1)
    prepare("imagenet", tmp_path / "set", tmp_path, size=20, quality=None, val_share=0.2)
    data = open_data(f"prepared:{tmp_path / 'imagenet-20.safetensors'}")
    assert data.open(setting()).preprocessing.mean == pytest.approx((123.675, 116.28, 103.53))


def test_a_worker_gets_no_copy_of_the_file(source: Path, tmp_path: Path) -> None:
    photos = open_data(f"prepared:{copy(source, tmp_path / 'copy')}").train  # type: ignore[attr-defined]
    before = photos.photo(3)
    assert len(pickle.dumps(photos)) < 2000
    assert (pickle.loads(pickle.dumps(photos)).photo(3) == before).all()


@pytest.mark.parametrize("length", [0, 7, 40, 1000, -1, -30, -200])
def test_an_incomplete_copy_is_an_error(length: int, source: Path, tmp_path: Path) -> None:
    path = copy(source, tmp_path / "copy")
    os.truncate(path, length if length >= 0 else path.stat().st_size + length)
    with pytest.raises(DataError, match="copy is not a prepared copy or is incomplete: create it with"):
        open_data(f"prepared:{path}")


def test_a_copy_is_a_safetensors_file(source: Path, tmp_path: Path) -> None:
    path = copy(source, tmp_path / "copy")
    tensors, photos = load_file(path), open_data(f"prepared:{path}").train  # type: ignore[attr-defined]
    assert tensors["rows"].tolist()[: len(photos)] == photos.rows.tolist()
    begin, end, height, width, _ = tensors["rows"][2].tolist()
    assert (tensors["photos"][begin:end].reshape(height, width, 3) == photos.photo(2)).all()


def test_an_old_copy_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "old.pack").write_bytes(b"netspec1" + bytes(100) + b"netspec1")
    with pytest.raises(DataError, match="was prepared by an older version of netspec: prepare it again"):
        open_data(f"prepared:{tmp_path / 'old.pack'}")


WRONG: dict[str, tuple[int, int]] = {"begin": (0, -1), "end": (1, 10**9), "height": (2, 7), "class": (4, 99)}


@pytest.mark.parametrize(("column", "value"), WRONG.values(), ids=WRONG)
def test_rows_outside_the_file_are_errors(column: int, value: int, source: Path, tmp_path: Path) -> None:
    path = copy(source, tmp_path / "copy")
    with safe_open(path, "numpy") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    tensors["rows"][3, column] = value
    save_file(tensors, path, metadata)
    with pytest.raises(DataError, match="is not a prepared copy"):
        open_data(f"prepared:{path}")


ABOUT: dict[str, object] = {
    "source": 7,
    "size": "20",
    "quality": 0,
    "classes": [],
    "photos": [0, 8],
}


@pytest.mark.parametrize(("key", "value"), ABOUT.items(), ids=ABOUT)
def test_damaged_metadata_are_errors(key: str, value: object, source: Path, tmp_path: Path) -> None:
    path = copy(source, tmp_path / "copy")
    with safe_open(path, "numpy") as file:
        about = json.loads(file.metadata()["netspec"])
    save_file(load_file(path), path, {"netspec": json.dumps(about | {key: value})})
    with pytest.raises(DataError, match="is not a prepared copy"):
        open_data(f"prepared:{path}")


def test_photos_of_impossible_sizes_are_errors(source: Path, tmp_path: Path) -> None:
    path = copy(source, tmp_path / "copy")
    with safe_open(path, "numpy") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    begin, end = tensors["rows"][3, :2].tolist()
    tensors["rows"][3, 2:4] = 2**63 - 1, 2**63 - (end - begin) // 3  # the product is right modulo 2**64
    save_file(tensors, path, metadata)
    with pytest.raises(DataError, match="is not a prepared copy"):
        open_data(f"prepared:{path}")


def test_a_pipe_is_not_a_prepared_copy(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="cannot be read: not a regular file"):
        open_data(f"prepared:{tmp_path / 'pipe'}")


def test_a_missing_copy(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist: create it with `netspec prepare`"):
        open_data(f"prepared:{tmp_path / 'nothing'}")


def test_an_interrupt_leaves_nothing(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(packer: Packer) -> Iterator[bytes]:
        yield packer[0]  # type: ignore[misc]
        raise KeyboardInterrupt

    monkeypatch.setattr("netspec.datasets.prepare._items", stop)
    (tmp_path / "out").mkdir()
    with pytest.raises(KeyboardInterrupt):
        copy(source, tmp_path / "out" / "copy")
    assert list((tmp_path / "out").iterdir()) == []


def test_files_of_a_killed_run_are_removed(source: Path, tmp_path: Path) -> None:
    (tmp_path / ".copy.d8f1x_2a").write_bytes(b"half")
    copy(source, tmp_path / "copy")
    assert [path.name for path in tmp_path.glob(".copy*")] == []


def test_bad_images_are_all_named(source: Path, tmp_path: Path) -> None:
    for number in (1, 3):
        (source / "class1" / f"{number}.jpg").write_bytes(b"junk")
    with pytest.raises(DataError, match=r"2 images cannot be read: .*1/[13]\.jpg \(.*\); .*1/[13]\.jpg \("):
        copy(source, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


Usage = namedtuple("Usage", "total used free")


def test_a_full_disk_is_an_error_before_writing(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**6, 10**6 - 9000, 9000))
    with pytest.raises(DataError, match=r"would take about [\d.]+ kB, but only 9 kB are free .*`quality=95`"):
        copy(source, tmp_path / "copy")


COMMANDS: dict[str, tuple[list[str], int, str]] = {
    "a set that is not of photos": (["--data", "mnist", "--out", "x"], 2, "mnist cannot be prepared"),
    "no such folder": (["--data", "folder:nowhere", "--out", "x"], 1, "nowhere does not exist"),
    "a file that exists": (["--data", "folder:whole", "--out", "there"], 2, "there already exists"),
    "a missing folder": (["--data", "folder:whole", "--out", "no/x"], 1, "cannot be written"),
    "success": (["--data", "folder:whole", "--out", "x", "--size", "8"], 0, "data prepared:x"),
}


@pytest.mark.parametrize(("arguments", "status", "message"), COMMANDS.values(), ids=COMMANDS)
def test_the_command(
    arguments: list[str], status: int, message: str, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(source.parent)
    Path("there").touch()
    result = CliRunner().invoke(main, ["prepare", *arguments])
    assert result.exit_code == status
    assert message in " ".join(result.stderr.split())
