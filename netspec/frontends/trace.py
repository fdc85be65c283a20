"""A traced network: the calls in a PyTorch module or an ONNX model, each with the module that it is from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from netspec.shape import Shape


@dataclass(frozen=True)
class Step:
    """One call in a traced network, expressed as a netspec op.

    `inputs` are the indices of earlier steps. `arguments` are all arguments of the op, including those with
    default values. `shape` is the shape of the output.
    """

    op: str
    arguments: Mapping[str, object]
    inputs: tuple[int, ...]
    shape: Shape
    module: str = ""
    """The dotted path of the module that the call is from; empty for the network itself."""
    name: str = ""
    """The name of the layer in its module; empty for a function without weights."""
    shares: int | None = None
    """The index of the step whose weights this step reuses."""
    again: str = ""
    """If the step is in a repeated call of a module: its path and the number of the call, as in `body@1`."""


@dataclass(frozen=True)
class Trace:
    """A network as the sequence of its calls; the first steps are its inputs, with the op `input`."""

    name: str
    steps: tuple[Step, ...]
    outputs: tuple[int, ...]
    classes: Mapping[str, str] = field(default_factory=dict)
    """The name of each module's class, by the dotted path of the module."""
    attributes: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    """The number and flag attributes of each module, by its path; parameters are named after them."""
    training: tuple[int, ...] = ()
    """The outputs that the network returns only in training."""
    notes: tuple[str, ...] = ()
    """One sentence for each thing that the spec leaves out or assumes, to be shown to the user."""


class TraceError(Exception):
    """A traced network cannot be written as a spec."""
