"""Attention inside windows, with a bias for each relative position."""

from __future__ import annotations

import torch
from torch import nn


def relative_index(size: int) -> torch.Tensor:
    """Return, for each pair of positions in a window, the row of the bias table for their offset."""
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    rows, columns = rows.flatten(), columns.flatten()
    down = rows[:, None] - rows[None, :] + size - 1
    right = columns[:, None] - columns[None, :] + size - 1
    return down * (2 * size - 1) + right


@torch.fx.wrap
def relative_bias(table: torch.Tensor, index: torch.Tensor, places: int) -> torch.Tensor:
    """Return the bias of each pair of positions in a window: 1 x heads x positions x positions."""
    chosen = table[index.view(-1)].view(places, places, -1)
    return chosen.permute(2, 0, 1).contiguous().unsqueeze(0)


def cut_windows(x: torch.Tensor, size: int) -> torch.Tensor:
    """Split images N x H x W x C into windows of size x size: N * windows x size * size x C."""
    batch, height, width, features = x.shape
    x = x.view(batch, height // size, size, width // size, size, features)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(-1, size * size, features)


def regions(size: int, window: int, shift: int) -> torch.Tensor:
    """Return the region of each position on a shifted axis; the shift keeps a region contiguous."""
    region = torch.zeros(size)
    if shift > 0:
        region[-window:-shift] = 1
        region[-shift:] = 2
    return region


def shift_mask(rows: torch.Tensor, columns: torch.Tensor, window: int) -> torch.Tensor:
    """Return -100 for pairs of positions in a window that are in different regions, otherwise 0."""
    region = cut_windows((3 * rows[:, None] + columns[None, :])[None, :, :, None], window)[:, :, 0]
    apart = region[:, None, :] != region[:, :, None]
    return torch.zeros(apart.shape).masked_fill(apart, -100.0)


@torch.fx.wrap
def window_attention(
    x: torch.Tensor,
    qkv_weight: torch.Tensor,
    qkv_bias: torch.Tensor,
    proj_weight: torch.Tensor,
    proj_bias: torch.Tensor,
    bias: torch.Tensor,
    heads: int,
    window: int,
    shift: int,
    logit_scale: torch.Tensor | None = None,
) -> torch.Tensor:
    """Apply attention in shifted windows to N x H x W x C; with `logit_scale`, use cosine similarity."""
    _, height, width, features = x.shape
    x = nn.functional.pad(x, (0, 0, 0, -width % window, 0, -height % window))
    rows, columns = x.shape[1], x.shape[2]
    down = 0 if window >= rows else shift
    right = 0 if window >= columns else shift
    if down + right > 0:
        x = torch.roll(x, (-down, -right), (1, 2))
    x = cut_windows(x, window)
    count, places, _ = x.shape
    if logit_scale is not None:
        qkv_bias = qkv_bias.clone()
        qkv_bias[features : 2 * features].zero_()
    qkv = nn.functional.linear(x, qkv_weight, qkv_bias)
    q, k, v = qkv.reshape(count, places, 3, heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
    if logit_scale is None:
        scores = (q * q.shape[-1] ** -0.5).matmul(k.transpose(-2, -1))
    else:
        q, k = nn.functional.normalize(q, dim=-1), nn.functional.normalize(k, dim=-1)
        largest = 4.605170185988092  # ln(100)
        scores = q @ k.transpose(-2, -1) * torch.clamp(logit_scale, max=largest).exp()
    scores = scores + bias
    if down + right > 0:
        mask = shift_mask(regions(rows, window, down), regions(columns, window, right), window).to(x)
        scores = scores.view(-1, mask.shape[0], heads, places, places) + mask[None, :, None]
        scores = scores.view(-1, heads, places, places)
    x = scores.softmax(-1).matmul(v).transpose(1, 2).reshape(count, places, features)
    x = nn.functional.linear(x, proj_weight, proj_bias)
    x = x.view(-1, rows // window, columns // window, window, window, features)
    x = x.permute(0, 1, 3, 2, 4, 5).reshape(-1, rows, columns, features)
    if down + right > 0:
        x = torch.roll(x, (down, right), (1, 2))
    return x[:, :height, :width].contiguous()


class WindowAttention(nn.Module):
    """Self-attention inside the windows of N x H x W x C images, after a cyclic shift."""

    relative_position_index: torch.Tensor

    def __init__(self, features: int, heads: int, window: int, shift: int) -> None:
        super().__init__()
        self.heads, self.window, self.shift = heads, window, shift
        self.qkv = nn.Linear(features, 3 * features)
        self.proj = nn.Linear(features, features)
        table = torch.empty((2 * window - 1) ** 2, heads)
        self.relative_position_bias_table = nn.Parameter(nn.init.trunc_normal_(table, std=0.02))
        self.register_buffer("relative_position_index", relative_index(window).flatten())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        table, index = self.relative_position_bias_table, self.relative_position_index
        return window_attention(
            x,
            self.qkv.weight,
            self.qkv.bias,
            self.proj.weight,
            self.proj.bias,
            relative_bias(table, index, self.window * self.window),
            self.heads,
            self.window,
            self.shift,
        )


class CosineWindowAttention(nn.Module):
    """Window attention with cosine similarity and with a bias computed from relative positions."""

    relative_coords_table: torch.Tensor
    relative_position_index: torch.Tensor

    def __init__(self, features: int, heads: int, window: int, shift: int) -> None:
        super().__init__()
        self.heads, self.window, self.shift = heads, window, shift
        self.qkv = nn.Linear(features, 3 * features)
        self.proj = nn.Linear(features, features)
        offsets = torch.arange(1.0 - window, window)
        table = torch.stack(torch.meshgrid(offsets, offsets, indexing="ij"), -1)[None]
        table = table / (window - 1) * 8
        self.register_buffer("relative_coords_table", table.sign() * torch.log2(table.abs() + 1.0) / 3.0)
        self.register_buffer("relative_position_index", relative_index(window).flatten())
        self.logit_scale = nn.Parameter(torch.log(10 * torch.ones(heads, 1, 1)))
        self.cpb_mlp = nn.Sequential(
            nn.Linear(2, 512),
            nn.ReLU(inplace=True),
            nn.Linear(512, heads, bias=False),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        table = self.cpb_mlp(self.relative_coords_table).view(-1, self.heads)
        bias = relative_bias(table, self.relative_position_index, self.window * self.window)
        return window_attention(
            x,
            self.qkv.weight,
            self.qkv.bias,
            self.proj.weight,
            self.proj.bias,
            16 * torch.sigmoid(bias),
            self.heads,
            self.window,
            self.shift,
            self.logit_scale,
        )


class RelativeAttention(nn.Module):
    """Self-attention inside windows, N x windows x size * size x features."""

    relative_position_index: torch.Tensor

    def __init__(self, features: int, heads: int, size: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_qkv = nn.Linear(features, 3 * features)
        self.merge = nn.Linear(features, features)
        table = torch.empty((2 * size - 1) ** 2, heads)
        self.relative_position_bias_table = nn.Parameter(nn.init.trunc_normal_(table, std=0.02))
        self.register_buffer("relative_position_index", relative_index(size))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, groups, places, features = x.shape
        shape = (batch, groups, places, self.heads, features // self.heads)
        q, k, v = self.to_qkv(x).chunk(3, dim=-1)
        q, k, v = (
            q.reshape(shape).transpose(2, 3),
            k.reshape(shape).transpose(2, 3),
            v.reshape(shape).transpose(2, 3),
        )
        bias = relative_bias(self.relative_position_bias_table, self.relative_position_index, places)
        scores = q.matmul((k * features**-0.5).transpose(-2, -1)) + bias
        x = scores.softmax(-1).matmul(v)
        return self.merge(x.transpose(2, 3).reshape(batch, groups, places, features))
