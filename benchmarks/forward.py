"""Time of the forward pass relative to torchvision's own modules: eager, same weights, runs alternate.

    python benchmarks/forward.py [NAME...]

Target: at most 1.02 of torchvision's time, outputs bit-identical.
"""

from __future__ import annotations

import argparse
import time
from statistics import median

import torch
import torchvision
from torch import nn

from netspec import load

NAMES = ["vgg16", "resnet50", "densenet121", "efficientnet_b0", "vit_b_16", "swin_t"]


def seconds(module: nn.Module, images: torch.Tensor) -> float:
    """Return the seconds that one forward pass takes."""
    started = time.perf_counter()
    module(images)
    return time.perf_counter() - started


@torch.no_grad()
def compare(name: str, rounds: int, batch: int) -> None:
    """Print the median and the range of the ratio of times, over pairs of runs of one network."""
    theirs = getattr(torchvision.models, name)().eval()
    net = load(name)
    ours = net.module().eval()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    images = torch.randn(batch, *net.net.inputs[0].shape)
    equal = torch.equal(ours(images), theirs(images))
    ratios = []
    for round_ in range(rounds):
        first, second = (ours, theirs) if round_ % 2 else (theirs, ours)
        times = {id(first): seconds(first, images), id(second): seconds(second, images)}
        ratios.append(times[id(ours)] / times[id(theirs)])
    spread = f"{min(ratios):.3f} to {max(ratios):.3f}"
    print(f"{name}: {median(ratios):.3f} of torchvision's time, {spread} (target 1.02); bit-equal: {equal}")


def main() -> None:
    """Compare each network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="*", default=NAMES)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--batch", type=int, default=2)
    options = parser.parse_args()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, batch {options.batch}")
    for name in options.names:
        compare(name, options.rounds, options.batch)


if __name__ == "__main__":
    main()
