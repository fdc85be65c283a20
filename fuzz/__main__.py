"""`python -m fuzz`: fuzz the targets for some minutes; the exit status is 1 if an input fails."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from fuzz.harness import fuzz
from fuzz.targets import TARGETS


def main() -> int:
    """Parse the arguments, run the targets one after another, and print the failures."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    known = ", ".join(TARGETS)
    parser.add_argument("targets", nargs="*", default=list(TARGETS), metavar="TARGET", help=known)
    parser.add_argument(
        "--minutes", type=float, default=10.0, help="total time, divided equally among the targets"
    )
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**9)
    parser.add_argument(
        "--finds", type=Path, default=Path("fuzz/finds"), help="the folder for failing inputs"
    )
    given = parser.parse_args()
    if unknown := [name for name in given.targets if name not in TARGETS]:
        parser.error(f"unknown target {unknown[0]}: expected one of {known}")
    total = 0
    for name in given.targets:
        until = time.monotonic() + 60 * given.minutes / len(given.targets)
        ran, finds = fuzz(TARGETS[name], given.seed, given.finds, until=until)
        print(f"{name}: {ran:,} inputs from seed {given.seed}, {len(finds)} finds", flush=True)
        for find in finds:
            print(f"  {find.problem.strip().splitlines()[-1][:150]}")
        total += len(finds)
    return 1 if total else 0


if __name__ == "__main__":
    sys.exit(main())
