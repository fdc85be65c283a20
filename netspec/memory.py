"""Estimates the memory that training needs and compares it with the available memory."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path

from netspec.errors import TrainError
from netspec.graph import Net
from netspec.recipe import Recipe, read
from netspec.recipe.parts import kind_of


@dataclass(frozen=True)
class Memory:
    """Bytes for weights, gradients, optimizer state, and the activations stored for the backward pass."""

    weights: int
    gradients: int
    optimizer: int
    activations: int
    batch: int
    rule: str

    @property
    def total(self) -> int:
        return self.weights + self.gradients + self.optimizer + self.activations

    @property
    def conditions(self) -> str:
        """The conditions of the estimate: batch size, optimizer, and what is included."""
        parts = "weights, gradients, optimizer state and stored activations, without workspace"
        return f"batch {self.batch} and {self.rule}: {parts}"


def recipe_of(net: Net) -> Recipe:
    """Return the network's recipe, with defaults for entries that its spec lacks."""
    return net.training or read({name: setting.value for name, setting in net.recipe.items()})


def estimate(net: Net, batch: int | None = None) -> Memory:
    """Estimate the memory for training in float32. The default batch size is the recipe's.

    In-place activations, views and identities need no memory. Averaged weights (`ema`) are a second copy of
    the weights. Gradient accumulation stores the activations of only one part of the batch.
    """
    recipe = recipe_of(net)
    size = batch or recipe.batch
    kept = [
        n for n in net.nodes if n.batched and n.op.keyword not in ("flatten", "identity", "relu", "relu6")
    ]
    weights = 4 * net.totals.params
    state = weights * recipe.optimizer.state_per_parameter
    activations = 4 * -(-size // recipe.accumulate) * sum(n.shape.numbers for n in kept)
    copies = 1 if recipe.ema is None else 2
    return Memory(
        copies * (weights + 4 * net.totals.buffers),
        weights,
        state,
        activations,
        size,
        kind_of(type(recipe.optimizer)),
    )


def require_memory(needed: int, what: str, way: str) -> None:
    """Check that `needed` bytes of main memory are available.

    Raises:
        TrainError: they are not; the message says that `what` needs them and suggests the `way` out.
    """
    available = available_memory()
    if available is not None and needed > available:
        amounts = f"needs about {_gigabytes(needed)}, and {_gigabytes(available)} of memory are available"
        raise TrainError(f"{what} {amounts}: {way}")


def training_bytes(net: Net, recipe: Recipe, batch: int) -> int:
    """Return a low estimate of the bytes that training needs; it assumes 16-bit activations."""
    found = estimate(replace(net, training=recipe), batch)
    return found.total - found.activations // 2


def available_memory() -> int | None:
    """Return the bytes that this process can still allocate, or None if the system does not report them.

    This is the smallest of the machine's free memory, the limit of the control group, and `ulimit -v`.
    """
    limits = [_free_memory(), _group_limit(), _address_space()]
    return min((limit for limit in limits if limit is not None), default=None)


def _free_memory() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
    except OSError:
        return None
    sizes = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
    return 1024 * (sizes.get("MemAvailable", 0) + sizes.get("SwapFree", 0)) or None


def _group_limit() -> int | None:
    try:
        text = Path("/sys/fs/cgroup/memory.max").read_text("ascii").strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None


def _address_space() -> int | None:
    if sys.platform == "win32":
        return None
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft == resource.RLIM_INFINITY:
        return None
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    except OSError:
        return soft
    return max(soft - pages * resource.getpagesize(), 0)


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:,.3g} GB" if count < 1e12 else f"{count / 1e9:,.0f} GB"
