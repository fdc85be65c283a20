"""Saving and loading, so that a file is either the old one or the new one, whole."""

from __future__ import annotations

import contextlib
import json
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import torch
from filelock import FileLock, Timeout

from netspec.errors import FileError, TrainError
from netspec.files import reason, write_file

LOCK = ".lock"


def save(path: Path, content: object) -> None:
    """Write tensors and plain values with torch, atomically; raises TrainError where it cannot."""
    replace(path, lambda file: torch.save(content, file))


def save_text(path: Path, text: str) -> None:
    """Write a text, atomically; raises TrainError where it cannot."""
    replace(path, lambda file: file.write(text.encode()))


def save_json(path: Path, content: object) -> None:
    """Write plain values as JSON, atomically; raises TrainError where it cannot."""
    save_text(path, json.dumps(content, indent=2) + "\n")


def load(path: Path) -> dict[str, Any]:
    """Read what `save` wrote, on the CPU, running no code from the file; raises TrainError."""
    try:
        with path.open("rb") as file:
            file.read(1)
    except OSError as error:
        raise TrainError(f"{path} cannot be read: {error.strerror}") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's doubts of files that are refused below
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damage raises RuntimeError, UnpicklingError, EOFError, KeyError ...
        raise TrainError(f"{path} is not a checkpoint, or damaged") from error
    if not isinstance(content, dict):
        raise TrainError(f"{path} is not a checkpoint")
    return content


def append_line(path: Path, content: object) -> None:
    """Add one line of JSON to a log; raises TrainError where it cannot."""
    with explained(path), path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(content) + "\n")


def fresh_folder(base: Path) -> Path:
    """The first of base, base-2, base-3 ... that is not there yet, for a run of its own."""
    candidate, number = base, 1
    while candidate.exists():
        number += 1
        candidate = base.with_name(f"{base.name}-{number}")
    return candidate


@contextlib.contextmanager
def claimed(folder: Path, marker: str, *, taken: bool = False) -> Iterator[None]:
    """Hold the folder of a run, made where it is not there, or that the run has `taken` before.

    Meanwhile no other process can hold it. One that is left empty is removed.

    Raises:
        TrainError: it holds another run, or none where it should, is held by another process, or cannot be
            written.
    """
    if taken and not (folder / marker).exists():
        raise TrainError(f"{folder} holds no run to go on with: it has no {marker}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        what = "is a file" if folder.is_file() else f"cannot be made ({error.strerror})"
        raise TrainError(f"the folder {folder} {what}: name another with --out") from error
    path = folder / LOCK
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        message = f"another process is writing a run to {folder}"
        raise TrainError(f"{message}: wait for its end, or name a new folder with --out") from error
    except OSError as error:
        raise TrainError(f"the folder {folder} cannot be written ({error.strerror})") from error
    except NotImplementedError:
        pass  # some network file systems have no locks
    try:
        if (folder / marker).exists() and not taken:
            raise TrainError(f"{folder} holds another run already: name a new folder with --out")
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink()
        lock.release()
        with contextlib.suppress(OSError):
            folder.rmdir()


def replace(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file whole, as `write_file` does; raises TrainError where it cannot."""
    try:
        write_file(path, write)
    except FileError as error:
        raise TrainError(f"{error}; what was saved before is still there") from error


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn a failed write into a sentence; torch's writer raises RuntimeError where the disk is full."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        message = f"{path} cannot be written: {reason(error)}; what was saved before is still there"
        raise TrainError(message) from error
