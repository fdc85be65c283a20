"""Unreadable photos are all named before training, or left out and listed."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from accepted import accepted
from click.testing import CliRunner
from PIL import Image

import netspec
from netspec.cli import main
from netspec.datasets.registry import open_data
from netspec.datasets.screening import screened
from netspec.errors import DataError
from netspec.transforms.pixels import BadImage, Pixels, read_photo

NET = "network Small(classes = 10)\ninput image: 3x8x8\nconv(4, 3); relu; flatten; linear(classes)\n"


def photo(number: int = 0) -> bytes:
    """A JPEG of which each number has another content."""
    noise = np.random.default_rng(number).integers(0, 255, (30, 40, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(noise).save(out, "JPEG")
    return out.getvalue()


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def changed_header(content: bytes) -> bytes:
    return content[:2] + b"\0" * 300 + content[302:]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "cut": cut,
    "empty": lambda content: b"",
    "text": lambda content: b"not an image",
    "header": changed_header,
}


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "set"
    for name in ("cat", "dog"):
        (root / name).mkdir(parents=True)
        for number in range(6):
            (root / name / f"{number}.jpg").write_bytes(photo(number))
    return root


@pytest.fixture
def net(tmp_path):
    path = tmp_path / "small.net"
    path.write_text(NET)
    return path


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_all_bad_photos_are_named_at_once(folder, net, damage, tmp_path):
    for name in ("cat/1.jpg", "cat/4.jpg", "dog/0.jpg"):
        (folder / name).write_bytes(damage((folder / name).read_bytes()))
    words = ["train", net, "--data", f"folder:{folder}", "--out", tmp_path / "run", "--device", "cpu"]
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == 1
    assert "error: 3 images cannot be read: replace or remove " in result.output
    assert all(name in result.output for name in ("cat/1.jpg (", "cat/4.jpg (", "dog/0.jpg ("))
    assert result.output.rstrip().endswith("or leave out all unreadable images with --skip-bad")
    assert not (tmp_path / "run").exists()


def test_a_run_without_bad_photos_lists_them(folder, net, tmp_path):
    (folder / "cat/1.jpg").write_bytes(b"\xff\xd8 =1+1")
    words = ["train", net, "--data", f"folder:{folder}", "--out", tmp_path / "run", "--device", "cpu"]
    options = ["--skip-bad", "--epochs", "1", "--val-share", "0.34"]
    result = CliRunner().invoke(main, [*map(str, words), *options])
    assert accepted(result)
    assert "warning: 1 image that cannot be read is left out: " in result.output
    head, row = (tmp_path / "run" / "skipped.csv").read_text().splitlines()
    assert head == "image,reason"
    assert row.startswith(f"{folder / 'cat/1.jpg'},")
    assert accepted(CliRunner().invoke(main, ["eval", str(tmp_path / "run"), "--device", "cpu"]))
    model = netspec.evaluate(tmp_path / "run", device="cpu")
    assert model.score.images in (3, 4)


def test_evaluation_screens_only_its_own_photos_and_names_each_once(folder, net, tmp_path):
    words = ["train", net, "--data", f"folder:{folder}", "--out", tmp_path / "run", "--epochs", 1]
    assert accepted(CliRunner().invoke(main, [*map(str, words), "--device", "cpu"]))
    held_out = open_data(f"folder:{folder}").val  # type: ignore[attr-defined]
    trained = next(p for p in folder.rglob("*.jpg") if os.fsencode(p) not in held_out.paths.tolist())
    good = trained.read_bytes()
    trained.write_bytes(cut(good))
    assert netspec.evaluate(tmp_path / "run", device="cpu").score.images == len(held_out)
    other = tmp_path / "other"
    folder.rename(other)
    with pytest.raises(DataError, match=r"1 image cannot be read: replace or remove [^;,]*$"):
        netspec.evaluate(tmp_path / "run", data=f"folder:{other}", device="cpu")


def test_a_class_without_any_readable_photo_is_refused(folder, net, tmp_path):
    for number in range(6):
        (folder / "dog" / f"{number}.jpg").write_bytes(b"")
    with pytest.raises(DataError, match="no training image of the class dog can be read"):
        netspec.train(
            net, data=f"folder:{folder}", epochs=1, skip_bad=True, out=tmp_path / "run", device="cpu"
        )


def test_only_suspicious_files_are_decoded(folder, monkeypatch):
    (folder / "cat/1.jpg").write_bytes(cut(photo()))
    (folder / "cat/2.jpg").write_bytes(photo() + b"\0\0\n")
    (folder / "cat/3.jpg").write_bytes(photo() + b"trailing data")
    out = io.BytesIO()
    Image.new("RGB", (9, 9)).save(out, "PNG")
    (folder / "cat/4.jpg").write_bytes(out.getvalue())
    decoded = []

    def read(path: str) -> Pixels | BadImage:
        decoded.append(Path(path).name)
        return read_photo(path)

    monkeypatch.setattr("netspec.datasets.image_folder.read_photo", read)
    data = open_data(f"folder:{folder}")
    with pytest.raises(DataError, match=r"1 image cannot be read: replace or remove .*1\.jpg"):
        screened(data, skip_bad=False)
    assert sorted(decoded) == ["1.jpg", "3.jpg"]
    decoded.clear()
    rest, bad = screened(data, skip_bad=True)
    assert decoded == []  # the result is cached
    assert [Path(each.path).name for each in bad] == ["1.jpg"]
    assert rest.train_images + rest.val_images == 11


def test_a_photo_that_disappears_or_is_a_pipe_is_bad(folder):
    data = open_data(f"folder:{folder}")
    (folder / "cat/1.jpg").unlink()
    os.mkfifo(folder / "cat/1.jpg")
    with pytest.raises(DataError, match="Not a regular file"):
        screened(data, skip_bad=False)


def test_other_sets_are_returned_as_they_are():
    data = open_data("digits")
    assert screened(data, skip_bad=True) == (data, [])
