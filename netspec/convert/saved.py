"""Converts programs saved by torch.export in `.pt2` files."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import fx
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.export import ExportedProgram

from netspec.convert.capture import quiet, read_graph, stack
from netspec.convert.conversion import Conversion, as_spec, noted, unused_names
from netspec.convert.reader import Reader
from netspec.errors import ConvertError
from netspec.frontends.layout import BATCH


def convert_program(path: Path) -> Conversion:
    """Convert a saved program. PyTorch unpickles parts of it, which can run code.

    Raises:
        ConvertError: the file is not a saved program, the program cannot run with another batch size, or an
            operator has no counterpart in netspec.
    """
    if not path.is_file():
        raise ConvertError(f"{path}: there is no such file")
    try:
        with quiet():
            program = torch.export.load(path)
            module = program.module(check_guards=False)
    except Exception as error:  # PyTorch raises almost every kind for damaged files
        text = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ConvertError(f"{path} is not a program saved by torch.export, or is damaged: {text}") from error
    batch = fixed_batch(program)
    give_batch(program, path)
    graph = read_graph(program, None)
    kinds = [around[0][1].rpartition(".")[2] for node in graph.nodes if (around := stack(node))]
    reader = Reader(graph, kinds[0] if kinds else path.stem)
    trace = noted(reader.read(), module, reader)
    unused = unused_names(module, graph)
    made = as_spec(trace, module, tuple(range(len(graph.inputs))), reader.constants.buffers, unused)
    return made if batch is None else replace(made, batch=batch)


def fixed_batch(program: ExportedProgram) -> int | None:
    """Return the batch size that a program was exported for; None if its batch is dynamic."""
    inputs = program.graph_signature.user_inputs
    values = (n.meta["val"] for n in program.graph.nodes if n.op == "placeholder" and n.name in inputs)
    return next((v.shape[0] for v in values if v.dim() and isinstance(v.shape[0], int)), None)


def give_batch(program: ExportedProgram, path: Path) -> None:
    """Recompute the shapes in a program's graph for inputs with the batch size BATCH, as traces require.

    Symbolic sizes in the graph are replaced by the integers that they then have.

    Raises:
        ConvertError: the program fails with this batch size.
    """
    inputs = program.graph_signature.user_inputs
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    given = []
    for node in program.graph.nodes:
        if node.op == "placeholder":
            value = node.meta["val"]
            shape = [BATCH if k == 0 and node.name in inputs else int(n) for k, n in enumerate(value.shape)]
            given.append(mode.from_tensor(torch.zeros(shape, dtype=value.dtype)))
    try:
        with quiet(), mode:
            Propagation(program.graph_module).run(*given)
    except Exception as error:  # operators raise almost every kind for sizes that do not fit
        raise ConvertError(
            f"{path} was exported for a fixed batch size: export it with a dynamic batch, using the argument"
            " `dynamic_shapes`"
        ) from error
    for node in list(program.graph.nodes):
        number = node.meta.get("val")
        if node.op == "call_function" and isinstance(number, int | float | bool | type(None)):
            for user in list(node.users):
                user.args = fx.map_arg(user.args, partial(replaced, old=node, new=number))
            program.graph.erase_node(node)


def replaced(node: fx.Node, old: fx.Node, new: Any) -> Any:
    """Return `new` in place of the node `old`, and any other node unchanged."""
    return new if node is old else node


class Propagation(fx.Interpreter):
    """Recomputes the shapes of all values."""

    def run_node(self, n: fx.Node) -> Any:
        """Run one node and store its result as the node's value."""
        n.meta["val"] = result = super().run_node(n)
        return result
