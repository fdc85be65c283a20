"""Rearranging and rescaling images."""

from __future__ import annotations

import torch
from torch import nn


class Rescale(nn.Module):
    """Multiply each channel by a number and add another."""

    def __init__(self, scale: list[float], shift: list[float]) -> None:
        super().__init__()
        self.scale, self.shift = scale, shift

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pairs = zip(self.scale, self.shift, strict=True)
        return torch.cat([x[:, i : i + 1] * a + b for i, (a, b) in enumerate(pairs)], 1)


def partition(x: torch.Tensor, size: int) -> torch.Tensor:
    """Cut images N x C x H x W into windows of size x size: N x windows x size * size x C."""
    batch, channels, height, width = x.shape
    x = x.reshape(batch, channels, height // size, size, width // size, size)
    return x.permute(0, 2, 4, 3, 5, 1).reshape(batch, -1, size * size, channels)


def unpartition(x: torch.Tensor, size: int, height: int, width: int) -> torch.Tensor:
    """Put windows N x windows x size * size x C together to images N x C x height x width."""
    batch, _, _, channels = x.shape
    x = x.reshape(batch, height // size, width // size, size, size, channels)
    return x.permute(0, 5, 1, 3, 2, 4).reshape(batch, channels, height, width)


def merge_patches(x: torch.Tensor) -> torch.Tensor:
    """Stack 2 x 2 neighbours, N x H x W x C to N x H / 2 x W / 2 x 4 C; odd sizes are padded."""
    x = nn.functional.pad(x, (0, 0, 0, x.shape[2] % 2, 0, x.shape[1] % 2))
    corners = [x[:, row::2, column::2] for column in (0, 1) for row in (0, 1)]
    return torch.cat(corners, -1)
