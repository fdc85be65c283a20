"""Compares a converted network with the original module."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from netspec.convert.conversion import Conversion, mode
from netspec.convert.inputs import as_call, perturbed, random_batch
from netspec.errors import ConvertError


def attention_flops(query: Any, key: Any, value: Any, *rest: Any, **options: Any) -> int:
    """Return the FLOPs of the CPU's attention operator, which PyTorch's counter does not know."""
    return int(sdpa_flop_count(query, key, value))


ATTENTION = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: attention_flops}
BATCH = 2
"""The size of the batch, unless a program or model fixes it."""
TOLERANCE = 1e-4
"""The largest difference of outputs that is attributed to rounding, relative to the largest output."""


@dataclass(frozen=True)
class Proof:
    """The result of a comparison.

    It holds the parameters and MACs of the converted network and of the module, the state_dict keys that only
    one of them has, and the largest difference of the outputs.
    """

    params: tuple[int, int]
    macs: tuple[int, int]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    keys: int
    difference: float
    relative: float
    batch: int = BATCH

    @property
    def holds(self) -> bool:
        """Return True if parameters and keys are equal, and outputs are equal within TOLERANCE."""
        same = self.params[0] == self.params[1] and not self.missing and not self.unexpected
        return same and self.relative <= TOLERANCE

    def lines(self) -> Iterator[str]:
        """Yield the results of the comparison, one per line."""
        ours, theirs = self.params
        yield f"parameters    {ours:,}" + ("" if ours == theirs else f", but the module has {theirs:,}")
        ours, theirs = self.macs
        same = (
            "as counted by torch.utils.flop_counter" if ours == theirs else f"flop_counter counts {theirs:,}"
        )
        yield f"MACs          {ours:,}, {same}"
        yield f"state_dict    {self.keys} keys" + (
            "" if not self.missing and not self.unexpected else self.keys_text()
        )
        yield f"outputs       largest difference {self.difference:.3g} on a random batch of {self.batch}"

    def keys_text(self) -> str:
        """Return the keys that only the spec or only the module has, in words."""
        parts = [
            f"{len(names)} only in the {where}, such as {names[0]}"
            for names, where in ((self.missing, "spec"), (self.unexpected, "module"))
            if names
        ]
        return "; " + "; ".join(parts)


def prove(conversion: Conversion) -> Proof:
    """Build the converted network with the module's weights, and compare both on a random batch.

    Tensors whose elements are all equal, such as a scale initialized to zero, are perturbed for the
    comparison: a zero scale would hide errors in earlier layers.

    Raises:
        ConvertError: the weights do not fit the converted network.
    """
    original = conversion.module
    made = conversion.network.module()
    own = {name: x.clone() for name, x in original.state_dict().items()}
    fill(original, perturbed(own))
    try:
        return compared(conversion, made)
    finally:
        fill(original, own)


def fill(module: nn.Module, values: Mapping[str, Tensor]) -> None:
    """Copy values into the tensors of a module."""
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            tensor.copy_(values[name])


def compared(conversion: Conversion, made: nn.Module) -> Proof:
    """Compare a module with the converted network, with the same weights and on the same random batch."""
    original = conversion.module
    try:
        found = made.load_state_dict(conversion.weights(), strict=False)
    except RuntimeError as error:
        raise ConvertError(f"the weights do not fit the converted network: {error}") from None
    batch = random_batch(conversion.network.net, conversion.batch)
    given, named = as_call(dict(zip(conversion.names, batch, strict=True)))
    made.eval()
    with plain_attention(), frozen(original), mode(original, training=False), torch.no_grad():
        with FlopCounterMode(display=False, custom_mapping=ATTENTION) as counter:
            theirs = list(tensors(original(*given, **named)))
        ours = list(tensors(made(*batch)))
    if [x.numel() for x in ours] != [x.numel() for x in theirs]:
        shapes = [", ".join(str(tuple(x.shape)) for x in outputs) for outputs in (theirs, ours)]
        raise ConvertError(
            f"for a batch of {conversion.batch}, the module returns outputs of shape {shapes[0]}, but the"
            f" converted network returns {shapes[1]}: the module probably mixes the images of a batch"
        )
    pairs = [(a.reshape(b.shape), b) for a, b in zip(ours, theirs, strict=True)]
    differences = [float((a - b).abs().max()) for a, b in pairs]
    relative = [d / max(float(b.abs().max()), 1e-12) for d, (_, b) in zip(differences, pairs, strict=True)]
    totals = conversion.network.net.totals
    return Proof(
        (totals.params, count(original) - conversion.unused_parameters),
        (totals.macs, counter.get_total_flops() // 2 // conversion.batch),
        tuple(found.missing_keys),
        tuple(found.unexpected_keys),
        len(original.state_dict()),
        max(differences),
        max(relative),
        conversion.batch,
    )


@contextmanager
def plain_attention() -> Iterator[None]:
    """Disable nn.MultiheadAttention's fast path: torch's FLOP counter does not know its operator."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Freeze all parameters inside this context, so that the FLOP counter tracks no gradients."""
    trained = [p for p in module.parameters() if p.requires_grad]
    for parameter in trained:
        parameter.requires_grad = False
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad = True


def count(module: nn.Module) -> int:
    """Return the number of elements of a module's parameters; a shared parameter counts once."""
    return sum(p.numel() for p in module.parameters())


def tensors(output: Any) -> Iterator[Tensor]:
    """Yield the tensors in nested outputs."""
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, dict):
        for value in output.values():
            yield from tensors(value)
    elif isinstance(output, list | tuple):
        for value in output:
            yield from tensors(value)
