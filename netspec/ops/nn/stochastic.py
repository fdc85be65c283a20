"""Drops whole branches in training."""

from __future__ import annotations

import torch
from torch import nn


class StochasticDepth(nn.Module):
    """Set a residual branch to zero for random images in training, and scale up the rest."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or self.p == 0.0:
            return x
        keep = 1.0 - self.p
        mask = x.new_empty([x.shape[0]] + [1] * (x.dim() - 1)).bernoulli_(keep)
        return x * (mask.div_(keep) if keep > 0.0 else mask)
