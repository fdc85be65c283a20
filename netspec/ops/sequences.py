"""Layers for sequences: embeddings of tokens, and recurrent layers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar

from pydantic import Field

from netspec.ops.arguments import Positive, Share
from netspec.ops.base import Code, Op, Reach, Tensor, code
from netspec.ops.start import Init, Weighted
from netspec.shape import Cost, Indices, Shape, Signal, require


class Embedding(Weighted, keyword="embedding"):
    """A table of learned vectors: each index, such as that of a word, is replaced by its vector."""

    example = "20, dtype=int64; embedding(10000, 64) -> 20x64"

    count: Positive
    """Number of vectors; all indices must be less than this."""
    features: Positive
    """Number of elements of each vector."""
    padding: Annotated[int, Field(ge=0)] | None = None
    """The index used for padding: its vector is zero and is not trained."""
    init: Init | None = None

    kind = "dense"
    takes_raw = True
    takes_indices = True

    def check_arguments(self) -> None:
        fact = f"`padding` must be less than {self.count}, the number of vectors, not {self.padding}"
        require(self.padding is None or self.padding < self.count, fact, "argument-range")

    def infer(self, x: Shape) -> Shape:
        self.check_arguments()
        fact = f"embedding takes indices, but its input is {x.noun}"
        help = f"declare the input with its type, as in `input tokens: {x}, dtype=int64`"
        require(isinstance(x, Indices), fact, help=help)
        return Shape((*x, self.features))

    def tensors(self, x: Shape) -> tuple[Tensor, ...]:
        return (Tensor("weight", (self.count, self.features)),)

    def reach(self, x: Shape) -> tuple[Reach, Reach] | None:
        return (1, 1, 0), (1, 1, 0)

    def torch_module(self, x: Shape) -> Code:
        return code("nn.Embedding", self.count, self.features, padding_idx=(self.padding, None))


class Recurrent(Op):
    """A recurrent layer; the output is the hidden state after each token."""

    hidden: Positive
    """Number of features of the hidden state."""
    layers: Positive = 1
    """Number of layers; each takes the hidden states of the previous layer."""
    bidirectional: bool = False
    """Whether each layer also runs backwards; the states of both directions are concatenated."""
    dropout: Share = 0.0
    """Probability of setting a value between two layers to zero in training."""

    kind = "dense"

    gates: ClassVar[int]
    function: ClassVar[str]

    def infer(self, x: Shape) -> Shape:
        fact = f"{self.keyword} takes tokens x features, but its input is {x.noun}"
        require(
            len(x) == 2 and not isinstance(x, Signal),
            fact,
            help="`permute([1, 0])` turns a signal into tokens",
        )
        return Shape((x.tokens, self.directions * self.hidden))

    @property
    def directions(self) -> int:
        return 2 if self.bidirectional else 1

    def passes(self, x: Shape) -> Iterator[tuple[str, int]]:
        """Yield, per layer and direction, the suffix of tensor names (`l0_reverse`) and the input size."""
        for layer in range(self.layers):
            features = self.directions * self.hidden if layer else x.features
            for end in ("", "_reverse")[: self.directions]:
                yield f"l{layer}{end}", features

    def tensors(self, x: Shape) -> tuple[Tensor, ...]:
        rows = self.gates * self.hidden
        return tuple(
            tensor
            for end, features in self.passes(x)
            for tensor in (
                Tensor(f"weight_ih_{end}", (rows, features)),
                Tensor(f"weight_hh_{end}", (rows, self.hidden)),
                Tensor(f"bias_ih_{end}", (rows,)),
                Tensor(f"bias_hh_{end}", (rows,)),
            )
        )

    def cost(self, x: Shape, *, y: Shape) -> Cost:
        rows = self.gates * self.hidden
        macs = sum(rows * (features + self.hidden) for _, features in self.passes(x))
        passes = self.layers * self.directions
        return Cost(macs=x.tokens * macs, additions=2 * x.tokens * rows * passes)

    def reach(self, x: Shape) -> tuple[Reach, Reach] | None:
        return None

    def torch_module(self, x: Shape) -> Code:
        options = {
            "num_layers": (self.layers, 1),
            "batch_first": (True, False),
            "dropout": (self.dropout, 0.0),
        }
        return code(
            self.function, x.features, self.hidden, **options, bidirectional=(self.bidirectional, False)
        )

    def torch_call(self, module: str, x: Shape) -> str:
        return f"{module}({{}})[0]"


class Lstm(Recurrent, keyword="lstm"):
    """Long short-term memory (Hochreiter and Schmidhuber, 1997): the state after each token."""

    example = "20x64; lstm(128, layers=2) -> 20x128"

    gates, function = 4, "nn.LSTM"


class Gru(Recurrent, keyword="gru"):
    """Gated recurrent units (Cho et al., 2014): the state after each token."""

    example = "20x64; gru(128, bidirectional=true) -> 20x256"

    gates, function = 3, "nn.GRU"
