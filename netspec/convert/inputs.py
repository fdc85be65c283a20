"""The inputs of a network: their shapes and dtypes, and random batches for comparisons."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

from netspec.errors import ConvertError, SettingError
from netspec.frontends.layout import BATCH
from netspec.graph import Net
from netspec.language.settings import read_shape
from netspec.shape import Indices

Inputs: TypeAlias = "tuple[int, ...] | Tensor | Sequence[tuple[int, ...] | Tensor] | Mapping[Any, Any]"
"""The shape of an input without the batch, such as `(3, 224, 224)`, or an example batch; or several."""

TYPES = {"float32": torch.float32, "int64": torch.int64, "int32": torch.int32}
"""The dtypes of inputs by their names."""


def example_inputs(inputs: Inputs) -> dict[str | int, Tensor]:
    """Return a batch of zeros for each input, by its name or its position.

    Raises:
        ConvertError: a batch has no axes besides the batch, or its dtype is not float32, int64 or int32.
    """
    named: Iterator[tuple[str | int, object]]
    if isinstance(inputs, Mapping):
        named = iter(inputs.items())
    elif isinstance(inputs, Tensor) or all(isinstance(n, int) for n in inputs):
        named = iter([(0, inputs)])
    else:
        named = enumerate(inputs)
    return {name: example(value) for name, value in named}


def example(value: object) -> Tensor:
    """Return a batch of zeros with the given shape, or with the shape and dtype of a given batch."""
    if not isinstance(value, Tensor):
        return torch.zeros(BATCH, *(int(n) for n in value))  # type: ignore[attr-defined]
    if value.dtype not in TYPES.values() or value.dim() < 2:
        raise ConvertError(
            f"an input of {value.dtype} with the shape {tuple(value.shape)} is not supported: give a batch"
            f" with at least two axes and one of the dtypes {', '.join(TYPES)}"
        )
    return torch.zeros(BATCH, *value.shape[1:], dtype=value.dtype)


def read_inputs(texts: Sequence[str]) -> dict[str | int, Tensor]:
    """Return a batch of zeros for each text such as `3x224x224` or `tokens=128:int64`.

    Raises:
        ConvertError: a text is not a shape, or names an unknown dtype.
    """
    examples: dict[str | int, Tensor] = {}
    for place, text in enumerate(texts):
        sizes, _, kind = text.partition(":")
        if kind and kind not in TYPES:
            raise ConvertError(
                f"the dtype of an input is one of {', '.join(TYPES)}, not {kind}", wrong_use=True
            )
        try:
            name, shape = read_shape(sizes)
        except SettingError as error:
            raise ConvertError(str(error), wrong_use=True) from None
        examples[name or place] = torch.zeros(BATCH, *shape, dtype=TYPES[kind or "float32"])
    return examples


def as_call(inputs: Mapping[str | int, Tensor]) -> tuple[tuple[Tensor, ...], dict[str, Tensor]]:
    """Return the positional and the keyword arguments of a call with these inputs."""
    return (
        tuple(x for name, x in inputs.items() if isinstance(name, int)),
        {name: x for name, x in inputs.items() if isinstance(name, str)},
    )


def random_batch(net: Net, count: int, seed: int = 0) -> list[Tensor]:
    """Return random inputs of a network for `count` images: normal numbers, and valid indices into tables."""
    generator = torch.Generator().manual_seed(seed)
    most = min(tables(net), default=2)
    return [
        torch.randint(most, (count, *node.shape), generator=generator)
        if isinstance(node.shape, Indices)
        else torch.randn(count, *node.shape, generator=generator)
        for node in net.inputs
    ]


def tables(net: Net) -> list[int]:
    """Return the lengths of the tables that are indexed by inputs or by values computed from them."""
    indexed = [n for n in net.nodes if n.op.keyword == "index" and net.nodes[n.inputs[1]].batched]
    embedded = [n for n in net.nodes if n.op.keyword == "embedding" and n.batched]
    return [net.nodes[n.inputs[0]].shape[0] for n in indexed] + [n.tensors[0].shape[0] for n in embedded]


def perturbed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return weights in which tensors whose elements are all equal are perturbed.

    A scale of zeros, for example, would hide errors in earlier layers.
    """
    generator = torch.Generator().manual_seed(1)
    changed = dict(state)
    for name, value in state.items():
        if value.is_floating_point() and value.numel() and (value == value.flatten()[0]).all():
            changed[name] = value + 0.1 * torch.rand(value.shape, generator=generator)
    return changed
