"""Kill runs with SIGKILL at random moments, resume them, and compare weights with an uninterrupted run's.

    python benchmarks/killed.py

Target: 20 of 20 bit-identical. Trains LeNet on scikit-learn's digits, with a checkpoint after almost every
step.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from safetensors.torch import load_file

SPEC = Path(__file__).parent.parent / "specs" / "lenet.net"
TRAIN = [sys.executable, "-m", "netspec", "train"]
LENET = [str(SPEC), "--set", "caffe=true", "--data", "digits", "--device", "cpu", "--save-every", "0.0001"]


def finish(*arguments: object) -> float:
    """Train to the end, and return the seconds that it took."""
    started = time.perf_counter()
    subprocess.run([*TRAIN, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def killed(out: Path, epochs: int, most: float) -> int:
    """Kill a run at a random moment after its first checkpoint, and return the step that was saved."""
    run = subprocess.Popen(
        [*TRAIN, *LENET, "--epochs", str(epochs), "--out", str(out)], stdout=subprocess.DEVNULL
    )
    while not (out / "checkpoint.pt").exists():
        time.sleep(0.001)
    time.sleep(random.uniform(0, most))
    run.kill()
    run.wait()
    step: int = torch.load(out / "checkpoint.pt", weights_only=True)["step"]
    return step


def same(one: Path, other: Path) -> bool:
    """Return whether the last and the best weights of two runs are bit-identical."""
    for name in ("weights.safetensors", "best.safetensors"):
        a, b = (load_file(folder / name) for folder in (one, other))
        if a.keys() != b.keys() or not all(value.equal(b[key]) for key, value in a.items()):
            return False
    return True


def main() -> None:
    """Kill and resume runs, and compare each with an uninterrupted one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    random.seed(options.seed)
    identical = 0
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "whole"
        finish(*LENET, "--epochs", options.epochs, "--out", whole)
        steps = torch.load(whole / "checkpoint.pt", weights_only=True)["step"]
        first = whole / "recipe.net"
        seconds = (whole / "weights.safetensors").stat().st_mtime - first.stat().st_mtime
        for number in range(options.kills):
            out = Path(folder) / str(number)
            step = killed(out, options.epochs, seconds)
            finish("--resume", out)
            identical += same(whole, out)
            verdict = "identical" if same(whole, out) else "DIFFERENT"
            print(f"killed after step {step} of {steps}: {verdict}", flush=True)
    print(f"{identical} of {options.kills} bit-identical (target: all)")


if __name__ == "__main__":
    main()
