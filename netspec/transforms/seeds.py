"""Random streams that depend only on given numbers, such as a seed, an epoch and an image's index."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


def generator(*parts: int) -> torch.Generator:
    """Return a CPU generator whose stream depends on all numbers, such as a seed and an epoch.

    >>> torch.rand(1, generator=generator(7, 1)) == torch.rand(1, generator=generator(7, 1))
    tensor([True])
    """
    return torch.Generator().manual_seed(stream_seed(*parts))


def stream_seed(*parts: int) -> int:
    """Hash numbers to a seed like splitmix64, so that similar tuples give unrelated streams."""
    mixed = 0
    for part in parts:
        mixed = (mixed + part + 0x9E3779B97F4A7C15) % 2**64
        mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB % 2**64
        mixed ^= mixed >> 31
    return mixed % 2**63


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch's default generator inside this context, and restore its state afterwards."""
    kept = torch.default_generator.get_state()
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        torch.default_generator.set_state(kept)
