"""Speed of training with netspec's defaults, relative to torchvision's models and to bare loops.

    python benchmarks/training.py

Targets: 1.6 (AlexNet) and 2.2 (ResNet-18) times the images/s of torchvision's model in an eager float32 loop
with the same allocator settings; not slower than the best hand-chosen mix of compile, channels_last and
bfloat16; at most 3 % slower than a bare loop with the trainer's settings. Images are one random batch. Runs
alternate.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch
import torchvision
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from netspec import load
from netspec.build import Execution, choose_execution, keep_memory
from netspec.datasets.in_memory import Synthetic
from netspec.recipe import Recipe
from netspec.recipe.optimizers import Sgd
from netspec.training.callbacks import Callback, EpochReport
from netspec.training.config import RunConfig
from netspec.training.engine import fit
from netspec.training.optim import make_optimizer
from netspec.training.state import RunState

SHAPE = (3, 224, 224)
CPU = torch.device("cpu")
SGD = Sgd(lr=0.01, momentum=0.9, weight_decay=1e-4)
BATCHES = {"alexnet": 64, "resnet18": 32}
TARGETS = {"alexnet": 1.6, "resnet18": 2.2}
MIXES = {
    "float32, channels_last": Execution(CPU, "float32", "channels_last"),
    "bfloat16": Execution(CPU, "bfloat16", "contiguous"),
    "bfloat16, channels_last": Execution(CPU, "bfloat16", "channels_last"),
    "bfloat16, channels_last, compiled": Execution(CPU, "bfloat16", "channels_last", compile=True),
}


class Loop:
    """A plain training loop over one constant batch."""

    def __init__(self, module: nn.Module, execution: Execution, batch: int, *, ours: bool) -> None:
        self.execution, self.module = execution, module.train()
        execution.place(module)
        self.trained = torch.compile(module) if execution.compile else module
        make = torch.optim.SGD(module.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
        self.optimizer = make_optimizer(module, SGD) if ours else make
        images = torch.rand(batch, *SHAPE)
        last = execution.memory_format == "channels_last"
        self.images = images.to(memory_format=torch.channels_last) if last else images
        self.labels = torch.randint(1000, (batch,))

    def step(self) -> None:
        """Make one training step."""
        self.optimizer.zero_grad()
        with self.execution.autocast():
            logits: Tensor = self.trained(self.images)
        cross_entropy(logits.float(), self.labels).backward()
        self.optimizer.step()

    def speed(self, steps: int) -> float:
        """Return the images/s over some steps."""
        started = time.perf_counter()
        for _ in range(steps):
            self.step()
        return steps * len(self.labels) / (time.perf_counter() - started)


@dataclass
class Stopwatch(Callback):
    """Records the images/s of every epoch."""

    between: Callable[[], None]
    speeds: list[float]

    def on_epoch_saved(self, state: RunState, report: EpochReport) -> None:
        """Record one epoch, then run the other loops."""
        self.speeds.append(report.images_per_second)
        self.between()


def measure(name: str, batch: int, rounds: int, steps: int, compiled: bool) -> None:
    """Print the medians for one network, and the ratios of the trainer's to those of the other loops."""
    torch.manual_seed(0)
    net = load(name).net
    chosen = choose_execution(Recipe(), CPU, net.totals.macs)
    loops = {"torchvision, eager float32": Loop(peer(name), Execution(CPU), batch, ours=False)}
    for words, execution in MIXES.items():
        if compiled or not execution.compile:
            loops[words] = Loop(peer(name), execution, batch, ours=False)
    loops["bare loop at the trainer's settings"] = Loop(load(name).module(), chosen, batch, ours=True)
    for loop in loops.values():
        loop.speed(2)
    speeds: dict[str, list[float]] = {words: [] for words in loops}

    def others() -> None:
        for words, loop in loops.items():
            speeds[words].append(loop.speed(steps))

    watch = Stopwatch(others, [])
    classes = tuple(map(str, range(1000)))
    data = Synthetic("synthetic", classes, train_images=batch * steps, val_images=batch)
    recipe = Recipe(batch=batch, epochs=rounds + 1, optimizer=SGD)
    with tempfile.TemporaryDirectory() as folder:
        config = RunConfig(recipe, Path(folder) / "run", device="cpu")
        fit(load(name).module(), SHAPE, data, config, [watch], macs=net.totals.macs)
    ours = watch.speeds[1:]  # the first epoch warms up
    print(f"{name}, batches of {batch}: the trainer on {chosen}: {median(ours):.1f} images/s")
    for words, values in speeds.items():
        ratios = [a / b for a, b in zip(ours, values[:-1], strict=True)]
        spread = f"{median(ratios):.2f} times, {min(ratios):.2f} to {max(ratios):.2f}"
        target = f" (target {TARGETS[name]})" if words.startswith("torchvision") else ""
        print(f"  {words}: {median(values[:-1]):.1f} images/s; the trainer {spread}{target}", flush=True)


def peer(name: str) -> nn.Module:
    """Return torchvision's own model."""
    module: nn.Module = getattr(torchvision.models, name)(weights=None)
    return module


def main() -> None:
    """Measure the networks that the options name, both by default."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--compile", action="store_true", help="measure the compiled mix too")
    parser.add_argument("networks", nargs="*", default=list(BATCHES), help="alexnet, resnet18")
    options = parser.parse_args()
    keep_memory()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    for name in options.networks:
        measure(name, BATCHES[name], options.rounds, options.steps, options.compile)


if __name__ == "__main__":
    main()
