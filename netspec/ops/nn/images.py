"""Modules that rearrange and rescale images."""

from __future__ import annotations

import torch
from torch import nn


class Permute(nn.Module):
    """Permute the axes; axis 0 is the batch."""

    def __init__(self, *order: int) -> None:
        super().__init__()
        self.order = order

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.permute(self.order)


class LayerNorm2d(nn.LayerNorm):
    """Normalize the channels of each pixel of N x C x H x W."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.permute(0, 2, 3, 1)
        x = nn.functional.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)


class Rescale(nn.Module):
    """Multiply each channel by a constant and add another."""

    def __init__(self, scale: list[float], shift: list[float]) -> None:
        super().__init__()
        self.scale, self.shift = scale, shift

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pairs = zip(self.scale, self.shift, strict=True)
        return torch.cat([x[:, i : i + 1] * a + b for i, (a, b) in enumerate(pairs)], 1)


class Partition(nn.Module):
    """Split images N x C x H x W into windows of size x size: N x windows x size * size x C."""

    def __init__(self, size: int, grid: bool = False) -> None:
        super().__init__()
        self.size, self.grid = size, grid

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, channels, height, width = x.shape
        size = height // self.size if self.grid else self.size
        x = x.reshape(batch, channels, height // size, size, width // size, size)
        x = x.permute(0, 2, 4, 3, 5, 1).reshape(batch, -1, size * size, channels)
        return x.transpose(1, 2) if self.grid else x


class Unpartition(nn.Module):
    """Join windows N x windows x size * size x C into images N x C x height x width."""

    def __init__(self, size: int, height: int, width: int, grid: bool = False) -> None:
        super().__init__()
        self.size, self.height, self.width, self.grid = size, height, width, grid

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        size = self.height // self.size if self.grid else self.size
        x = x.transpose(1, 2) if self.grid else x
        batch, _, _, channels = x.shape
        x = x.reshape(batch, self.height // size, self.width // size, size, size, channels)
        return x.permute(0, 5, 1, 3, 2, 4).reshape(batch, channels, self.height, self.width)


def merge_patches(x: torch.Tensor) -> torch.Tensor:
    """Concatenate the features of 2 x 2 pixels: N x H x W x C to N x H/2 x W/2 x 4C. Odd sizes are padded."""
    x = nn.functional.pad(x, (0, 0, 0, x.shape[2] % 2, 0, x.shape[1] % 2))
    left = [x[:, 0::2, 0::2], x[:, 1::2, 0::2]]
    right = [x[:, 0::2, 1::2], x[:, 1::2, 1::2]]
    return torch.cat(left + right, -1)


def convolve(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None, **options: int
) -> torch.Tensor:
    """Convolve with computed tensors, which may have a leading axis of size 1."""
    weight = weight[0] if weight.dim() > x.dim() else weight
    bias = bias[0] if bias is not None and bias.dim() > 1 else bias
    functions = {3: nn.functional.conv1d, 4: nn.functional.conv2d, 5: nn.functional.conv3d}
    return functions[x.dim()](x, weight, bias, **options)
