"""Runs a target in a worker process with limits on time and memory, and saves failing inputs."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import math
import multiprocessing
import os
import random
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType

SECONDS = 2.0
"""The time limit for one input."""
MEMORY = 500 * 2**20
"""The limit on additional memory for one input, in bytes."""
GRACE = 10.0
"""The seconds after SECONDS at which a hanging worker is killed."""


@dataclass(frozen=True)
class Target:
    """One kind of input: `make` creates a random input, and `run` passes it to netspec.

    `run` returns if netspec accepts the input or rejects it properly; any exception is a failure. Failing
    inputs are saved in files with this `suffix`. The modules `imports` are imported before the first input,
    so that their memory does not count towards it.
    """

    name: str
    suffix: str
    make: Callable[[random.Random], bytes]
    run: Callable[[bytes], object]
    imports: tuple[str, ...] = ()


@dataclass(frozen=True)
class Find:
    """An input that exceeded a limit or raised an unexpected exception, with a description."""

    content: bytes
    problem: str


class TooSlow(BaseException):
    """An input took longer than SECONDS; not an Exception, so that netspec cannot catch it."""


def fuzz(
    target: Target, seed: int, finds: Path, *, until: float = math.inf, most: float = math.inf
) -> tuple[int, list[Find]]:
    """Run at most `most` inputs until the time `until` (monotonic); return their count and the finds."""
    context = multiprocessing.get_context("fork")
    ran, found, start = 0, dict[str, Find](), seed
    while time.monotonic() < until and ran < most:
        ours, theirs = context.Pipe()
        left = (until, most - ran)
        worker = context.Process(target=_work, args=(target, start, theirs, *left), daemon=True)
        worker.start()
        theirs.close()
        for count, find in _messages(ours, worker):
            ran += count
            start += count
            if find and (key := find.problem.splitlines()[-1][:200]) not in found:
                found[key] = find
                _keep(target, find, finds)
        worker.join()
    return ran, list(found.values())


def _messages(ours: Connection, worker: BaseProcess) -> Iterator[tuple[int, Find | None]]:
    """Yield the results of a worker until it ends; a hang or a crash is a find too."""
    content = b""
    while True:
        if not ours.poll(SECONDS + GRACE):
            worker.kill()
            yield 1, Find(content, f"hangs: killed after {SECONDS + GRACE:g} s")
            return
        try:
            message = ours.recv()
        except EOFError:
            worker.join()
            if worker.exitcode:
                yield 1, Find(content, f"crashes: the process ended with {worker.exitcode}")
            return
        if isinstance(message, bytes):
            content = message
        else:
            yield 1, message


def _work(target: Target, seed: int, pipe: Connection, until: float, most: float) -> None:
    """Run inputs in the worker; stop after one exceeds a limit, since the process may then be unusable."""
    with contextlib.suppress(OSError), open(os.devnull, "w") as null:  # noqa: PTH123
        os.dup2(null.fileno(), 1)
        os.dup2(null.fileno(), 2)
    signal.signal(signal.SIGPROF, _alarm)
    _limit_memory()
    for module in target.imports:
        importlib.import_module(module)
    ran = 0
    while time.monotonic() < until and ran < most:
        content = target.make(random.Random(f"{target.name} {seed}"))
        pipe.send(content)
        problem = attempt(target, content)
        pipe.send(Find(content, problem) if problem else None)
        seed, ran = seed + 1, ran + 1
        if problem.startswith(("memory", "slow")):
            return


def attempt(target: Target, content: bytes) -> str:
    """Run one input in this process; return a description of the failure, or an empty string."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        target.run(content)
    except TooSlow:
        frames = traceback.extract_tb(sys.exc_info()[2])
        places = "\n".join(f"{f.filename}:{f.lineno} {f.name}" for f in frames[-12:])
        return f"slow: over {SECONDS:g} s\n{places}"
    except Exception:
        return traceback.format_exc()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
    return f"memory: {grown / 2**20:.0f} MiB more" if grown > MEMORY else ""


def _alarm(number: int, frame: FrameType | None) -> None:
    raise TooSlow


def _limit_memory() -> None:
    """Limit the address space to 4 GiB above its current size, so larger allocations raise MemoryError."""
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc/self/statm").exists() else 0
    if pages:
        most = pages * resource.getpagesize() + 4 * 2**30
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _keep(target: Target, find: Find, folder: Path) -> None:
    """Save a find as two files: the input and its description."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = folder / f"{target.name}-{hashlib.sha256(find.content).hexdigest()[:10]}"
    stem.with_suffix(target.suffix).write_bytes(find.content)
    stem.with_suffix(".problem.txt").write_text(find.problem, "utf-8", errors="backslashreplace")
