"""Attention inside the windows of videos, with a bias for each relative position."""

from __future__ import annotations

import torch
from torch import nn

from netspec.ops.nn.attention import regions, relative_bias


def relative_index_3d(window: tuple[int, ...]) -> torch.Tensor:
    """Return, for each pair of positions in a window, the row of the bias table for their offset."""
    grids = torch.meshgrid(*(torch.arange(n) for n in window), indexing="ij")
    index = torch.zeros(1, 1, dtype=torch.int64)
    for grid, size in zip(grids, window, strict=True):
        place = grid.flatten()
        index = index * (2 * size - 1) + place[:, None] - place[None, :] + size - 1
    return index


def cut_volumes(x: torch.Tensor, window: tuple[int, ...]) -> torch.Tensor:
    """Split videos N x D x H x W x C into windows: N * windows x positions x C."""
    batch, depth, height, width, features = x.shape
    deep, high, wide = window
    x = x.view(batch, depth // deep, deep, height // high, high, width // wide, wide, features)
    return x.permute(0, 1, 3, 5, 2, 4, 6, 7).reshape(-1, deep * high * wide, features)


def join_volumes(x: torch.Tensor, window: tuple[int, ...], sizes: tuple[int, ...]) -> torch.Tensor:
    """Join the windows of `cut_volumes` into videos N x D x H x W x C."""
    deep, high, wide = window
    counts = (sizes[0] // deep, sizes[1] // high, sizes[2] // wide)
    x = x.view(-1, *counts, deep, high, wide, x.shape[-1])
    return x.permute(0, 1, 4, 2, 5, 3, 6, 7).reshape(-1, *sizes, x.shape[-1])


def shift_mask_3d(sizes: tuple[int, ...], window: tuple[int, ...], shift: tuple[int, ...]) -> torch.Tensor:
    """Return -100 for pairs of positions in a window that are in different regions, otherwise 0."""
    deep, high, wide = (regions(n, w, s) for n, w, s in zip(sizes, window, shift, strict=True))
    region = 9 * deep[:, None, None] + 3 * high[:, None] + wide
    region = cut_volumes(region[None, ..., None], window)[:, :, 0]
    apart = region[:, None, :] != region[:, :, None]
    return torch.zeros(apart.shape).masked_fill(apart, -100.0)


class VideoWindowAttention(nn.Module):
    """Self-attention inside the windows of N x D x H x W x C videos, after a cyclic shift."""

    relative_position_index: torch.Tensor

    def __init__(self, features: int, heads: int, window: tuple[int, ...], shift: tuple[int, ...]) -> None:
        super().__init__()
        self.heads, self.window, self.shift = heads, window, shift
        self.qkv = nn.Linear(features, 3 * features)
        self.proj = nn.Linear(features, features)
        deep, high, wide = (2 * n - 1 for n in window)
        table = torch.empty(deep * high * wide, heads)
        self.relative_position_bias_table = nn.Parameter(nn.init.trunc_normal_(table, std=0.02))
        self.register_buffer("relative_position_index", relative_index_3d(window))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        depth, height, width, features = x.shape[1:]
        sizes = (depth, height, width)
        window = tuple(min(w, n) for w, n in zip(self.window, sizes, strict=True))
        shift = tuple(0 if n <= w else s for s, w, n in zip(self.shift, self.window, sizes, strict=True))
        x = nn.functional.pad(x, (0, 0, 0, -width % window[2], 0, -height % window[1], 0, -depth % window[0]))
        padded = tuple(x.shape[1:4])
        if any(shift):
            x = torch.roll(x, tuple(-s for s in shift), (1, 2, 3))
        x = cut_volumes(x, window)
        count, places, _ = x.shape
        q, k, v = self.qkv(x).reshape(count, places, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        index = self.relative_position_index[:places, :places].flatten()
        scores = (q * q.shape[-1] ** -0.5).matmul(k.transpose(-2, -1))
        scores = scores + relative_bias(self.relative_position_bias_table, index, places)
        if any(shift):
            mask = shift_mask_3d(padded, window, shift).to(x)
            scores = scores.view(-1, mask.shape[0], self.heads, places, places) + mask[None, :, None]
            scores = scores.view(-1, self.heads, places, places)
        x = self.proj(scores.softmax(-1).matmul(v).transpose(1, 2).reshape(count, places, features))
        x = join_volumes(x, window, padded)
        if any(shift):
            x = torch.roll(x, shift, (1, 2, 3))
        return x[:, :depth, :height, :width].contiguous()
