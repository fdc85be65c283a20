"""Embeddings and recurrent layers: PyTorch's own are the truth."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

import netspec
from netspec.convert import convert
from netspec.convert.proof import prove
from netspec.diagnostics import SpecError
from netspec.errors import ConvertError


@pytest.mark.parametrize(("op", "kind"), [("lstm", nn.LSTM), ("gru", nn.GRU)])
@pytest.mark.parametrize(("layers", "both"), list(itertools.product((1, 2), (False, True))))
def test_states_are_those_of_pytorch(op, kind, layers, both):
    body = f"{op}(5, layers={layers}, bidirectional={str(both).lower()}) -> 7x{10 if both else 5}"
    network = netspec.load(f"network Net\ninput x: 7x4\n{body}\n")
    theirs = kind(4, 5, layers, batch_first=True, bidirectional=both)
    ours = network.module()
    assert [k.partition(".")[2] for k in ours.state_dict()] == list(theirs.state_dict())
    ours.load_state_dict(dict(zip(ours.state_dict(), theirs.state_dict().values(), strict=True)))
    x = torch.randn(3, 7, 4)
    assert torch.equal(ours(x), theirs(x)[0])
    matrices = sum(p.numel() for p in theirs.parameters() if p.dim() == 2)
    assert network.net.totals.macs == 7 * matrices
    assert network.net.totals.params == sum(p.numel() for p in theirs.parameters())


class Last(nn.Module):
    """A classifier of the last state, as the output or as the hidden state gives it."""

    def __init__(self, kind: type[nn.LSTM] | type[nn.GRU], hidden: bool, **options: object) -> None:
        super().__init__()
        self.rnn = kind(4, 6, **{"batch_first": True, **options})  # type: ignore[arg-type]
        self.fc, self.hidden = nn.Linear(12 if options.get("bidirectional") else 6, 3), hidden

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        states, last = self.rnn(x)
        if self.hidden:
            return self.fc((last[0] if isinstance(last, tuple) else last)[-1])
        return self.fc(states[:, -1])


CASES = [
    (nn.LSTM, False, {}),
    (nn.LSTM, True, {}),
    (nn.GRU, True, {}),
    (nn.GRU, False, {"num_layers": 2, "bidirectional": True, "dropout": 0.5}),
]


@pytest.mark.parametrize(("kind", "hidden", "options"), CASES)
def test_modules_are_converted(kind, hidden, options):
    conversion = convert(Last(kind, hidden, **options), (5, 4))
    assert prove(conversion).holds
    assert f"rnn: {kind.__name__.lower()}(6" in conversion.text


@pytest.mark.parametrize(
    ("kind", "hidden", "options", "message"),
    [
        (nn.LSTM, False, {"batch_first": False}, "batch_first=False"),
        (nn.GRU, True, {"num_layers": 2}, "only the hidden states"),
        (nn.LSTM, False, {"bias": False}, "bias=False"),
    ],
)
def test_modules_without_a_counterpart_are_refused(kind, hidden, options, message):
    with pytest.raises(ConvertError, match=message):
        convert(Last(kind, hidden, **options), (5, 4))


@pytest.mark.parametrize("shape", ["3x8x8", "16"])
def test_other_shapes_are_refused(shape):
    with pytest.raises(SpecError, match="takes tokens x features"):
        netspec.load(f"network Net\ninput x: {shape}\nlstm(4)\n")


@pytest.mark.parametrize("padding", [None, 3])
def test_vectors_are_those_of_pytorch(padding):
    given = "" if padding is None else f", padding={padding}"
    network = netspec.load(f"network Net\ninput x: 7, dtype=int64\nembedding(20, 5{given}) -> 7x5\n")
    theirs, ours = nn.Embedding(20, 5, padding_idx=padding), network.module()
    assert network.net.totals.params == theirs.weight.numel()
    assert network.net.totals.macs == 0
    ours.load_state_dict(dict(zip(ours.state_dict(), theirs.state_dict().values(), strict=True)))
    x = torch.randint(20, (3, 7))
    assert torch.equal(ours(x), theirs(x))
    ours(x).square().sum().backward()
    theirs(x).square().sum().backward()
    assert torch.equal(next(ours.parameters()).grad, theirs.weight.grad)


@pytest.mark.parametrize(
    ("statements", "message"),
    [
        ("input x: 7\nembedding(20, 5)", "embedding takes indices, but its input is 7 features"),
        ("input x: 7, dtype=int64\nlinear(5)", "linear takes numbers, but its input is 7 indices"),
        ("input x: 3x8x8, dtype=int64\nconv(4, 3)", "conv takes numbers, but its input is 3x8x8 indices"),
        ("input x: 7, dtype=int8\nlinear(5)", "dtype"),
        ("input x: 7, type=int64\nlinear(5)", "type"),
        ("input x: 7, 3\nlinear(5)", "expected"),
        ("input x: 7, dtype=int64\nembedding(20, 5, padding=20)", "less than 20, the number of vectors"),
    ],
)
def test_indices_where_numbers_are_expected(statements, message):
    with pytest.raises(SpecError, match=message):
        netspec.load(f"network Net\n{statements}\n")


def test_indices_keep_their_type_when_their_axes_change():
    text = "network Net\ninput x: 6, dtype=int64\nreshape(2x3); select(0); embedding(9, 4) -> 3x4\n"
    module = netspec.load(text).module()
    x = torch.randint(9, (2, 6))
    assert torch.equal(module(x), module.embedding(x[:, :3]))
