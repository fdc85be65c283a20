"""Forward pass of the compiled VGG-16 against torchvision's, eager, same weights, in turns.

    python benchmarks/forward.py

Bar: at most 1.02 of torchvision's time, outputs bit-equal.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from statistics import median

import torch
from torch import nn
from torchvision.models import vgg16

from netspec import load


def seconds(module: nn.Module, images: torch.Tensor) -> float:
    """The time of one forward pass."""
    started = time.perf_counter()
    module(images)
    return time.perf_counter() - started


def main() -> None:
    """Print the ratio pair by pair: its median and range."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--batch", type=int, default=2)
    options = parser.parse_args()
    theirs = vgg16().eval()
    ours = load(Path(__file__).parent.parent / "specs" / "vgg.net", depth=16).module().eval()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    images = torch.randn(options.batch, 3, 224, 224)
    with torch.no_grad():
        print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, batch {options.batch}")
        print(f"bit-equal: {torch.equal(ours(images), theirs(images))}")
        ratios = []
        for round_ in range(options.rounds):
            first, second = (ours, theirs) if round_ % 2 else (theirs, ours)
            times = {id(first): seconds(first, images), id(second): seconds(second, images)}
            ratios.append(times[id(ours)] / times[id(theirs)])
    spread = f"{min(ratios):.3f} to {max(ratios):.3f}"
    print(f"netspec against torchvision: {median(ratios):.3f}, {spread} (bar 1.02)")


if __name__ == "__main__":
    main()
