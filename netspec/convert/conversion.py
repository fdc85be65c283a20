"""Converts a PyTorch module to a checked network."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor, float32, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from netspec.checker import check_source
from netspec.convert.capture import Graph, export, read_graph
from netspec.convert.inputs import Inputs, as_call, example_inputs
from netspec.convert.reader import Reader
from netspec.convert.rows import LEAVES, class_name
from netspec.diagnostics import Source
from netspec.errors import ConvertError
from netspec.frontends.structure import write_spec
from netspec.frontends.trace import Trace, TraceError
from netspec.language.formatter import format_source
from netspec.network import Network


@dataclass(frozen=True)
class Conversion:
    """A converted module: the text of the spec, the checked network, and notes on the conversion."""

    text: str
    network: Network
    module: nn.Module
    names: tuple[str | int, ...]
    """For each input, its argument name, or its position in the call of the module."""
    constants: Mapping[str, Tensor]
    """The tensors that do not depend on the module's input; they are buffers of the network."""
    notes: tuple[str, ...] = ()
    unused: frozenset[str] = frozenset()
    """The names of the weights that no output depends on."""
    batch: int = 2
    """The size of the batch with which the module and the network are compared."""

    @property
    def unused_parameters(self) -> int:
        """The number of parameters that no output depends on."""
        return sum(p.numel() for name, p in self.module.named_parameters() if name in self.unused)

    def weights(self) -> dict[str, Tensor]:
        """Return the state_dict of the converted network: the module's weights and constants.

        A tensor that has several names in the module has one name in the network. Weights that no output
        depends on are left out.
        """
        own = {f"{n.name}.{t.name}" if t.name else n.name for n in self.network.net.nodes for t in n.tensors}
        state = self.module.state_dict()
        kept = {x.data_ptr() for name, x in state.items() if name in own}
        left = {name for name, x in state.items() if name not in own and x.numel() and x.data_ptr() in kept}
        left |= self.unused - own
        return {**{name: x for name, x in state.items() if name not in left}, **self.constants}


def from_torch(module: nn.Module, inputs: Inputs) -> Network:
    """Convert a PyTorch module to a network, with blocks for its classes and the names of its state_dict.

    `inputs` is the shape of the input without the batch; for an input of integers, pass an example batch
    instead. Several inputs are a list, or a mapping from the names of the module's arguments. The module is
    exported with torch.export, so control flow is that of inputs with these shapes. To load the weights, pass
    the module's state_dict to `load_state_dict` of the network's module.

    Raises:
        ConvertError: torch.export cannot export the module, or an operator has no counterpart in netspec.
    """
    return convert(module, inputs).network


def convert(module: nn.Module, inputs: Inputs) -> Conversion:
    """Convert a module as `from_torch` does; return the network with the text of its spec and with notes.

    Raises:
        ConvertError: as for `from_torch`.
    """
    if not isinstance(module, nn.Module):
        raise ConvertError(f"expected a torch.nn.Module, found a {type(module).__name__}")
    examples = example_inputs(inputs)
    other = next((p.dtype for p in module.parameters() if p.dtype != float32), None)
    if other is not None:
        raise ConvertError(f"{type(module).__name__} has parameters of {other}: call `.float()` on it first")
    try:
        inspect.signature(module.forward).bind(*as_call(examples)[0], **as_call(examples)[1])
    except TypeError as error:
        takes = ", ".join(inspect.signature(module.forward).parameters) or "nothing"
        message = (
            f"{type(module).__name__}.forward takes {takes}, but got {len(examples)}"
            f" input{'s' * (len(examples) != 1)} ({error})"
        )
        raise ConvertError(f"{message}: give `input` once for each argument") from None
    trace, constants, unused = read(module, examples)
    return as_spec(trace, module, tuple(examples), constants, unused)


def as_spec(
    trace: Trace,
    module: nn.Module,
    names: tuple[str | int, ...],
    constants: Mapping[str, Tensor],
    unused: frozenset[str],
) -> Conversion:
    """Write a trace as a spec and check it.

    Raises:
        ConvertError: the trace cannot be written as a spec.
    """
    try:
        text = write_spec(trace)
    except TraceError as error:
        raise ConvertError(f"{trace.name}: {error}") from None
    text = format_source(Source(f"{trace.name}.net", text))
    report = check_source(Source(f"{trace.name}.net", text), Path())
    if report.net is None:
        faults = "; ".join(d.message for d in report.diagnostics[:3])
        raise ConvertError(f"{trace.name} cannot be written as a spec: {faults}")
    network = Network(report.net, None, report, f"{trace.name}.net")
    return Conversion(text, network, module, names, constants, trace.notes, unused)


def read(
    module: nn.Module, examples: Mapping[str | int, Tensor]
) -> tuple[Trace, Mapping[str, Tensor], frozenset[str]]:
    """Trace a module in evaluation mode; if parameters are then unused, add the auxiliary heads of training.

    Returns the trace, its constant tensors by their names in the state_dict, and the names of the weights
    that no output depends on.
    """
    name = type(module).__name__
    with mode(module, training=False), identities_shown(module):
        graph = graph_of(module, examples)
    reader = Reader(graph, name)
    trace = reader.read()
    unused = unused_parameters(module, graph)
    if not unused:
        return noted(trace, module, reader), reader.constants.buffers, unused_names(module, graph)
    with mode(module, training=True):
        training = graph_of(module, examples)
    if len(unused_parameters(module, training)) < len(unused):
        reader = Reader(training, name)
        whole = reader.read()
        count = len(trace.outputs)
        trace = replace(whole, outputs=whole.outputs[:count], training=whole.outputs[count:])
        unused, graph = unused_parameters(module, training), training
    trace = noted(trace, module, reader)
    if not unused:
        return trace, reader.constants.buffers, unused_names(module, graph)
    more = f" and {len(unused) - 3} more" if len(unused) > 3 else ""
    note = f"parameters that no output depends on are left out: {', '.join(unused[:3])}{more}"
    trace = replace(trace, notes=(*trace.notes, note))
    return trace, reader.constants.buffers, unused_names(module, graph)


def noted(trace: Trace, module: nn.Module, reader: Reader) -> Trace:
    """Return a trace with notes on control flow that depends on the mode, on batch norms and on constants."""
    notes = list(trace.notes)
    if not trace.training:
        notes += [
            f"{place} depends on self.training: the spec describes its behaviour in evaluation"
            for place in decided(module)
        ]
    cumulative = [
        name for name, m in module.named_modules() if isinstance(m, _BatchNorm) and m.momentum is None
    ]
    if cumulative:
        notes.append(
            f"{cumulative[0]} has momentum=None: in the spec, training does not update running statistics"
        )
    if reader.constants.buffers:
        count = len(reader.constants.buffers)
        notes.append(
            f"{count} tensor{'s' * (count > 1)} not computed from the input, such as"
            f" {next(iter(reader.constants.buffers))}: the values are in the file of `weights`;"
            " without it, they are zeros"
        )
    return replace(trace, notes=tuple(notes))


def decided(module: nn.Module) -> Iterator[str]:
    """Yield the `forward` methods that use self.training, outside torch, torchvision and timm."""
    for kind in dict.fromkeys(type(m) for m in module.modules()):
        if kind.__module__.partition(".")[0] in ("torch", "torchvision", "timm") or not hasattr(
            kind, "forward"
        ):
            continue
        try:
            lines, first = inspect.getsourcelines(kind.forward)
        except (OSError, TypeError):
            continue
        place = next((first + k for k, line in enumerate(lines) if "self.training" in line), None)
        if place is not None:
            yield f"{kind.__name__}.forward (line {place})"


def unused_names(module: nn.Module, graph: Graph) -> frozenset[str]:
    """Return the names in the state_dict of the weights that a graph does not use."""
    used = set(graph.weights.values())
    used |= {f"{name.rpartition('.')[0]}.num_batches_tracked" for name in used}
    state = module.state_dict()
    places = {x.data_ptr() for name, x in state.items() if name in used}
    return frozenset(name for name, x in state.items() if name not in used and x.data_ptr() not in places)


def graph_of(module: nn.Module, examples: Mapping[str | int, Tensor]) -> Graph:
    """Export a module for inputs like the examples."""
    return read_graph(export(module, *as_call(examples)), module)


def unused_parameters(module: nn.Module, graph: Graph) -> list[str]:
    """Return the names of the parameters that a graph does not use."""
    unused = unused_names(module, graph)
    return [name for name, _ in module.named_parameters() if name in unused]


@contextmanager
def mode(module: nn.Module, training: bool) -> Iterator[None]:
    """Put a module into training or evaluation mode; on exit, restore the mode of each of its modules."""
    before = {m: m.training for m in module.modules()}
    with suppress(NotImplementedError):  # a saved program has one mode
        module.train(training)
    try:
        yield
    finally:
        for inner, was in before.items():
            inner.training = was


@contextmanager
def identities_shown(module: nn.Module) -> Iterator[None]:
    """Make modules that do nothing in evaluation, such as stochastic depth, visible to torch.export."""
    shown = [m for m in module.modules() if class_name(m) in LEAVES and LEAVES[class_name(m)].passes]
    for inner in shown:
        inner.forward = visible
    try:
        yield
    finally:
        for inner in shown:
            del inner.forward


def visible(x: Tensor) -> Tensor:
    """Return the input unchanged, through a call that torch.export keeps."""
    return functional.dropout(x, 0.5, False)
