"""The machine that trains: which device, and what to say when its memory runs out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from netspec.run.checkpoint import TrainError


def choose_device(name: str) -> torch.device:
    """The device of a name, or with `auto` the fastest there is; raises TrainError."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise TrainError(f"there is no device {name} here: use --device cpu, or auto") from error
    return device


@contextmanager
def memory_explained(batch: int) -> Iterator[None]:
    """Turn running out of memory into a TrainError that says what to change."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        message = f"a batch of {batch} does not fit into the device's memory: try a smaller --batch"
        raise TrainError(message) from error
