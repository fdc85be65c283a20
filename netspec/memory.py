"""What training a network needs in memory, estimated from its graph and recipe."""

from __future__ import annotations

from dataclasses import dataclass

from netspec.graph import Net
from netspec.recipe import Recipe, read


@dataclass(frozen=True)
class Memory:
    """Bytes for weights, gradients, the optimizer's state, and the activations kept for the backward pass."""

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
    def words(self) -> str:
        parts = "weights, gradients, optimizer and kept activations, no workspace"
        return f"batch {self.batch} and {self.rule}: {parts}"


def recipe_of(net: Net) -> Recipe:
    """The network's recipe, with defaults where its spec says nothing."""
    return read({name: setting.value for name, setting in net.recipe.items()})


def estimate(net: Net, batch: int | None = None) -> Memory:
    """Training memory in float32 for a batch, the recipe's own by default.

    Activations that work in place, views, and identities keep no memory of their own; averaged weights are a
    second copy, and a batch worked on in parts keeps the activations of one part.
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
        copies * (weights + 4 * net.totals.buffers), weights, state, activations, size, recipe.optimizer.kind
    )
