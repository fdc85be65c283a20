"""The shift layer, which moves channels instead of convolving them."""

from __future__ import annotations

from netspec.ops import Code, Op
from netspec.ops.arguments import Positive, require_image
from netspec.ops.base import code
from netspec.shape import Shape, require

SOURCE = '''
import torch
from torch import nn


class Shift(nn.Module):
    """Moves a fifth of the channels in each direction by `distance` pixels; zeros fill the edge."""

    def __init__(self, distance: int = 1) -> None:
        super().__init__()
        self.distance = distance

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        d, fifth = self.distance, x.shape[1] // 5
        left, right, up, down, rest = x.split([fifth] * 4 + [x.shape[1] - 4 * fifth], dim=1)
        moved = [
            nn.functional.pad(left[..., d:], (0, d)),
            nn.functional.pad(right[..., :-d], (d, 0)),
            nn.functional.pad(up[..., d:, :], (0, 0, 0, d)),
            nn.functional.pad(down[..., :-d, :], (0, 0, d, 0)),
        ]
        return torch.cat([*moved, rest], dim=1)
'''


class Shift(Op, keyword="shift"):
    """Move a fifth of the channels left, right, up and down by `distance` pixels (Wu et al., 2018)."""

    distance: Positive = 1

    torch_source = SOURCE

    def infer(self, x: Shape) -> Shape:
        require_image(x, "shift")
        fact = f"shift moves by {self.distance} pixels, but the image is {x.height}x{x.width}"
        require(self.distance < min(x.height, x.width), fact)
        return x

    def torch_module(self, x: Shape) -> Code:
        return code("Shift", distance=(self.distance, 1))
