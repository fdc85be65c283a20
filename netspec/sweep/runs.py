"""`netspec sweep`: a training for every combination of settings and seeds, and a table of how they ended."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netspec.checker import Report
from netspec.checkpoint.log import flat, read_log
from netspec.checkpoint.spec import entry, restore
from netspec.checkpoint.store import explained, load, save_json
from netspec.errors import TrainError
from netspec.sweep.grid import Point
from netspec.training.interrupt import interrupts

STATE, OUTPUT, CHECKPOINT = "sweep.json", "output.txt", "checkpoint.pt"
ENDED_BY = {128 + number: number for number in (signal.SIGINT, signal.SIGTERM)}
"""The exit statuses of runs that a signal ended."""


@dataclass(frozen=True)
class Result:
    """How one run ended: its parameters, its last and best top-1 error, and its time; or what went wrong."""

    point: Point
    params: int = 0
    final: float = 0.0
    best: float = 0.0
    seconds: float = 0.0
    fault: str = ""


class Interrupted(Exception):
    """A signal ended the sweep, Ctrl-C's or `kill`'s; runs that were finished stay finished."""

    def __init__(self, signal: int) -> None:
        super().__init__(signal)
        self.signal = signal


def run_all(
    spec: str,
    points: Sequence[Point],
    options: Sequence[str],
    out: Path,
    check: Callable[[Point], Report],
    say: Callable[[str], object],
) -> list[Result]:
    """Train every point in a process and a folder of its own; those that were finished before are not run,
    and one that was cut off goes on.

    `options` go to `netspec train` as they are; `say` hears a line about each run. A run that fails does not
    end the others.

    Raises:
        TrainError: a folder holds a run of other options or of another spec, or cannot be written.
        Interrupted: Ctrl-C or SIGTERM; the run under way was saved by it.
    """
    results = []
    for number, point in enumerate(points, 1):
        folder = out / point.folder
        line = _line(spec, point, options)
        state = {"arguments": line, "spec": _fingerprint(check(point))}
        name = f"{number}/{len(points)} {point.folder}"
        before = _state(folder, state)
        if before.get("finished"):
            results.append(_result(point, folder, before))
            say(f"{name}: {results[-1].fault or 'finished before'}")
            continue
        say(f"{name}: training")
        results.append(_train(point, folder, line, state))
        fault = results[-1].fault
        say(f"{name}: {fault}" if fault else f"{name}: top-1 error {results[-1].final:.2%}")
    return results


def _line(spec: str, point: Point, options: Sequence[str]) -> list[str]:
    """What stands behind `netspec train`, but for the folder."""
    seed = [] if point.seed is None else ["--seed", str(point.seed)]
    return [spec, *(word for setting in point.settings for word in ("--set", setting)), *seed, *options]


def _fingerprint(report: Report) -> str:
    """A hash of the texts of a spec and the files that it uses."""
    texts = [source.text for source in (report.source, *report.used)]
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()


def _state(folder: Path, state: dict[str, Any]) -> dict[str, Any]:
    """What an earlier sweep noted of a run, nothing where there was none."""
    if not folder.exists():
        return {}
    try:
        before = json.loads((folder / STATE).read_text("utf-8"))
    except (OSError, ValueError):
        before = None
    if not isinstance(before, dict):
        message = f"{folder} is not of a sweep"
        raise TrainError(f"{message}: name another folder with --out, or remove it")
    if before.get("arguments") != state["arguments"]:
        told = " ".join(map(str, before.get("arguments") or ["none"]))
        raise TrainError(f"{folder} was run with other options ({told}): name another folder with --out")
    if before.get("spec") != state["spec"]:
        raise TrainError(f"{folder} was run with another text of the spec: name another folder with --out")
    return before


def _train(point: Point, folder: Path, line: Sequence[str], state: dict[str, Any]) -> Result:
    """Run `netspec train` in a process of its own, from its checkpoint where it has one, and note its end."""
    command = [sys.executable, "-m", "netspec", "train", *line, "--out", str(folder)]
    if (folder / CHECKPOINT).exists():
        command = [sys.executable, "-m", "netspec", "train", "--resume", str(folder)]
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
    save_json(folder / STATE, state | {"finished": False})
    with explained(folder / OUTPUT), (folder / OUTPUT).open("ab") as file:
        status = _wait(subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT))
    if status:
        return Result(point, fault=f"failed with status {status}: {_last_words(folder / OUTPUT)}")
    state |= {"finished": True, "seconds": sum(row.get("seconds", 0.0) for row in read_log(folder))}
    result = _result(point, folder, state)
    if not result.fault:
        save_json(folder / STATE, state)
    return result


def _wait(process: subprocess.Popen[bytes]) -> int:
    """Wait for a run; a signal reaches it too, it ends with a checkpoint, and Interrupted is raised."""

    def pass_on(number: int) -> None:
        if number == signal.SIGTERM:  # a terminal sends Ctrl-C to the run itself
            process.terminate()

    with interrupts(pass_on) as interrupt:
        status = process.wait()
    if interrupt.requested or status in ENDED_BY:
        raise Interrupted(interrupt.signal or ENDED_BY[status])
    return status


def _last_words(path: Path) -> str:
    """The error that a run ended with, or its last line."""
    lines = [line for line in path.read_text("utf-8", errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("error", "Error"))]
    return ([*lines[-1:], *errors] or ["it said nothing"])[-1]


def _result(point: Point, folder: Path, state: dict[str, Any]) -> Result:
    """Read how a finished run ended out of its files."""
    try:
        errors = [float(flat(row)["val_top1_error"]) for row in read_log(folder)]
        path = folder / CHECKPOINT
        params = restore(entry(load(path), "about", dict, path), path).totals.params
        return Result(point, params, errors[-1], min(errors), float(state["seconds"]))
    except (TrainError, KeyError, IndexError, TypeError, ValueError) as error:
        told = error if isinstance(error, TrainError) else f"{folder} has no whole log"
        return Result(point, fault=f"{told}: remove {folder} to train it again")
