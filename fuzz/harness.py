"""Runs one target in a worker process with bounds on time and memory, and keeps what it finds."""

from __future__ import annotations

import contextlib
import hashlib
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
"""The most that one input may take."""
MEMORY = 500 * 2**20
"""The most bytes that one input may add to the process."""
GRACE = 10.0
"""Seconds after which a worker that does not answer is killed."""


@dataclass(frozen=True)
class Target:
    """One kind of input: `make` draws the bytes of an input, `run` gives them to netspec.

    `run` returns normally where netspec accepts or refuses the input properly; anything that it raises is a
    find. `suffix` is that of the file in which a find is kept.
    """

    name: str
    suffix: str
    make: Callable[[random.Random], bytes]
    run: Callable[[bytes], object]


@dataclass(frozen=True)
class Find:
    """An input that broke a bound or raised something unexpected, and how."""

    content: bytes
    problem: str


class TooSlow(BaseException):
    """An input took longer than SECONDS; not an Exception, so that no handler of netspec's catches it."""


def fuzz(
    target: Target, seed: int, finds: Path, *, until: float = math.inf, most: float = math.inf
) -> tuple[int, list[Find]]:
    """Run `most` inputs, or until `time.monotonic()` is `until`; returns how many ran, and what was found."""
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
    """What a worker reports, until it ends; one that hangs or dies is a find itself."""
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
    """Run inputs one after another; a new worker goes on after a find that may have spoilt this one."""
    with contextlib.suppress(OSError), open(os.devnull, "w") as null:  # noqa: PTH123
        os.dup2(null.fileno(), 1)
        os.dup2(null.fileno(), 2)
    signal.signal(signal.SIGALRM, _alarm)
    _limit_memory()
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
    """Run one input in this process; returns what is wrong, or an empty text."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        target.run(content)
    except TooSlow:
        frames = traceback.extract_tb(sys.exc_info()[2])
        places = "\n".join(f"{f.filename}:{f.lineno} {f.name}" for f in frames[-12:])
        return f"slow: over {SECONDS:g} s\n{places}"
    except Exception:
        return traceback.format_exc()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
    return f"memory: {grown / 2**20:.0f} MiB more" if grown > MEMORY else ""


def _alarm(number: int, frame: FrameType | None) -> None:
    raise TooSlow


def _limit_memory() -> None:
    """Let this process have 4 GiB of addresses more than it has, so that a runaway ends in MemoryError."""
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc/self/statm").exists() else 0
    if pages:
        most = pages * resource.getpagesize() + 4 * 2**30
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _keep(target: Target, find: Find, folder: Path) -> None:
    """Write a find to files: the input, and what it did."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = folder / f"{target.name}-{hashlib.sha256(find.content).hexdigest()[:10]}"
    stem.with_suffix(target.suffix).write_bytes(find.content)
    stem.with_suffix(".problem.txt").write_text(find.problem)
