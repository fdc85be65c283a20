"""Sweeps: training runs for every combination of settings and seeds."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from netspec.checker import Report
from netspec.checkpoint import (
    CHECKPOINT,
    flatten,
    read_checkpoint,
    read_log,
    restore,
    save_json,
    write_errors,
)
from netspec.errors import TrainError
from netspec.training.callbacks import stop_signals

BRACKETS = {"(": ")", "[": "]", "{": "}"}
MAX_FOLDER = 100
"""The maximum number of characters in the name of a folder."""


@dataclass(frozen=True)
class Point:
    """One combination of a sweep: all settings (`name=value`), those with several values, and the seed."""

    settings: tuple[str, ...]
    varying: tuple[str, ...]
    seed: int | None

    @property
    def label(self) -> str:
        """The settings that differ between the points of the sweep."""
        return ", ".join(self.varying) or "default"

    @property
    def folder(self) -> str:
        """The name of the run's folder, unique in its sweep.

        >>> Point(("pool=2", "lrn=true"), ("pool=2",), 1).folder
        'pool=2,seed=1'
        """
        seed = () if self.seed is None else (f"seed={self.seed}",)
        name = ",".join((*self.varying, *seed)) or "run"
        safe = re.sub(r"[^A-Za-z0-9._=,+-]+", "_", name)
        if safe == name and len(name) <= MAX_FOLDER:
            return name
        return f"{safe[: MAX_FOLDER - 9]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def grid(settings: Sequence[str], seeds: Sequence[int | None]) -> list[Point]:
    """Return every combination of the values of settings such as `name=first,second` and of the seeds.

    The seed varies fastest, then the last setting.

    Raises:
        TrainError: a setting does not have the form `name=first,second`, or is given twice.
    """
    axes = []
    for setting in settings:
        name, equals, values = setting.partition("=")
        name = name.strip()
        if not equals or not name:
            raise TrainError(f"a setting must be NAME=VALUE,VALUE..., not {setting!r}", wrong_use=True)
        choices = [value.strip() for value in split(values)]
        if not all(choices) or len(set(choices)) < len(choices):
            message = f"the setting {setting} has an empty or repeated value"
            raise TrainError(f"{message}: give each value once, separated by commas", wrong_use=True)
        axes.append((name, choices))
    names = [name for name, _ in axes]
    if len(set(names)) < len(names):
        twice = next(n for n in names if names.count(n) > 1)
        message = f"{twice} is set twice"
        raise TrainError(f"{message}: give all its values in one setting, as in {twice}=1,2", wrong_use=True)
    return list(_points(axes, seeds))


def _points(axes: Sequence[tuple[str, list[str]]], seeds: Sequence[int | None]) -> Iterator[Point]:
    for values in product(*(choices for _, choices in axes)):
        settings = [f"{name}={value}" for (name, _), value in zip(axes, values, strict=True)]
        varying = [s for s, (_, choices) in zip(settings, axes, strict=True) if len(choices) > 1]
        for seed in seeds:
            yield Point(tuple(settings), tuple(varying), seed)


def split(text: str) -> list[str]:
    """Return a text split at the commas that are outside brackets and quotes.

    >>> split('sgd(0.1, momentum=0.9), adam(1e-3)'), split('[3, 5],"a,b"')
    (['sgd(0.1, momentum=0.9)', ' adam(1e-3)'], ['[3, 5]', '"a,b"'])
    """
    parts, expected, quoted = [""], [], False
    for character in text:
        quoted ^= character == '"'
        if not quoted and character in BRACKETS:
            expected.append(BRACKETS[character])
        elif not quoted and expected and character == expected[-1]:
            expected.pop()
        if character == "," and not expected and not quoted:
            parts.append("")
        else:
            parts[-1] += character
    return parts


STATE, OUTPUT = "sweep.json", "output.txt"
SIGNAL_STATUS = {128 + number: number for number in (signal.SIGINT, signal.SIGTERM)}
"""The signals that end runs, keyed by the exit status of a run that they ended."""
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Result:
    """The result of one run: parameters, last and best top-1 error (0 to 1), and seconds; or an error."""

    point: Point
    params: int = 0
    final: float = 0.0
    best: float = 0.0
    seconds: float = 0.0
    error: str = ""


@dataclass(frozen=True)
class Row:
    """The results of one combination of settings (one per seed) and the number of failed runs."""

    settings: tuple[str, ...]
    label: str
    results: tuple[Result, ...]
    failed: int


class SweepInterrupted(Exception):
    """The signal `signal` ended a sweep; repeating the command continues it."""

    def __init__(self, folder: Path, signal: int) -> None:
        super().__init__(f"interrupted: run the same command again to continue the sweep in {folder}")
        self.signal = signal


def run_sweep(
    spec: str,
    points: Sequence[Point],
    options: Sequence[str],
    out: Path,
    check: Callable[[Point], Report],
) -> list[Row]:
    """Train every point of a sweep with `netspec train` and return a row for each combination of settings.

    `options` are further arguments of the command, and `check` returns the report of a point's spec. Finished
    runs are not repeated, and interrupted runs are resumed. If a run fails, the sweep continues.

    Raises:
        TrainError: a folder belongs to a run with other options or another spec, or cannot be written.
        SweepInterrupted: Ctrl-C or SIGTERM ended the sweep; the current run has saved a checkpoint.
    """
    results: dict[tuple[str, ...], list[Result]] = {}
    for number, point in enumerate(points, 1):
        folder = out / point.folder
        command = _arguments(spec, point, options)
        state = {"arguments": command, "spec": _hash(check(point))}
        name = f"{number}/{len(points)} {point.folder}"
        previous = _read_state(folder, state)
        if previous.get("finished"):
            result = _read_result(point, folder, previous)
            logger.info("%s: %s", name, result.error or "already finished")
        else:
            logger.info("%s: training", name)
            result = _train(point, folder, command, state, out)
            logger.info("%s: %s", name, result.error or f"top-1 error {result.final:.2%}")
        results.setdefault(point.settings, []).append(result)
    return [combine(own) for own in results.values()]


def combine(results: Sequence[Result]) -> Row:
    """Return the results of one combination of settings as a row."""
    finished = tuple(r for r in results if not r.error)
    point = results[0].point
    return Row(point.settings, point.label, finished, len(results) - len(finished))


def _arguments(spec: str, point: Point, options: Sequence[str]) -> list[str]:
    """Return the arguments of `netspec train` for a point, without the folder."""
    seed = [] if point.seed is None else ["--seed", str(point.seed)]
    return [spec, *(word for setting in point.settings for word in ("--set", setting)), *seed, *options]


def _hash(report: Report) -> str:
    """Return a hash of the texts of a spec and the files it uses."""
    texts = [source.text for source in (report.source, *report.used)]
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()


def _read_state(folder: Path, state: dict[str, Any]) -> dict[str, Any]:
    """Return the recorded state of a run; empty if the run is new.

    Raises:
        TrainError: the folder does not belong to a sweep, or was trained with other options or another spec.
    """
    if not folder.exists():
        return {}
    try:
        previous = json.loads((folder / STATE).read_text("utf-8"))
    except (OSError, ValueError):
        previous = None
    if not isinstance(previous, dict):
        raise TrainError(f"{folder} does not belong to a sweep: choose another `out`, or remove it")
    if previous.get("arguments") != state["arguments"]:
        options = " ".join(map(str, previous.get("arguments") or ["none"]))
        raise TrainError(f"{folder} was trained with other options ({options}): choose another `out`")
    if previous.get("spec") != state["spec"]:
        raise TrainError(f"the spec has changed since {folder} was trained: choose another `out`")
    return previous


def _train(point: Point, folder: Path, arguments: Sequence[str], state: dict[str, Any], out: Path) -> Result:
    """Train or resume a run in a separate process, and record that it is finished."""
    command = [sys.executable, "-m", "netspec", "train", *arguments, "--out", str(folder)]
    if (folder / CHECKPOINT).exists():
        command = [sys.executable, "-m", "netspec", "train", "--resume", str(folder)]
    with write_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    save_json(folder / STATE, state | {"finished": False})
    with write_errors(folder / OUTPUT), (folder / OUTPUT).open("ab") as file:
        status = _wait(subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT), out)
    if status:
        return Result(point, error=f"failed with status {status}: {_last_error(folder / OUTPUT)}")
    state |= {"finished": True, "seconds": sum(row.get("seconds", 0.0) for row in read_log(folder))}
    result = _read_result(point, folder, state)
    if not result.error:
        save_json(folder / STATE, state)
    return result


def _wait(process: subprocess.Popen[bytes], out: Path) -> int:
    """Wait for a run and return its exit status; after a signal, forward it and raise SweepInterrupted."""
    received: list[int] = []

    def pass_on(number: int) -> None:
        received.append(number)
        if number == signal.SIGTERM:  # on Ctrl-C, the terminal signals the run too
            process.terminate()

    with stop_signals(pass_on):
        status = process.wait()
    if received or status in SIGNAL_STATUS:
        raise SweepInterrupted(out, received[0] if received else SIGNAL_STATUS[status])
    return status


def _last_error(path: Path) -> str:
    """Return the last error in the output of a run, or its last line."""
    lines = [line for line in path.read_text("utf-8", errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("error", "Error"))]
    return ([*lines[-1:], *errors] or ["no output"])[-1]


def _read_result(point: Point, folder: Path, state: dict[str, Any]) -> Result:
    """Return the result of a finished run, read from its files."""
    try:
        errors = [float(flatten(row)["val_top1_error"]) for row in read_log(folder)]
        path = folder / CHECKPOINT
        params = restore(read_checkpoint(path).about, path).totals.params
        return Result(point, params, errors[-1], min(errors), float(state["seconds"]))
    except (TrainError, KeyError, IndexError, TypeError, ValueError) as error:
        reason = error if isinstance(error, TrainError) else f"the log in {folder} is incomplete"
        return Result(point, error=f"{reason}: remove {folder} to train it again")
