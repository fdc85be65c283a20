"""CIFAR-10 with the recipes of the specs: test accuracy and training time.

    python benchmarks/cifar10.py --root ../shared/data/cifar10

Targets: 80 % within 30 minutes for specs/cifar_alexnet.net; 75 %, the accuracy that Caffe publishes, for
Krizhevsky's quick network with Caffe's recipe. The latter depends on the seed, so the mean over several seeds
is printed too.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from statistics import mean

import torch

from netspec import load
from netspec.datasets.base import Data
from netspec.datasets.registry import open_data
from netspec.memory import recipe_of
from netspec.training.config import RunConfig
from netspec.training.console import console_callback
from netspec.training.engine import fit

TARGETS = {"cifar_alexnet": (80.0, "30 minutes"), "cifar10": (75.0, "no target")}


def main() -> None:
    """Train each network with each seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="the folder of CIFAR-10's files")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="one training for each")
    parser.add_argument("--specs", nargs="+", default=list(TARGETS), choices=TARGETS)
    options = parser.parse_args()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    data = open_data("cifar10", options.root)
    for name in options.specs:
        found = [accuracy_of(name, data, seed) for seed in options.seeds]
        print(f"{name}: mean {mean(found):.2f} %, {min(found):.2f} to {max(found):.2f}", flush=True)


def accuracy_of(name: str, data: Data, seed: int) -> float:
    """Train a network once, print the result, and return its test accuracy in percent."""
    net = load(Path(__file__).parent.parent / "specs" / f"{name}.net")
    recipe = recipe_of(net.net).with_overrides(seed=seed)
    torch.manual_seed(seed)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        config = RunConfig(recipe, Path(folder) / "run")
        macs = net.net.totals.macs
        summary = fit(net.module(), (3, 32, 32), data, config, [console_callback()], macs=macs)
    if summary.interrupted:
        raise SystemExit(128 + summary.interrupted)
    assert summary.final
    accuracy, (target, limit) = 100 * (1 - summary.final.top1_error), TARGETS[name]
    minutes = (time.perf_counter() - started) / 60
    print(f"{name}: {accuracy:.2f} % (target {target} %) in {minutes:.1f} minutes ({limit})", flush=True)
    return accuracy


if __name__ == "__main__":
    main()
