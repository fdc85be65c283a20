"""Attention inside windows, with a bias for each relative position."""

from __future__ import annotations

import torch
from torch import nn


def relative_index(size: int) -> torch.Tensor:
    """Return the index of each pair's relative position in a table of (2 * size - 1) ** 2 rows."""
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    rows, columns = rows.flatten(), columns.flatten()
    down = rows[:, None] - rows[None, :] + size - 1
    right = columns[:, None] - columns[None, :] + size - 1
    return down * (2 * size - 1) + right


def regions(size: int, window: int, shift: int) -> torch.Tensor:
    """Number the parts of a shifted axis; only positions in the same part were neighbours before."""
    region = torch.zeros(size)
    if shift:
        region[-window:-shift], region[-shift:] = 1, 2
    return region


class WindowAttention(nn.Module):
    """Self-attention inside the windows of N x H x W x C images, after a cyclic shift."""

    relative_position_index: torch.Tensor

    def __init__(self, features: int, heads: int, window: int, shift: int) -> None:
        super().__init__()
        self.heads, self.window, self.shift = heads, window, shift
        self.qkv = nn.Linear(features, 3 * features)
        self.proj = nn.Linear(features, features)
        self.make_bias()

    def make_bias(self) -> None:
        table = torch.empty((2 * self.window - 1) ** 2, self.heads)
        self.relative_position_bias_table = nn.Parameter(nn.init.trunc_normal_(table, std=0.02))
        self.register_buffer("relative_position_index", relative_index(self.window).flatten())

    def bias_table(self) -> torch.Tensor:
        return self.relative_position_bias_table

    def bias(self) -> torch.Tensor:
        places = self.window**2
        chosen = self.bias_table()[self.relative_position_index].view(places, places, -1)
        return chosen.permute(2, 0, 1).contiguous().unsqueeze(0)

    def project(self, x: torch.Tensor) -> torch.Tensor:
        return self.qkv(x)

    def scores(self, q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
        return (q * q.shape[-1] ** -0.5).matmul(k.transpose(-2, -1))

    def cut(self, x: torch.Tensor) -> torch.Tensor:
        size, (batch, height, width, features) = self.window, x.shape
        x = x.view(batch, height // size, size, width // size, size, features)
        return x.permute(0, 1, 3, 2, 4, 5).reshape(-1, size * size, features)

    def join(self, x: torch.Tensor, height: int, width: int) -> torch.Tensor:
        size, features = self.window, x.shape[-1]
        x = x.view(-1, height // size, width // size, size, size, features)
        return x.permute(0, 1, 3, 2, 4, 5).reshape(-1, height, width, features)

    def mask(self, x: torch.Tensor, shifts: list[int]) -> torch.Tensor:
        """Return -100 for pairs of positions that were not neighbours before the shift, else 0."""
        down, right = (regions(n, self.window, s) for n, s in zip(x.shape[1:3], shifts, strict=True))
        region = self.cut((3 * down[:, None] + right[None, :])[None, :, :, None])[:, :, 0]
        apart = region[:, None, :] != region[:, :, None]
        return torch.zeros(apart.shape).masked_fill(apart, -100.0).to(x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        _, height, width, features = x.shape
        x = nn.functional.pad(x, (0, 0, 0, -width % self.window, 0, -height % self.window))
        padded = x.shape[1:3]
        shifts = [0 if self.window >= n else self.shift for n in padded]
        mask = self.mask(x, shifts) if any(shifts) else None
        if mask is not None:
            x = torch.roll(x, [-s for s in shifts], (1, 2))
        x = self.cut(x)
        count, places, _ = x.shape
        q, k, v = self.project(x).reshape(count, places, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        scores = self.scores(q, k) + self.bias()
        if mask is not None:
            scores = scores.view(-1, len(mask), self.heads, places, places) + mask[None, :, None]
            scores = scores.view(-1, self.heads, places, places)
        x = scores.softmax(-1).matmul(v).transpose(1, 2).reshape(count, places, features)
        x = self.join(self.proj(x), *padded)
        if mask is not None:
            x = torch.roll(x, shifts, (1, 2))
        return x[:, :height, :width].contiguous()


class CosineWindowAttention(WindowAttention):
    """Window attention by cosine similarity, with a bias computed from relative positions."""

    relative_coords_table: torch.Tensor

    def __init__(self, features: int, heads: int, window: int, shift: int) -> None:
        super().__init__(features, heads, window, shift)
        self.logit_scale = nn.Parameter(torch.log(10 * torch.ones(heads, 1, 1)))
        self.cpb_mlp = nn.Sequential(
            nn.Linear(2, 512),
            nn.ReLU(inplace=True),
            nn.Linear(512, heads, bias=False),
        )

    def make_bias(self) -> None:
        offsets = torch.arange(1.0 - self.window, self.window)
        table = torch.stack(torch.meshgrid(offsets, offsets, indexing="ij"), -1)[None]
        table = table / (self.window - 1) * 8
        self.register_buffer("relative_coords_table", table.sign() * torch.log2(table.abs() + 1.0) / 3.0)
        self.register_buffer("relative_position_index", relative_index(self.window).flatten())

    def bias_table(self) -> torch.Tensor:
        return self.cpb_mlp(self.relative_coords_table).view(-1, self.heads)

    def bias(self) -> torch.Tensor:
        return 16 * torch.sigmoid(super().bias())

    def project(self, x: torch.Tensor) -> torch.Tensor:
        features = x.shape[-1]
        bias = self.qkv.bias.clone()
        bias[features : 2 * features].zero_()
        return nn.functional.linear(x, self.qkv.weight, bias)

    def scores(self, q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
        q, k = nn.functional.normalize(q, dim=-1), nn.functional.normalize(k, dim=-1)
        largest = 4.605170185988092  # ln(100)
        return q @ k.transpose(-2, -1) * torch.clamp(self.logit_scale, max=largest).exp()


class RelativeAttention(nn.Module):
    """Self-attention inside the windows of N x windows x size * size x features."""

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
        split = self.to_qkv(x).chunk(3, dim=-1)
        q, k, v = (t.reshape(batch, groups, places, self.heads, -1).transpose(2, 3) for t in split)
        index = self.relative_position_index.view(-1)
        bias = self.relative_position_bias_table[index].view(places, places, -1).permute(2, 0, 1)
        scores = q.matmul((k * features**-0.5).transpose(-2, -1)) + bias.contiguous()[None]
        x = scores.softmax(-1).matmul(v)
        return self.merge(x.transpose(2, 3).reshape(batch, groups, places, features))
