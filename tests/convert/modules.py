"""Small modules with the habits of real ones."""

from __future__ import annotations

from collections import OrderedDict
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional


class Residual(nn.Module):
    """A residual block whose shortcut is a convolution where the size changes."""

    def __init__(self, before: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        changes = stride > 1 or before != width
        self.shortcut = nn.Conv2d(before, width, 1, stride, bias=False) if changes else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(y + (self.shortcut(x) if self.shortcut is not None else x))


class Resnet(nn.Module):
    """Residual blocks in a Sequential."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.layers = nn.Sequential(Residual(8, 8), Residual(8, 8), Residual(8, 16, 2), Residual(16, 16))
        self.head = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layers(self.stem(x)).mean((2, 3)))


class Repeated(nn.Module):
    """Layers, a container and a function that are used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.relu = nn.Linear(4, 4), nn.ReLU()
        self.chain = nn.Sequential(nn.Linear(4, 4), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        return self.chain(self.relu(self.linear(self.relu(self.chain(self.linear(x))))))


class Alternating(nn.Module):
    """Two lists whose members are called in turn, raw tensors, and two outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(8, 8, 3, padding=1) for _ in range(3))
        self.norms = nn.ModuleList(nn.BatchNorm2d(8) for _ in range(3))
        self.gain = nn.Parameter(torch.randn(8, 1, 1))
        self.position = nn.Parameter(torch.randn(1, 8, 4, 4))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = x + self.position
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = torch.relu(norm(conv(x))) * self.gain
        return x, x.mean(1)


class Attention(nn.Module):
    """Attention as timm writes it: the batch is the second axis for a while."""

    def __init__(self, size: int, heads: int) -> None:
        super().__init__()
        self.heads, self.scale = heads, (size // heads) ** -0.5
        self.qkv, self.proj = nn.Linear(size, 3 * size), nn.Linear(size, size)

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, size = x.shape
        qkv = self.qkv(x).reshape(batch, tokens, 3, self.heads, size // self.heads).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)
        weights = ((q * self.scale) @ k.transpose(-2, -1)).softmax(-1)
        return self.proj((weights @ v).transpose(1, 2).reshape(batch, tokens, size))


class Windows(nn.Module):
    """Attention inside windows, which are images of a larger batch for a while."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = Attention(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        x = x.view(batch, channels, height // 4, 4, width // 4, 4).permute(0, 2, 4, 3, 5, 1)
        x = self.inner(x.reshape(-1, 16, channels))
        x = x.view(batch, height // 4, width // 4, 4, 4, channels).permute(0, 5, 1, 3, 2, 4)
        return x.reshape(batch, channels, height, width)


class TokensFirst(nn.Module):
    """A transformer of tokens x batch x features."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.linear = nn.LayerNorm(6), nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        x = x.transpose(0, 1)
        x = x + self.linear(self.norm(x))
        return x.transpose(0, 1).mean(1)


class Positions(nn.Module):
    """Tensors that are computed without the input: sines, a table that is indexed, a mask."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(7, 2))
        steps = torch.arange(4)
        self.register_buffer("index", steps[:, None] - steps[None] + 3, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        angle = torch.arange(4, dtype=x.dtype)[:, None] / torch.tensor([1.0, 10.0, 100.0, 1000.0])
        bias = self.table[self.index.view(-1)].view(4, 4, 2).permute(2, 0, 1)
        return (x * angle.sin() + bias.unsqueeze(0)).softmax(-1)


class Standardized(nn.Conv2d):
    """A convolution whose weight is standardized."""

    def forward(self, x: Tensor) -> Tensor:
        weight = functional.batch_norm(
            self.weight.reshape(1, self.out_channels, -1), None, None, training=True, momentum=0.0, eps=1e-6
        ).reshape_as(self.weight)
        return functional.conv2d(x, weight, self.bias, self.stride, self.padding)


class Heads(nn.Module):
    """A second head that only training uses."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.main, self.aux = nn.Linear(6, 8), nn.Linear(8, 3), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        x = self.body(x).relu()
        return (self.main(x), self.aux(x)) if self.training else self.main(x)


class Pyramid(nn.Module):
    """Features of several levels, joined from the smallest to the largest."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList(nn.Conv2d(4, 4, 3, 2, 1) for _ in range(3))
        self.lateral = nn.ModuleList(nn.Conv2d(4, 4, 1) for _ in range(3))
        self.smooth = nn.ModuleList(nn.Conv2d(4, 4, 3, padding=1) for _ in range(3))

    def forward(self, x: Tensor) -> list[Tensor]:
        levels = []
        for down in self.down:
            x = down(x)
            levels.append(x)
        last = self.lateral[2](levels[2])
        found = [self.smooth[2](last)]
        for k in (1, 0):
            last = self.lateral[k](levels[k]) + functional.interpolate(last, scale_factor=2.0)
            found.append(self.smooth[k](last))
        return found


class Hidden(nn.Module):
    """A layer whose name a module further inside has too."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)
        self.block = nn.ModuleDict({"conv": nn.Conv2d(3, 3, 1), "relu": nn.ReLU()})

    def forward(self, x: Tensor) -> Tensor:
        first = self.conv(x)
        return self.block["relu"](self.block["conv"](first)) + first


class Choice(nn.Module):
    """A network whose path depends on its input."""

    def forward(self, x: Tensor) -> Tensor:
        if x.sum() > 0:
            return x * 2
        return x


class Spectrum(nn.Module):
    """A network with an operator that netspec does not have."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.fft.fft(x).real


def make(width: int = 4) -> nn.Module:
    """A function that makes a module."""
    return nn.Sequential(nn.Conv2d(3, width, 3), nn.ReLU())


READY = make(2)
NUMBER = 3


class Tables(nn.Module):
    """Constants that pass through layers, in two modules of one class, and a mask with a first axis of 1."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = Table(3), Table(5)
        self.mask = nn.Parameter(torch.randn(1, 2, 4, 4))

    def forward(self, x: Tensor) -> Tensor:
        return (self.first(x) + self.second(x) + self.mask.sigmoid()).softmax(-1)


class Table(nn.Module):
    """A bias that a small network computes from positions, as in Swin Transformer V2."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(1, width), nn.Linear(width, 2)
        self.register_buffer("positions", torch.arange(-3.0, 4.0)[:, None] * width, persistent=False)
        index = torch.arange(4)[:, None] - torch.arange(4) + 3
        self.register_buffer("index", index.reshape(-1))

    def forward(self, x: Tensor) -> Tensor:
        bias = self.fc2(self.fc1(self.positions).relu())[self.index].reshape(4, 4, 2)
        return x + bias.permute(2, 0, 1).unsqueeze(0)


class Defaulted(nn.Module):
    """A class with an attribute called in_channels that does not describe its input."""

    def __init__(self, in_channels: int, out_channels: int, shortcut: bool) -> None:
        super().__init__()
        self.in_channels, self.shortcut = in_channels, shortcut
        self.conv = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        if self.shortcut:
            return torch.cat((y[:, : self.in_channels] + x, y[:, self.in_channels :]), 1)
        return y


class Unet(nn.Module):
    """Lists of layers on the way down and up, with shortcuts between them, and instance normalization."""

    def __init__(self) -> None:
        super().__init__()
        sizes = [3, 8, 16]
        self.down = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 3, padding=1), nn.InstanceNorm2d(b, affine=True), nn.ReLU())
            for a, b in pairwise(sizes)
        )
        self.middle = nn.Conv2d(16, 16, 3, padding=1)
        self.up = nn.ModuleList([nn.ConvTranspose2d(16, 16, 2, 2), nn.ConvTranspose2d(8, 8, 2, 2)])
        self.join = nn.ModuleList([nn.Conv2d(32, 8, 3, padding=1), nn.Conv2d(16, 8, 3, padding=1)])
        self.head = nn.Conv2d(8, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        kept = []
        for down in self.down:
            x = down(x)
            kept.append(x)
            x = functional.max_pool2d(x, 2)
        x = self.middle(x)
        for up, join, shortcut in zip(self.up, self.join, kept[::-1], strict=True):
            x = join(torch.cat([up(x), shortcut], 1))
        return self.head(x)


class Keywords(nn.Module):
    """Modules with the names of keywords and ops, and outputs in a dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.input, self.output = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1)
        self.block = nn.Sequential(OrderedDict(relu=nn.ReLU(), add=nn.Conv2d(4, 4, 1)))
        self.default, self.share = nn.BatchNorm2d(4), nn.ModuleList([nn.Conv2d(4, 4, 1)])

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        y = self.input(x)
        return {"a": self.output(self.block(self.default(y))), "b": self.share[0](y)}


class Rotary(nn.Module):
    """An empty prefix of queries, a normalization with a computed weight, and a tiled table."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.randn(6))
        self.table = nn.Parameter(torch.randn(1, 2, 6))
        self.prefix = 0

    def forward(self, x: Tensor) -> Tensor:
        x = functional.rms_norm(x, (6,), 1 + self.scale, 1e-6)
        x = torch.cat([x[:, : self.prefix], x[:, self.prefix :] * 2], 1)
        return x + self.table.repeat(1, 2, 1)


class Biased(nn.Module):
    """A table that is as long and as wide as the input, and is reshaped."""

    def __init__(self, tokens: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(tokens, tokens))
        self.register_buffer("index", torch.arange(tokens * tokens).reshape(tokens, tokens).flip(0))
        self.tokens = tokens

    def forward(self, x: Tensor) -> Tensor:
        return x + self.table.reshape(-1)[self.index]


class Levels(nn.Module):
    """The same class for two lengths of sequences."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = Biased(4), Biased(2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        return self.second(x[:, ::2, ::2])


class block(nn.Module):  # noqa: N801  # a keyword of specs
    """A class with the name of a keyword, used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x).relu() + x


class Masked(nn.Module):
    """Self-attention with a causal mask from a buffer, as in GPT-2."""

    def __init__(self, tokens: int, features: int, heads: int) -> None:
        super().__init__()
        self.qkv, self.heads = nn.Linear(features, 3 * features), heads
        self.register_buffer("seen", torch.tril(torch.ones(tokens, tokens)).view(1, 1, tokens, tokens))

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, features = x.shape
        parts = self.qkv(x).chunk(3, -1)
        q, k, v = (p.view(batch, tokens, self.heads, -1).transpose(1, 2) for p in parts)
        scores = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
        scores = scores.masked_fill(self.seen[:, :, :tokens, :tokens] == 0, float("-inf"))
        return (scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, tokens, features)


class Statistics(nn.Module):
    """Reductions, extremes and functions."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 8, 3), nn.Linear(24, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.mish(self.conv(x))
        largest, _ = torch.max(x, 1, keepdim=True)
        x = torch.maximum(x, torch.sigmoid(largest))
        parts = [x.mean((2, 3)), x.std((2, 3)), x.var((2, 3), unbiased=False)]
        return torch.where(torch.tensor([True, False, True, True]), self.fc(torch.cat(parts, 1)), -1.0)


class WeightNorms(nn.Module):
    """Convolutions of signals and a linear layer with normalized weights."""

    def __init__(self) -> None:
        super().__init__()
        norm = nn.utils.parametrizations.weight_norm
        self.conv, self.plain = norm(nn.Conv1d(4, 8, 3, padding=2)), norm(nn.Conv1d(8, 8, 3, bias=False))
        self.fc = norm(nn.Linear(8, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.plain(self.conv(x)[:, :, :-2].relu())[:, :, -1])


class Language(nn.Module):
    """A language model, whose last layer can share the table of the tokens."""

    def __init__(self, tied: bool) -> None:
        super().__init__()
        self.tokens, self.positions = nn.Embedding(20, 8), nn.Embedding(10, 8)
        self.attention = Masked(6, 8, 2)
        self.head = nn.Linear(8, 20, bias=False)
        if tied:
            self.tokens.weight = self.head.weight

    def forward(self, idx: Tensor) -> Tensor:
        x = self.tokens(idx) + self.positions(torch.arange(idx.shape[1]))
        return self.head(x + self.attention(x))


class Flat(nn.Module):
    """Flattening by the size of the batch."""

    def forward(self, x: Tensor) -> Tensor:
        return x.view(x.shape[0], -1)
