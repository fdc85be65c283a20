"""`netspec check` as a whole process: time relative to `import torch`, memory, and scaling with network size.

    python benchmarks/check.py

Targets: AlexNet in at most 0.2 of the time of `python -c "import torch"` and under 60 MiB; 10,000 layers, in
a chain or inside 100 nested blocks, in under 5 s and in time linear in the number of layers.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

ALEXNET = str(Path(__file__).parent.parent / "specs" / "alexnet.net")
CHECK = [sys.executable, "-m", "netspec", "check"]


def process(command: list[str]) -> tuple[float, float]:
    """Run a command, and return its wall time in seconds and its peak memory in MiB."""
    started = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {child.returncode}")
    scale = 2**20 if sys.platform == "darwin" else 2**10
    return time.perf_counter() - started, usage.ru_maxrss / scale


def against_torch(rounds: int) -> None:
    """Print the times of AlexNet's check and of importing torch, in alternating runs after a warm-up."""
    torch = [sys.executable, "-c", "import torch"]
    process([*CHECK, ALEXNET])
    process(torch)
    pairs = [(process([*CHECK, ALEXNET]), process(torch)) for _ in range(rounds)]
    checks, memories = zip(*(ours for ours, _ in pairs), strict=True)
    ratios = [ours[0] / theirs[0] for ours, theirs in pairs]
    print(f"check specs/alexnet.net: {median(checks):.3f} s, {max(memories):.1f} MiB (target 60)")
    print(f"import torch: {median(theirs[0] for _, theirs in pairs):.3f} s")
    print(f"ratio: {median(ratios):.3f}, from {min(ratios):.3f} to {max(ratios):.3f} (target 0.2)")


def chain(layers: int) -> str:
    """Return the spec of a chain of convolutions and ReLUs."""
    pairs = (f"conv{i}: conv(16, kernel=3, padding=1); relu{i}: relu" for i in range(layers // 2))
    return "\n".join(["network Chain", "input image: 16x32x32", *pairs, ""])


def nested(layers: int) -> str:
    """Return the spec of a hundred blocks, each calling the next in a loop; the innermost has the layers."""
    inner = f"block B0(n) {{ repeat {layers} {{ conv(n, 3, padding=1) }} }}"
    blocks = (f"block B{i}(n) {{ for k in range(1) {{ B{i - 1}(n) }} }}" for i in range(1, 100))
    return "\n".join(["network Nested", "input image: 16x32x32", inner, *blocks, "B99(16)", ""])


def growth(rounds: int) -> None:
    """Print the times for networks of growing size, and their ratios."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spec.net"
        for name, make in (("layers in a chain", chain), ("layers below 100 blocks nested in loops", nested)):
            for layers in (2_500, 5_000, 10_000):
                path.write_text(make(layers), encoding="utf-8")
                seconds = median(process([*CHECK, str(path)])[0] for _ in range(rounds))
                each = f"{1e3 * seconds / layers:.3f} ms a layer"
                print(f"{layers:,} {name}: {seconds:.2f} s (target 5 s), {each}")


def main() -> None:
    """Run both measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    against_torch(rounds)
    growth(max(1, rounds // 2))


if __name__ == "__main__":
    main()
