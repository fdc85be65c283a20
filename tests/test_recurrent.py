"""Recurrent layers: PyTorch's own are the truth."""

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
        (nn.LSTM, False, {"bias": False}, "no bias"),
    ],
)
def test_modules_without_a_counterpart_are_refused(kind, hidden, options, message):
    with pytest.raises(ConvertError, match=message):
        convert(Last(kind, hidden, **options), (5, 4))


@pytest.mark.parametrize("shape", ["3x8x8", "16"])
def test_other_shapes_are_refused(shape):
    with pytest.raises(SpecError, match="takes tokens x features"):
        netspec.load(f"network Net\ninput x: {shape}\nlstm(4)\n")
