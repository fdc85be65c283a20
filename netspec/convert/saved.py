"""Reading programs that torch.export has saved, as files `.pt2`."""

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
        ConvertError: the file is no saved program, its batch cannot change, or it calls something that
            netspec has no op for.
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
    """Return the batch of a program that was exported for one size of it; None if it is open."""
    inputs = program.graph_signature.user_inputs
    values = (n.meta["val"] for n in program.graph.nodes if n.op == "placeholder" and n.name in inputs)
    return next((v.shape[0] for v in values if v.dim() and isinstance(v.shape[0], int)), None)


def give_batch(program: ExportedProgram, path: Path) -> None:
    """Give the tensors of a program the batch that a trace has, whether the program's is fixed or open.

    Raises:
        ConvertError: the program's sizes do not fit another batch.
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
            f"{path} was exported for one size of the batch: export it with a dynamic batch, by"
            " `dynamic_shapes`"
        ) from error
    for node in list(program.graph.nodes):
        number = node.meta.get("val")
        if node.op == "call_function" and isinstance(number, int | float | bool | type(None)):
            for user in list(node.users):
                user.args = fx.map_arg(user.args, partial(replaced, old=node, new=number))
            program.graph.erase_node(node)


def replaced(node: fx.Node, old: fx.Node, new: Any) -> Any:
    """Return a node, or a number in the place of one."""
    return new if node is old else node


class Propagation(fx.Interpreter):
    """Computes the shapes of all values anew."""

    def run_node(self, n: fx.Node) -> Any:
        """Run one node, and keep its result."""
        n.meta["val"] = result = super().run_node(n)
        return result
