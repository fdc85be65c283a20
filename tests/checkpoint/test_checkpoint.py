"""Checkpoints: files are replaced as a whole, and loading one runs no code."""

from __future__ import annotations

import errno
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from netspec.checkpoint import append_line, load, lock_run, new_folder, save, save_text
from netspec.errors import TrainError


class Evil:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return os.mkdir, (str(self.path),)


def full(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_saved_values_can_be_loaded(tmp_path: Path) -> None:
    save(tmp_path / "a.pt", {"x": torch.arange(3), "n": 1.5, "names": ["a"], "none": None})
    content = load(tmp_path / "a.pt")
    assert content.pop("x").tolist() == [0, 1, 2]
    assert content == {"n": 1.5, "names": ["a"], "none": None}


@pytest.mark.parametrize("call", ["fsync", "write"])
def test_a_full_disk_leaves_the_old_file(call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "a.pt", {"x": 1})
    if call == "fsync":
        monkeypatch.setattr(os, "fsync", full)
    else:
        monkeypatch.setattr(torch, "save", full)
    with pytest.raises(TrainError, match=r"a\.pt cannot be written: no space left on device"):
        save(tmp_path / "a.pt", {"x": 2})
    assert load(tmp_path / "a.pt") == {"x": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["a.pt"]


def test_an_error_of_torchs_writer_becomes_a_train_error(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, hard))
    try:
        with pytest.raises(TrainError, match=r"a\.pt cannot be written"):
            save(tmp_path / "a.pt", {"x": torch.zeros(1 << 20)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("write", [save, save_text, append_line], ids=lambda f: f.__name__)
def test_unwritable_paths(write: Callable[[Path, object], None], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainError, match=r"cannot be written: not a directory"):
        write(tmp_path / "file" / "a", {})
    with (
        pytest.raises(TrainError, match=r"cannot be created \(Not a directory\)"),
        lock_run(tmp_path / "file" / "run"),
    ):
        pass


def test_loading_runs_no_code(tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(pickle.dumps(Evil(tmp_path / "made")))
    torch.save(Evil(tmp_path / "made"), tmp_path / "b.pt")
    for name in ("a.pt", "b.pt"):
        with pytest.raises(TrainError, match="is not a checkpoint, or is damaged"):
            load(tmp_path / name)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("content", [b"", b"junk", b"PK\x03\x04"], ids=["empty", "junk", "zip"])
def test_damaged_files(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(content)
    with pytest.raises(TrainError, match="is not a checkpoint"):
        load(tmp_path / "a.pt")


def test_missing_and_foreign_files(tmp_path: Path) -> None:
    with pytest.raises(TrainError, match="No such file"):
        load(tmp_path / "a.pt")
    save(tmp_path / "a.pt", [1])
    with pytest.raises(TrainError, match="is not a checkpoint"):
        load(tmp_path / "a.pt")


def test_every_run_gets_its_own_folder(tmp_path: Path) -> None:
    names = []
    for _ in range(3):
        folder = new_folder(tmp_path / "runs" / "lenet")
        with lock_run(folder):
            save_text(folder / "log", "")
        names.append(folder.name)
        assert [path.name for path in folder.iterdir()] == ["log"]
    assert names == ["lenet", "lenet-2", "lenet-3"]


def test_a_folder_is_locked_by_one_process(tmp_path: Path) -> None:
    """The lock is free once the process ends, even by SIGKILL; a folder that stayed empty is removed."""
    folder = tmp_path / "run"
    holds = "from netspec.checkpoint import *; from pathlib import Path; from sys import argv"
    holds += "\nwith lock_run(Path(argv[1])): print(1, flush=True); input()"
    command = [sys.executable, "-c", holds, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout
        other.stdout.readline()
        refused = pytest.raises(TrainError, match=r"another process is writing a run to .*`out`")
        with refused, lock_run(folder):
            pass
        other.kill()
    with lock_run(folder):
        assert folder.is_dir()
    assert not folder.exists()


def test_another_run_is_not_overwritten(tmp_path: Path) -> None:
    save(tmp_path / "checkpoint.pt", {})
    with (
        pytest.raises(TrainError, match="already holds a run: choose another `out`"),
        lock_run(tmp_path),
    ):
        pass
