"""What is not wrong but looks unintended: layers, inputs and names that nothing uses."""

from __future__ import annotations

from collections.abc import Iterator

from netspec.checker.walk import walk
from netspec.diagnostics import Diagnostic, Span
from netspec.graph import Net
from netspec.language import ast as t


def unused_layers(net: Net, input_spans: dict[str, Span]) -> Iterator[Diagnostic]:
    """Layers that lead to no output, told at the last of each line of them; inputs likewise are errors."""
    alive = net.needed({output.node for output in net.outputs})
    outputs = " and ".join(f"`{o.name}`" for o in net.outputs)
    for node in net.nodes:
        if node.id in alive:
            continue
        if node.op.kind == "input":
            message = f"the input `{node.name}` reaches no output: {outputs} does not depend on it"
            yield Diagnostic("unused-input", message, input_spans.get(node.name, node.span))
        elif not net.consumers[node.id]:
            before = [net.nodes[i] for i in node.inputs if i not in alive and net.nodes[i].op.kind != "input"]
            notes = (f"`{before[0].name}` leads only here",) if before else ()
            message = f"nothing uses what `{node.name}` gives"
            help = f"`output {node.name}` returns it; otherwise it can go"
            yield Diagnostic("unused-layer", message, node.span, "warning", notes=notes, help=help)


def unused_names(file: t.File) -> Iterator[Diagnostic]:
    """Parameters, blocks and compile-time names that the file never mentions again."""
    said: set[str] = set()
    for node in walk(file):
        if isinstance(node, t.Name):
            said.add(node.id)
        elif isinstance(node, t.Apply | t.Default):
            said.add(node.name if isinstance(node, t.Apply) else node.op)
    library = not any(isinstance(s, t.Network | t.Input) for s in file.body.statements)
    for node in walk(file):
        if isinstance(node, t.Parameter | t.Bind) and node.name not in said and not node.name.startswith("_"):
            what = "parameter" if isinstance(node, t.Parameter) else "name"
            yield Diagnostic(
                "unused-name", f"nothing uses the {what} `{node.name}`", node.span.first_line(), "warning"
            )
        elif isinstance(node, t.Block) and node.name not in said and not library:
            yield Diagnostic(
                "unused-name", f"nothing calls the block `{node.name}`", node.span.first_line(), "warning"
            )
