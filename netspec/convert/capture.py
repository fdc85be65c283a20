"""Exports a PyTorch module as a graph of ATen calls, and finds the module that each call is from."""

from __future__ import annotations

import linecache
import logging
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from typing import Any

import torch
from torch import fx, nn
from torch.export import ExportedProgram

from netspec.errors import ConvertError

HIDDEN = {"training", "call_super_init", "dump_patches"}
"""Attributes that every module has."""


@dataclass
class Graph:
    """An exported network: its calls in order of execution, its inputs and outputs, weights and modules."""

    nodes: list[fx.Node]
    inputs: list[fx.Node]
    outputs: list[fx.Node]
    weights: dict[fx.Node, str]
    """The name in the state_dict of each parameter and buffer."""
    parameters: set[fx.Node]
    constants: dict[fx.Node, torch.Tensor]
    modules: Mapping[str, nn.Module]
    """The modules by their paths; empty for a saved program."""
    classes: dict[str, str] = field(default_factory=dict)
    names: frozenset[str] = frozenset()
    """The names in the state_dict."""
    functions: frozenset[str] = frozenset()
    """The paths of modules from torch.nn that have no weights, such as nn.ReLU."""


def export(
    module: nn.Module, inputs: Sequence[torch.Tensor], named: Mapping[str, torch.Tensor]
) -> ExportedProgram:
    """Export a module in its current mode, training or evaluation.

    Raises:
        ConvertError: torch.export cannot export the module.
    """
    try:
        with quiet(), torch.no_grad():
            return torch.export.export(module, tuple(inputs), dict(named), strict=False)
    except Exception as error:
        raise ConvertError(f"torch.export cannot export {type(module).__name__}: {reason(error)}") from error


@contextmanager
def quiet() -> Iterator[None]:
    """Keep PyTorch from printing graphs and warnings; the reason for a failure is in its exception."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def reason(error: Exception) -> str:
    """Return the first line of an exception's message, and the line of the user's source that caused it."""
    text = str(error).strip().splitlines()
    first = text[0] if text else type(error).__name__
    if "data-dependent" in first:
        first = "its control flow or shapes depend on the values of the input"
    place = traceback_place(error) or own_line(str(error))
    return f"{first} ({place})" if place else first


def own_line(trace: str) -> str:
    """Return the last line outside PyTorch in the text of a traceback, as text from `line_of`."""
    frames = re.findall(r'File "([^"]+)", line (\d+), in \w+', trace)
    own = [f for f in frames if "/torch/" not in f[0] and "<frozen" not in f[0]]
    return line_of(own[-1][0], int(own[-1][1])) if own else ""


def line_of(file: str, number: int) -> str:
    """Return text with the file and number of a source line, and with its code if the file exists."""
    code = linecache.getline(file, number).strip()
    return f"{file}, line {number}" + (f": `{code}`" if code else "")


def traceback_place(error: Exception) -> str:
    """Return the innermost line of a traceback outside PyTorch and netspec, as text from `line_of`."""
    place, trace = "", error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if "/torch/" not in file and "/netspec/" not in file and not file.startswith("<"):
            place = line_of(file, trace.tb_lineno)
        trace = trace.tb_next
    return place


def read_graph(program: ExportedProgram, module: nn.Module | None) -> Graph:
    """Read the graph of an exported program; `module` is the original module, or None if it is unknown."""
    inline(program)
    program.graph.eliminate_dead_code()
    signature = program.graph_signature
    named = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    lifted = signature.inputs_to_lifted_tensor_constants
    nodes, inputs, outputs = [], [], []
    weights: dict[fx.Node, str] = {}
    parameters: set[fx.Node] = set()
    constants: dict[fx.Node, torch.Tensor] = {}
    classes: dict[str, str] = {}
    layers: set[str] = set()
    own = module.state_dict() if module is not None else program.state_dict
    for node in program.graph.nodes:
        if node.op == "placeholder":
            if not node.users and node.name not in signature.user_inputs:
                continue
            if node.name in named and named[node.name] in own:
                weights[node] = named[node.name]
                if node.name in signature.inputs_to_parameters:
                    parameters.add(node)
            elif node.name in named and named[node.name] in program.constants:
                constants[node] = program.constants[named[node.name]]
            elif node.name in lifted:
                constants[node] = program.constants[lifted[node.name]]
            else:
                inputs.append(node)
        elif node.op == "call_function":
            nodes.append(node)
            for path, kind in stack(node):
                plain = path.partition("@")[0]
                classes[plain] = kind.rpartition(".")[2]
                if kind.startswith("torch.nn.modules.") and ".container." not in kind:
                    layers.add(plain)
        elif node.op == "output":
            outputs = [n for n in flattened(node.args[0]) if isinstance(n, fx.Node)]
    modules = dict(module.named_modules()) if module is not None else {}
    owners = {part for name in own for part in prefixes(name)}
    return Graph(
        nodes,
        inputs,
        outputs,
        weights,
        parameters,
        constants,
        modules,
        classes,
        frozenset(own),
        frozenset(layers - owners),
    )


def prefixes(name: str) -> Iterator[str]:
    """Yield the paths of the modules around a name in the state_dict.

    >>> list(prefixes("layer1.0.conv.weight"))
    ['layer1.0.conv', 'layer1.0', 'layer1']
    """
    while name := name.rpartition(".")[0]:
        yield name


def inline(program: ExportedProgram) -> None:
    """Inline nested graphs (from autocast and no_grad)."""
    graph = program.graph_module.graph
    for node in list(graph.nodes):
        if not str(node.target).startswith("wrap_with_"):
            continue
        inner = next(a for a in node.args if isinstance(a, fx.Node) and a.op == "get_attr")
        given = node.args[node.args.index(inner) + 1 :]
        body = getattr(program.graph_module, str(inner.target)).graph
        copies: dict[fx.Node, Any] = {}
        parameters = iter(given)
        with graph.inserting_before(node):
            for each in body.nodes:
                if each.op == "placeholder":
                    copies[each] = next(parameters)
                elif each.op == "output":
                    results = fx.map_arg(each.args[0], copies.__getitem__)
                else:
                    copies[each] = graph.node_copy(each, copies.__getitem__)
        for user in list(node.users):
            user.replace_all_uses_with(results[user.args[1]])
            graph.erase_node(user)
        graph.erase_node(node)


def stack(node: fx.Node) -> list[tuple[str, str]]:
    """Return the path and class of each module around a call, outermost first.

    If a module is called more than once, its path in later calls ends in `@` and the number of the call.
    """
    around = []
    for key, (path, kind) in (node.meta.get("nn_module_stack") or {}).items():
        _, again, number = key.rpartition("@")
        name = kind if isinstance(kind, str) else f"{kind.__module__}.{kind.__qualname__}"
        around.append((f"{path}@{number}" if again and number.isdigit() else path, name))
    return around


def flattened(value: Any) -> Iterator[Any]:
    """Yield the leaves of nested tuples, lists and dictionaries."""
    if isinstance(value, list | tuple):
        for item in value:
            yield from flattened(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from flattened(item)
    else:
        yield value


def attributes_of(graph: Graph) -> dict[str, dict[str, object]]:
    """Return the attributes of each module that are numbers or flags, by the path of the module."""
    return {
        path: {
            name: value
            for name, value in vars(module).items()
            if type(value) in (int, float, bool) and name[0] != "_" and name not in HIDDEN
        }
        for path, module in graph.modules.items()
    }
