"""The files of a training run: checkpoints, weights, logs, and the lock on its folder."""

from __future__ import annotations

import contextlib
import json
import os
import struct
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import safetensors.torch
import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError
from torch import Tensor

from netspec.errors import FileError, TrainError
from netspec.files import reason, write_file

CHECKPOINT, RECIPE = "checkpoint.pt", "recipe.net"
WEIGHTS, BEST = "weights.safetensors", "best.safetensors"
OLD_BEST = "best.pt"
"""The file name of the best weights in runs of netspec 0.1, which wrote them with `torch.save`."""
LOG, LOG_TABLE, SKIPPED, EVENTS = "log.jsonl", "log.csv", "skipped.csv", "tensorboard"
LOCK = ".lock"


def save(path: Path, content: object) -> None:
    """Write tensors and plain values with `torch.save`; raises TrainError if the write fails."""
    replace(path, lambda file: torch.save(content, file))


def save_weights(path: Path, state: Mapping[str, Tensor]) -> None:
    """Write a state_dict to a safetensors file; raises TrainError if the write fails.

    Tensors that share memory, such as tied weights, are written in full under each of their names.
    """
    own: dict[str, Tensor] = {}
    written: set[int] = set()
    for name, value in state.items():
        tensor = value.detach().cpu().contiguous()
        place = tensor.untyped_storage().data_ptr()
        own[name] = tensor.clone() if place in written else tensor
        written.add(place)
    replace(path, lambda file: file.write(safetensors.torch.save(own, {"format": "pt"})))


def save_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file; raises TrainError if the write fails."""
    replace(path, lambda file: file.write(text.encode()))


def save_json(path: Path, content: object) -> None:
    """Write plain values as a JSON file; raises TrainError if the write fails."""
    save_text(path, json.dumps(content, indent=2) + "\n")


def append_line(path: Path, content: object) -> None:
    """Append one line of JSON to a log; raises TrainError if the write fails."""
    with write_errors(path), path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(content) + "\n")


def load(path: Path) -> dict[str, Any]:
    """Load a dictionary written by `save` or `save_weights` to the CPU; no code in the file is run.

    Raises:
        TrainError: the file is missing, unreadable or damaged, or does not hold a dictionary.
    """
    try:
        if path.exists() and not path.is_file():
            raise TrainError(f"{path} is not a file")
        with path.open("rb") as file:
            start = file.read(9)
            _check_records(file, path)
    except OSError as error:
        raise TrainError(f"{path} cannot be read: {error.strerror}") from error
    if start[8:] == b"{":
        return _load_safetensors(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns about some files before it rejects them
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged files raise RuntimeError, UnpicklingError, EOFError, KeyError ...
        raise TrainError(f"{path} is not a checkpoint, or is damaged") from error
    if not isinstance(content, dict):
        raise TrainError(f"{path} is not a checkpoint")
    return content


def _load_safetensors(path: Path) -> dict[str, Any]:
    try:
        state: dict[str, Any] = safetensors.torch.load_file(path)
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise TrainError(f"{path} is not a safetensors file, or is damaged") from error
    return state


def best_weights(folder: Path) -> Path | None:
    """Return the file with the best weights in a run's folder, or None before the first epoch ends."""
    return next((path for name in (BEST, OLD_BEST) if (path := folder / name).is_file()), None)


def _check_records(file: IO[bytes], path: Path) -> None:
    """Raise TrainError if a zip file is damaged, or if loading it would take more memory than its size.

    torch writes its records uncompressed, but would expand compressed records without a limit. It does not
    compare the records with their checksums.
    """
    file.seek(0)
    if file.read(4) != b"PK\x03\x04":
        return
    try:
        archive = zipfile.ZipFile(file)
        records = archive.infolist()
        stored = all(record.compress_type == zipfile.ZIP_STORED for record in records)
        if not stored or sum(record.file_size for record in records) > file.seek(0, os.SEEK_END):
            message = f"{path} is not a checkpoint: its records are compressed, or larger than the file"
            raise TrainError(message)
        damaged = archive.testzip()
    except (zipfile.BadZipFile, ValueError, EOFError, RuntimeError, struct.error) as error:
        raise TrainError(f"{path} is not a checkpoint, or is damaged") from error
    if damaged is not None:
        raise TrainError(f"{path} is damaged: its record {damaged} does not match its checksum")


def read_log(folder: Path, *, strict: bool = True) -> list[dict[str, Any]]:
    """Return the rows of a run's log, one per epoch; an incomplete last line is ignored.

    Returns an empty list if there is no log. With `strict=False`, every damaged line is ignored.

    Raises:
        TrainError: the log cannot be read, or a line other than the last is damaged.
    """
    path = folder / LOG
    try:
        lines = path.read_text("utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise TrainError(f"{path} cannot be read: {error.strerror}") from error
    rows = []
    for number, line in enumerate(lines, 1):
        row = _parse_row(line)
        if row is not None:
            rows.append(row)
        elif strict and line.strip() and number < len(lines):
            raise TrainError(f"{path} is damaged: line {number} is not a row of a log")
    return rows


def flatten(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a nested mapping as a flat one, with keys joined by underscores.

    >>> flatten({"loss": 1.5, "val": {"loss": 2.0}})
    {'loss': 1.5, 'val_loss': 2.0}
    """
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}_{key}": inner for key, inner in flatten(value).items()}
        else:
            flat[name] = value
    return flat


def new_folder(base: Path) -> Path:
    """Return the first of `base`, `base-2`, `base-3` ... that does not exist."""
    candidate, number = base, 1
    while candidate.exists():
        number += 1
        candidate = base.with_name(f"{base.name}-{number}")
    return candidate


@contextlib.contextmanager
def lock_run(folder: Path, *, resume: bool = False) -> Iterator[None]:
    """Create the folder of a run and lock it against other processes.

    `resume=True` reopens the folder of an existing run. A folder that is still empty at the end is removed.

    Raises:
        TrainError: the folder already holds a run, holds no run to resume, is locked by another process, or
            cannot be written.
    """
    checkpoint = folder / CHECKPOINT
    if resume and not checkpoint.exists():
        raise TrainError(f"{folder} holds no run to resume: it has no {CHECKPOINT}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        is_file = isinstance(error, FileExistsError)
        problem = "is a file, not a folder" if is_file else f"cannot be created ({error.strerror})"
        raise TrainError(f"`out` {folder} {problem}: choose another `out`") from error
    path = folder / LOCK
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        message = f"another process is writing a run to {folder}"
        raise TrainError(f"{message}: wait for it to end, or choose another `out`") from error
    except OSError as error:
        raise TrainError(f"the folder {folder} cannot be written ({error.strerror})") from error
    except NotImplementedError:
        pass  # some network file systems have no locks
    try:
        if checkpoint.exists() and not resume:
            raise TrainError(f"{folder} already holds a run: choose another `out`")
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink()
        lock.release()
        with contextlib.suppress(OSError):
            folder.rmdir()


def replace(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file atomically with `write_file`; raises TrainError if the write fails."""
    try:
        write_file(path, write)
    except FileError as error:
        raise TrainError(f"{error}; the previous version of the file is unchanged") from error


@contextlib.contextmanager
def write_errors(path: Path) -> Iterator[None]:
    """Raise a TrainError if writing to `path` fails inside this context."""
    try:
        yield
    except (OSError, RuntimeError) as error:  # torch raises RuntimeError if the disk is full
        raise TrainError(f"{path} cannot be written: {reason(error)}") from error


def _parse_row(line: str) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) and isinstance(row.get("steps", 0), int) else None
