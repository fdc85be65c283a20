"""Transfers weights between two equivalent networks whose tensors have different names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from netspec.convert.conversion import convert
from netspec.convert.inputs import perturbed
from netspec.convert.onnx import convert_onnx
from netspec.convert.proof import TOLERANCE, tensors
from netspec.convert.target import load_target
from netspec.errors import WeightsError
from netspec.graph import Net, Node
from netspec.network import Network, Weights, load

COMMUTATIVE = ("add", "mul")
"""The layer types whose inputs can be in any order."""
SKIPPED = "num_batches_tracked"


@dataclass(frozen=True)
class Side:
    """One of the two networks that `align` compares.

    `state` holds its weights if it was read from an ONNX file or a PyTorch module, otherwise None.
    """

    name: str
    network: Network
    state: Mapping[str, Tensor] | None = None


@dataclass(frozen=True)
class Slot:
    """A tensor of a network: its name in the state_dict, its shape, and the type of its layer."""

    name: str
    shape: tuple[int, ...]
    op: str


@dataclass(frozen=True)
class Alignment:
    """The state_dict of the second network with the weights of the first, and how their outputs compare."""

    state: Mapping[str, Tensor]
    renamed: int
    difference: float
    relative: float

    @property
    def holds(self) -> bool:
        """Return True if the outputs of both networks are equal within TOLERANCE."""
        return self.relative <= TOLERANCE


def open_side(name: str, shapes: Mapping[str, tuple[int, ...]], arguments: Mapping[str, object]) -> Side:
    """Open a network: a spec, a zoo network, an ONNX file, or a PyTorch target, whose code is run.

    Raises:
        ConvertError: a target or an ONNX model cannot be converted.
        SpecError: the spec has errors or does not exist.
    """
    if name.lower().endswith(".onnx"):
        conversion = convert_onnx(Path(name), shapes)
        return Side(name, conversion.network, conversion.weights())
    if ":" in name:
        module = load_target(name, arguments)
        made = convert(module, list(shapes.values()) or [(3, 224, 224)])
        return Side(name, made.network, made.weights())
    return Side(name, load(name, input=dict(shapes) or None))


def align(first: Side, second: Side, weights: Weights | None) -> Alignment:
    """Transfer the weights of `first` to `second` by their positions in both graphs, and compare the outputs.

    `weights` are the weights of the first network; they can be None if `first.state` has weights. The outputs
    are compared on a random batch of two; tensors whose elements are all equal are perturbed for that.

    Raises:
        WeightsError: a tensor of one network has no counterpart in the other, or there are no weights.
    """
    if weights is None and first.state is None:
        raise WeightsError(f"{first.name} has no weights of its own: name a file or a run with `weights`")
    theirs = source(first, weights)
    own = theirs.state_dict()
    pairs = matched(first, second)
    target = second.network.module()
    base = dict(target.state_dict())
    base.update({k: v for k, v in (second.state or {}).items() if k in base})

    def given(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {**base, **{b.name: weights[a.name].reshape(b.shape).clone() for a, b in pairs}}

    state = given(own)
    tried = perturbed(own)
    theirs.load_state_dict(tried)
    target.load_state_dict(given(tried))
    difference, relative = compared(theirs, target, first.network, second.network)
    return Alignment(state, sum(a.name != b.name for a, b in pairs), difference, relative)


def source(side: Side, weights: Weights | None) -> nn.Module:
    """Return the module of a network with its weights."""
    if weights is not None:
        return side.network.module(weights=weights)
    module = side.network.module()
    module.load_state_dict(dict(side.state or {}))
    return module


def matched(first: Side, second: Side) -> list[tuple[Slot, Slot]]:
    """Return the tensors of both networks in pairs.

    Raises:
        WeightsError: a tensor has no counterpart.
    """
    ours, others = list(slots(first.network.net)), list(slots(second.network.net))
    pairs = list(zip(ours, others, strict=False))
    for a, b in pairs:
        if prod(a.shape) != prod(b.shape):
            both = f"{a.name} of {first.name} ({sizes(a)}) and {b.name} of {second.name} ({sizes(b)})"
            raise WeightsError(f"{both} are at the same position but differ in size")
    if len(ours) != len(others):
        longer, name = (ours, first.name) if len(ours) > len(others) else (others, second.name)
        more = longer[len(pairs)]
        raise WeightsError(
            f"{first.name} has {len(ours)} tensors and {second.name} has {len(others)}: {more.name} of "
            f"{name} ({sizes(more)}) has no counterpart"
        )
    return pairs


def sizes(slot: Slot) -> str:
    """Return the layer type and shape of a tensor in words."""
    return f"{slot.op}, {'x'.join(map(str, slot.shape)) or 'a scalar'}"


def slots(net: Net) -> Iterator[Slot]:
    """Yield the tensors of a network in an order that does not depend on names or on how the spec is written.

    Layers are in an order of execution; the inputs of sums and products are ordered by their fingerprints.
    Auxiliary heads, which are used only in training, are left out.
    """
    prints: dict[int, str] = {}
    for node in net.nodes:
        inputs = [prints[i] for i in node.inputs]
        if node.op.keyword in COMMUTATIVE:
            inputs.sort()
        prints[node.id] = fingerprint(node, inputs)
    done: set[int] = set()
    owners: set[int] = set()

    def visit(start: int) -> Iterator[Node]:
        waiting = [(start, False)]
        while waiting:
            place, left = waiting.pop()
            node = net.nodes[place]
            if left:
                yield node
                continue
            if place in done:
                continue
            done.add(place)
            waiting.append((place, True))
            inputs = list(node.inputs)
            if node.op.keyword in COMMUTATIVE:
                inputs.sort(key=prints.__getitem__)
            waiting += [(i, False) for i in reversed(inputs)]

    for output in (o for o in net.outputs if not o.training):
        for node in visit(output.node):
            owner = node.id if node.shares is None else node.shares
            if owner in owners:
                continue
            owners.add(owner)
            for tensor in net.nodes[owner].tensors:
                if tensor.name != SKIPPED:
                    name = ".".join(filter(None, (net.nodes[owner].name, tensor.name)))
                    yield Slot(name, tensor.shape, node.op.keyword)


def fingerprint(node: Node, inputs: list[str]) -> str:
    """Return a hash of the number of weights in a layer and in all layers that its inputs depend on.

    Layers with one input and no weights are skipped, since they can be written in several ways.
    """
    if not node.tensors and len(inputs) == 1:
        return inputs[0]
    numbers = sorted(prod(t.shape) for t in node.tensors)
    return sha256(f"{numbers} {inputs or node.shape}".encode()).hexdigest()


def compared(first: nn.Module, second: nn.Module, ours: Network, others: Network) -> tuple[float, float]:
    """Return the largest absolute and relative differences of the outputs on a random batch."""
    generator = torch.Generator().manual_seed(0)
    batch = [torch.rand(2, *node.shape, generator=generator) for node in ours.net.inputs]
    if [n.shape for n in ours.net.inputs] != [n.shape for n in others.net.inputs]:
        shapes = [" and ".join(str(n.shape) for n in net.net.inputs) for net in (ours, others)]
        raise WeightsError(
            f"the inputs are {shapes[0]} and {shapes[1]}: give both the same shapes with `input`"
        )
    with torch.no_grad():
        pairs: list[tuple[Any, Any]] = list(
            zip(tensors(first.eval()(*batch)), tensors(second.eval()(*batch)), strict=False)
        )
    if any(a.shape != b.shape for a, b in pairs):
        raise WeightsError("the outputs of both networks have different shapes")
    difference = max(float((a - b).abs().max()) for a, b in pairs)
    return difference, max(float((a - b).abs().max() / a.abs().max().clamp(min=1e-12)) for a, b in pairs)
