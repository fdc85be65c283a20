"""Warnings for layers, inputs and names that are never used."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from netspec.checker.walk import walk
from netspec.diagnostics import Diagnostic, Span
from netspec.graph import Net, Node
from netspec.language import ast as t


def unused_layers(net: Net, input_spans: dict[str, Span]) -> Iterator[Diagnostic]:
    """Yield a warning for each layer whose output is never used, and an error for each unused input."""
    alive = net.needed({output.node for output in net.outputs})
    outputs = " and ".join(f"`{o.name}`" for o in net.outputs)
    for node in net.nodes:
        if node.id in alive:
            continue
        if node.op.kind == "input":
            message = f"the input `{node.name}` is unused: {outputs} does not depend on it"
            yield Diagnostic("unused-input", message, input_spans.get(node.name, node.span))
        elif not net.consumers[node.id]:
            before = [net.nodes[i] for i in node.inputs if i not in alive and net.nodes[i].op.kind != "input"]
            notes = (f"`{before[0].name}` is used only by this layer",) if before else ()
            message = f"the output of `{node.name}` is never used"
            help = f"return it with `output {node.name}`, or delete it"
            yield Diagnostic("unused-layer", message, node.span, "warning", notes=notes, help=help)


def channels_last(nodes: Iterable[Node], input_spans: dict[str, Span]) -> Iterator[Diagnostic]:
    """Yield a warning for each input that seems to be height x width x channels."""
    for node in nodes:
        if node.op.kind != "input" or node.name not in input_spans or len(node.shape) != 3:
            continue
        if node.shape[2] not in (1, 3, 4) or min(node.shape[:2]) < 16:
            continue
        channels, height, width = node.shape
        sizes = f"{channels} channels, a height of {height} and a width of {width}"
        message = f"the input `{node.name}` has {sizes}"
        help = f"sizes are channels x height x width; you probably mean {width}x{channels}x{height}"
        yield Diagnostic(
            "channels-last", message, input_spans.get(node.name, node.span), "warning", help=help
        )


def batch_first(nodes: Iterable[Node], input_spans: dict[str, Span]) -> Iterator[Diagnostic]:
    """Yield a warning for each input that seems to be batch x channels x height x width."""
    for node in nodes:
        if node.op.kind != "input" or node.name not in input_spans or len(node.shape) != 4:
            continue
        batch, channels, height, width = node.shape
        if channels not in (1, 3, 4) or height != width:
            continue
        message = f"the input `{node.name}` is a video of {batch} channels and {channels} frames"
        help = f"the batch is not part of a shape; you probably mean {channels}x{height}x{width}"
        yield Diagnostic("batch-first", message, input_spans[node.name], "warning", help=help)


SCORES = {
    "softmax": "this loss applies softmax itself, and after a second softmax the network hardly learns",
    "log_softmax": "this loss applies log_softmax itself",
    "sigmoid": "the logits are limited to [0, 1], so the softmax cannot become confident",
    "hardsigmoid": "the logits are limited to [0, 1], so the softmax cannot become confident",
    "tanh": "the logits are limited to [-1, 1], so the softmax cannot become confident",
    "relu": "the logits cannot be negative, and where they are 0 the gradient is zero",
    "relu6": "the logits cannot be negative, and where they are 0 the gradient is zero",
}
"""Why a layer should not compute the logits of the classes, by the layer's type."""


def unfit_scores(net: Net) -> Iterator[Diagnostic]:
    """Yield a warning for each output whose activation does not suit the loss cross_entropy."""
    for output in net.outputs:
        node = net.computing(output.node)
        if len(net.nodes[output.node].shape) == 1 and (reason := SCORES.get(node.op.keyword)):
            message = f"`{node.name}` is the last layer of a network trained with cross_entropy: {reason}"
            help = "delete this layer; predictions are given as probabilities in any case"
            yield Diagnostic("unfit-scores", message, node.span, "warning", help=help)


def unused_names(file: t.File) -> Iterator[Diagnostic]:
    """Yield a warning for each parameter, block and name that the file never uses."""
    used: set[str] = set()
    for node in walk(file):
        if isinstance(node, t.Name):
            used.add(node.id)
        elif isinstance(node, t.Apply | t.Default):
            used.add(node.name if isinstance(node, t.Apply) else node.op)
    library = not any(isinstance(s, t.Network | t.Input) for s in file.body.statements)
    for node in walk(file):
        if isinstance(node, t.Parameter | t.Bind) and node.name not in used and not node.name.startswith("_"):
            what = "parameter" if isinstance(node, t.Parameter) else "name"
            yield Diagnostic(
                "unused-name", f"the {what} `{node.name}` is never used", node.span.first_line(), "warning"
            )
        elif isinstance(node, t.Block) and node.name not in used and not library:
            yield Diagnostic(
                "unused-name", f"the block `{node.name}` is never used", node.span.first_line(), "warning"
            )
