"""Modules that are called again, weights with several names, and what a comparison must notice."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from netspec.convert import convert
from netspec.convert.proof import prove
from netspec.errors import ConvertError


def body(*layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 8), *layers)


class Siamese(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = body()

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.body(a) - self.body(b)


class Recurrent(nn.Module):
    """A body that is called three times, the last time behind a factor of zero."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.gamma = body(nn.LayerNorm(8)), nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(self.body(x))
        return y + self.gamma * self.body(torch.tanh(x))


class Heads(nn.Module):
    """One head for several levels of a pyramid."""

    def __init__(self) -> None:
        super().__init__()
        self.levels = nn.ModuleList(nn.Conv2d(3, 4, 3, 2**k, 1) for k in range(3))
        self.head = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 2, 1))

    def forward(self, x: Tensor) -> list[Tensor]:
        return [self.head(level(x)) for level in self.levels]


class Tangled(nn.Module):
    """A body of which a part is called alone."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8))

    def forward(self, x: Tensor) -> Tensor:
        y = self.body[0](x)
        return self.body(y) + self.body[2](y)


class Scaled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear, self.scale = nn.Linear(8, 8), nn.Parameter(torch.ones(8))

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x).relu() * self.scale


class Twice(nn.Module):
    """A group with a raw tensor that is called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.between = Scaled(), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(self.between(self.body(x)))


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(8, 8), nn.Linear(8, 8)
        self.second.weight = self.first.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x).relu())


class Alias(nn.Module):
    """Modules with two names, as in the temporal convolutional network of Bai et al. (2018)."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(8, 8), nn.Linear(8, 8)
        self.net = nn.Sequential(self.first, nn.ReLU(), self.second)

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


class Column(nn.Module):
    """One number for each image."""

    def __init__(self) -> None:
        super().__init__()
        self.critic = nn.Linear(8, 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.critic(x).squeeze(-1))


class Named(nn.Module):
    """A parameter with the name that a constant would have."""

    def __init__(self) -> None:
        super().__init__()
        self.constant_1, self.linear = nn.Parameter(torch.ones(8)), nn.Linear(8, 8)
        self.register_buffer("mask", torch.arange(8.0), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x) * self.mask * self.constant_1


class Auxiliary(nn.Module):
    """A head that is computed always, and returned in training."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.aux, self.main = nn.Linear(8, 8), nn.Linear(8, 4), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        x = self.body(x)
        aux = self.aux(x)
        return (self.main(x), aux) if self.training else self.main(x)


class Scalars(nn.Module):
    """Numbers without axes."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.alpha = nn.Linear(8, 8), nn.Parameter(torch.tensor(0.5))
        self.register_buffer("heat", torch.tensor(2.0))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.alpha * self.linear(x) / self.heat


class Decoder(nn.Module):
    """An autoencoder whose decoder is the transposed encoder."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(self.encoder(x).relu(), self.encoder.weight.t())


class TokensFirst(nn.Module):
    """Attention whose batch is the second axis."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = x.reshape(-1, 2, 4).transpose(0, 1)
        return self.attention(x, x, x)[0].transpose(0, 1).flatten(1)


class Rows(nn.Module):
    """A layer and a batch norm that treat all tokens of the batch alike."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.norm = nn.Linear(4, 5), nn.BatchNorm1d(5)

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.reshape(-1, 2, 4)
        return self.norm(self.linear(tokens.reshape(-1, 4))).view(-1, 2, 5)


WHOLE = [(Siamese(), 2, 1), (Recurrent(), 1, 2), (Twice(), 1, 1)]


@pytest.mark.parametrize(("module", "inputs", "again"), WHOLE, ids=[type(m).__name__ for m, _, _ in WHOLE])
def test_a_module_that_is_called_again_is_one_statement(module, inputs, again):
    conversion = convert(module, [(8,)] * inputs)
    assert conversion.text.count("share(b") == again
    assert prove(conversion).holds


def test_a_head_for_several_levels():
    conversion = convert(Heads(), (3, 16, 16))
    assert conversion.text.count("share(head)") == 2
    assert prove(conversion).holds


OTHERS = [
    Tangled(),
    Tied(),
    Alias(),
    Column(),
    Named(),
    Auxiliary(),
    Scalars(),
    Decoder(),
    TokensFirst(),
    Rows(),
    nn.Sequential(nn.utils.spectral_norm(nn.Linear(8, 4))),
]


@pytest.mark.parametrize("module", OTHERS, ids=[type(m).__name__ for m in OTHERS])
def test_weights_and_names_of_all_kinds(module):
    conversion = convert(module, (8,))
    assert prove(conversion).holds, conversion.text
    ours, x = conversion.network.module(weights=conversion.weights()).eval(), torch.rand(3, 8)
    assert torch.allclose(ours(x).reshape(-1), module.eval()(x).reshape(-1), atol=1e-6)


def test_a_head_that_is_returned_in_training_is_kept():
    assert "output aux when training" in convert(Auxiliary(), (8,)).text


def test_the_comparison_sees_what_a_factor_of_zero_hides():
    module = Recurrent()
    conversion = convert(module, (8,))
    module.body = body(nn.LayerNorm(8))
    module.gamma.data.zero_()
    before = {name: x.clone() for name, x in module.state_dict().items()}
    assert prove(conversion).holds
    wrong = convert(Twin(), (8,))
    object.__setattr__(wrong, "module", Other())
    assert not prove(wrong).holds
    assert all(torch.equal(x, before[name]) for name, x in module.state_dict().items())


class Twin(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear, self.gamma = nn.Linear(8, 8), nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.gamma * self.linear(x)


class Other(Twin):
    """The same weights, and another function behind a factor of zero."""

    def forward(self, x: Tensor) -> Tensor:
        return x + self.gamma * self.linear(x).relu()


class Noisy(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.randn_like(x) if self.training else x * 2


def test_what_only_training_does_is_noted():
    (note,) = convert(Noisy(), (8,)).notes
    assert "Noisy.forward" in note
    assert "depends on self.training" in note


class Guarded(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if x.max() > 1:
            return x * 2
        return x


class Sums(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.cumsum(x, 1)


def test_running_statistics_that_a_spec_cannot_keep_are_noted():
    (note,) = convert(nn.Sequential(nn.BatchNorm1d(8, momentum=None)), (8,)).notes
    assert "momentum=None" in note


class Pair(nn.Module):
    def forward(self, image: Tensor, table: Tensor) -> Tensor:
        return image + table


def test_refusals_show_the_line_of_the_user():
    with pytest.raises(ConvertError, match=r"values of the input.*: `if x.max\(\) > 1:`"):
        convert(Guarded(), (8,))
    with pytest.raises(
        ConvertError, match=r"cumsum \(.*test_again.py, line \d+: `return torch.cumsum\(x, 1\)`"
    ):
        convert(Sums(), (8,))
    with pytest.raises(ConvertError, match="takes image, table, but got 1 input"):
        convert(Pair(), (8,))


REFUSED = [
    (nn.Linear(8, 8).double(), "float64"),
    (nn.Sequential(nn.Linear(8, 8), nn.Softplus(beta=2)), "beta=2"),
    (nn.Sequential(nn.Unflatten(1, (1, 2, 4)), nn.AvgPool2d(2, divisor_override=3)), "divisor_override"),
    ("module", "found a str"),
]


@pytest.mark.parametrize(("module", "message"), REFUSED, ids=[m for _, m in REFUSED])
def test_what_a_spec_cannot_say_is_refused(module, message):
    with pytest.raises(ConvertError, match=message):
        convert(module, (8,))
