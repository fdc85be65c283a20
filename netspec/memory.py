"""Estimating the memory for training from a network's graph and recipe."""

from __future__ import annotations

from dataclasses import dataclass

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
        """The conditions of the estimate: its batch size, its optimizer and the parts that it includes."""
        parts = "weights, gradients, optimizer state and stored activations, without workspace"
        return f"batch {self.batch} and {self.rule}: {parts}"


def recipe_of(net: Net) -> Recipe:
    """Return the network's recipe, with defaults for entries missing from its spec."""
    return net.training or read({name: setting.value for name, setting in net.recipe.items()})


def estimate(net: Net, batch: int | None = None) -> Memory:
    """Estimate the training memory in float32 for a batch size, by default the recipe's.

    In-place activations, views and identities need no memory. Averaged weights (`ema`) are a second copy,
    and gradient accumulation stores only the activations of one part of the batch.
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
