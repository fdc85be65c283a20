"""The files of a training run: checkpoints, which include the spec, logs, and the lock of the folder."""

from __future__ import annotations

import contextlib
import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, TypeVar

import torch
from filelock import FileLock, Timeout

from netspec.checker import Report, check_source
from netspec.diagnostics import Source
from netspec.errors import FileError, TrainError
from netspec.files import reason, write_file
from netspec.graph import Net
from netspec.language.values import kind_of
from netspec.recipe import Recipe
from netspec.shape import Shape

CHECKPOINT, WEIGHTS, BEST, RECIPE = "checkpoint.pt", "weights.pt", "best.pt", "recipe.net"
LOG, LOG_TABLE, EVENTS = "log.jsonl", "log.csv", "tensorboard"
LOCK = ".lock"


def save(path: Path, content: object) -> None:
    """Write tensors and plain values with `torch.save`; raises TrainError if the write fails."""
    replace(path, lambda file: torch.save(content, file))


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
    """Load a dictionary written by `save` onto the CPU, without running code from the file.

    Raises:
        TrainError: the file is missing, unreadable, damaged, or not a dictionary.
    """
    try:
        with path.open("rb") as file:
            file.read(1)
    except OSError as error:
        raise TrainError(f"{path} cannot be read: {error.strerror}") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns about some files before it rejects them
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged files raise RuntimeError, UnpicklingError, EOFError, KeyError ...
        raise TrainError(f"{path} is not a checkpoint, or damaged") from error
    if not isinstance(content, dict):
        raise TrainError(f"{path} is not a checkpoint")
    return content


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
    """Flatten nested mappings into one, joining keys with an underscore.

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
        TrainError: the folder already holds a run, or has none to resume; another process has locked it;
            or it cannot be written.
    """
    checkpoint = folder / CHECKPOINT
    if resume and not checkpoint.exists():
        raise TrainError(f"{folder} holds no run to resume: it has no {CHECKPOINT}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        problem = "is a file" if folder.is_file() else f"cannot be created ({error.strerror})"
        raise TrainError(f"the folder {folder} {problem}: choose another `out`") from error
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
    """Write a file atomically with `write_file`; raises TrainError when the write fails."""
    try:
        write_file(path, write)
    except FileError as error:
        raise TrainError(f"{error}; the previous version of the file is unchanged") from error


@contextlib.contextmanager
def write_errors(path: Path) -> Iterator[None]:
    """Turn a failed write into a TrainError; torch's writer raises RuntimeError if the disk is full."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        raise TrainError(f"{path} cannot be written: {reason(error)}") from error


def _parse_row(line: str) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) and isinstance(row.get("steps", 0), int) else None


T = TypeVar("T")
MAX_SPEC = 2 * 2**20
"""The maximum number of characters in a spec, as for files."""
MAX_MESSAGE = 300
"""The most characters of a diagnostic that an error quotes."""


def describe(
    report: Report, spec: str, *, root: Path | None = None, val_share: float | None = None
) -> dict[str, object]:
    """Return everything that `restore` needs to rebuild a network without its files, as plain values.

    `spec` is the path or name that the user gave. `root` and `val_share`, the folder of the images and the
    share held out, let evaluation use the same images.

    Raises:
        TrainError: a parameter has a value that a checkpoint cannot store.
    """
    folder = Path(report.source.path).parent
    return {
        "path": spec,
        "spec": report.source.text,
        "used": {Path(s.path).relative_to(folder).as_posix(): s.text for s in report.used},
        "arguments": {name: plain(name, value) for name, value in report.arguments.items()},
        "inputs": {name: list(shape) for name, shape in report.inputs.items()},
        "root": None if root is None else str(root),
        "val_share": val_share,
    }


def restore(about: Mapping[str, Any], path: Path) -> Net:
    """Rebuild a network from its description, reading no file; `path` is the checkpoint named in errors.

    Raises:
        TrainError: an entry is missing or of the wrong type, or the spec has errors.
    """
    text, used = entry(about, "spec", str, path), entry(about, "used", dict, path, {})
    if len(text) > MAX_SPEC or not all(_is_text(k) and _is_text(v) for k, v in used.items()):
        raise TrainError(f"{path} is damaged: its spec is too long, or is not text")
    arguments = entry(about, "arguments", dict, path, {})
    inputs = entry(about, "inputs", dict, path, {})
    try:
        values = {str(name): plain(str(name), value) for name, value in arguments.items()}
        shapes = {str(name): _shape(sizes) for name, sizes in inputs.items()}
        report = check_source(Source("its spec", text), used, values, shapes)
    except (ValueError, RecursionError) as error:
        raise TrainError(f"{path} is damaged: the arguments of its spec cannot be read") from error
    if report.net is None:
        first = next(d for d in report.diagnostics if d.severity == "error")
        message = first.message if len(first.message) <= MAX_MESSAGE else f"{first.message[:MAX_MESSAGE]}..."
        raise TrainError(f"{path} contains an invalid spec: line {first.span.line}: {message}")
    return report.net


def read_recipe(content: Mapping[str, Any], path: Path) -> Recipe:
    """Return the recipe in a checkpoint's content; raises TrainError if it is missing or invalid."""
    try:
        return Recipe.model_validate_json(json.dumps(entry(content, "recipe", dict, path)))
    except (ValueError, TypeError, RecursionError) as error:
        raise TrainError(f"{path} contains a recipe that this version of netspec cannot read") from error


def plain(name: str, value: object) -> object:
    """Copy a value into built-in types, which torch loads without running code.

    Raises:
        TrainError: the value, or one inside it, is not of a built-in type.
    """
    match value:
        case None | bool() | str():
            return value
        case int():
            return int(value)
        case float():
            return float(value)
        case list():
            return [plain(name, v) for v in value]
        case tuple():
            return tuple(plain(name, v) for v in value)
        case dict():
            return {plain(name, k): plain(name, v) for k, v in value.items()}
    raise TrainError(f"the parameter {name} is {kind_of(value)}, which a checkpoint cannot store")


def entry(content: Mapping[str, Any], key: str, kind: type[T], path: Path, default: T | None = None) -> T:
    """Return an entry of a checkpoint; raises TrainError if it is missing or not of type `kind`."""
    value = content.get(key, default)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise TrainError(f"{path} is not a complete checkpoint: its entry `{key}` is missing or damaged")
    return value


def _is_text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= MAX_SPEC


def _shape(sizes: object) -> Shape:
    valid = isinstance(sizes, list | tuple) and all(type(s) is int and 0 < s < 10**9 for s in sizes)
    if not isinstance(sizes, list | tuple) or not valid or not 1 <= len(sizes) <= 3:
        raise ValueError("not a shape")
    return Shape(sizes)
