"""The device that runs a network, and the memory that it takes."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from netspec.errors import TrainError


def choose_device(name: str, local_rank: int = 0) -> torch.device:
    """The device of a name, or with `auto` the fastest there is; raises TrainError."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    if name == "cuda" and local_rank:
        name = f"cuda:{local_rank}"
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        message = f"there is no device {name} here: use --device cpu, or auto"
        raise TrainError(message, wrong_use=True) from error
    return device


def place(module: nn.Module, device: torch.device, *, channels_last: bool | None = None) -> None:
    """Move a module to a device, its kernels with the channels last or not; CPUs like them so best."""
    module.to(device)
    if channels_last is None:
        channels_last = device.type == "cpu"
    if channels_last:
        module.to(memory_format=torch.channels_last)


M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4  # of glibc's mallopt(3)


def keep_memory() -> bool:
    """Tell glibc to keep the memory that tensors free: giving it back after every step costs a fifth.

    Gives whether it was told; other systems keep their own ways.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return all(
        mallopt(*pair) for pair in ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, 2**31 - 1), (M_TOP_PAD, 2**26))
    )


@contextmanager
def memory_explained(batch: int) -> Iterator[None]:
    """Turn running out of memory into a TrainError that says what to change."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        message = f"a batch of {batch} does not fit into the device's memory: try a smaller --batch"
        raise TrainError(message) from error
