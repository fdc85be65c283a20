"""Normalizations that torch lacks."""

from __future__ import annotations

import torch
from torch import nn


class LrnWithin(nn.Module):
    """Local response normalization over a square within each channel, as in Caffe."""

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        energy = nn.functional.avg_pool2d(x * x, self.size, 1, self.size // 2)
        return x / (self.k + self.alpha * energy) ** self.beta
