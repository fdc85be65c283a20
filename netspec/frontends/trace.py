"""A traced network: the calls that a foreign program made, each with the module that made it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from netspec.shape import Shape


@dataclass(frozen=True)
class Step:
    """One call of a traced network, already in terms of an op of netspec.

    `inputs` are the indices of earlier steps. `arguments` are all arguments of the op, also those that have
    their default. `shape` is that of the output.
    """

    op: str
    arguments: Mapping[str, object]
    inputs: tuple[int, ...]
    shape: Shape
    module: str = ""
    """The dotted path of the module that made the call; empty for the network itself."""
    name: str = ""
    """The name of the layer in that module; empty for a function without weights."""
    shares: int | None = None
    """The index of the step whose weights this one reuses."""
    again: str = ""
    """The module that is called again, with the number of the call, as in `body@1`."""


@dataclass(frozen=True)
class Trace:
    """A network as the sequence of its calls; the first ones are its inputs, with the op `input`."""

    name: str
    steps: tuple[Step, ...]
    outputs: tuple[int, ...]
    classes: Mapping[str, str] = field(default_factory=dict)
    """The name of the class of each module, by its dotted path."""
    attributes: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    """The numbers and flags that each module has as attributes, by its path; they give parameters names."""
    training: tuple[int, ...] = ()
    """The outputs that the network returns only in training."""
    notes: tuple[str, ...] = ()
    """What the trace has decided or left out, one sentence each."""


class TraceError(Exception):
    """A traced network that cannot be written as a spec."""
