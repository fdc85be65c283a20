"""Writes the initialization of weights: a loop for modules that share initializers, and lines for others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from netspec.graph import Net, Node
from netspec.language.values import Call, python
from netspec.ops.start import INITS, Weighted

LEAST_LOOPED = 3
"""The minimum number of modules of a type that are initialized in a loop."""


@dataclass(frozen=True)
class Module:
    """A PyTorch module in a network: the module of a layer, or a module nested in it at `prefix`."""

    node: Node
    prefix: str = ""

    def tensors(self) -> set[str]:
        return {t.name.removeprefix(self.prefix) for t in self.node.tensors if t.name.startswith(self.prefix)}

    def starts(self) -> dict[str, Call]:
        """Return the initializers that the spec gives for the module's own tensors, by tensor name."""
        assert isinstance(self.node.op, Weighted)
        stated = {k: c for k, c in self.node.op.starts().items() if k.startswith(self.prefix)}
        inner = () if self.prefix else self.node.op.inner_linears
        own = {k: c for k, c in stated.items() if k.rpartition(".")[0] not in inner}
        return {k.removeprefix(self.prefix): c for k, c in own.items()}


class Starts:
    """The initializers in a spec: some are written in a loop over all modules, the others per layer."""

    def __init__(self, net: Net) -> None:
        self.net = net
        self.kinds: dict[str, list[Module]] = {}
        for node in net.nodes:
            if isinstance(node.op, Weighted) and node.op.kind != "tensor" and node.shares is None:
                self.kinds.setdefault(self.function(node), []).append(Module(node))
                for name in node.op.inner_linears:
                    self.kinds.setdefault("nn.Linear", []).append(Module(node, f"{name}."))
        found = {function: shared_starts(modules) for function, modules in self.kinds.items()}
        self.looped = {f: calls for f, calls in found.items() if calls}

    def function(self, node: Node) -> str:
        """Return the PyTorch class of a layer, such as `nn.Conv2d`."""
        made = node.op.torch_module(*self.net.shapes(node))
        assert made is not None
        return made.function

    def beside(self, node: Node) -> Iterator[tuple[str, Call]]:
        """Yield the name and initializer of each tensor of a layer that no loop initializes."""
        if not isinstance(node.op, Weighted) or node.shares is not None:
            return
        for tensor, call in node.op.starts().items():
            holder, dot, name = tensor.rpartition(".")
            inner = bool(dot) and holder in node.op.inner_linears
            function = "nn.Linear" if inner else "" if node.op.kind == "tensor" else self.function(node)
            zeros = node.op.kind == "tensor" and call.name == "zeros"
            if not zeros and (name if inner else tensor) not in self.looped.get(function, {}):
                yield tensor, call

    def loop(self) -> list[str]:
        """Return the lines of the loop over all modules at the end of the network's `__init__`."""
        if not self.looped:
            return []
        bodies: dict[tuple[str, ...], list[str]] = {}
        for function, calls in self.looped.items():
            bodies.setdefault(tuple(self.filling(function, calls)), []).append(function)
        lines = ["for module in self.modules():"]
        for k, (body, functions) in enumerate(bodies.items()):
            kinds = functions[0] if len(functions) == 1 else f"({', '.join(functions)})"
            lines.append(f"    {'if' if k == 0 else 'elif'} isinstance(module, {kinds}):")
            lines += body
        return lines

    def filling(self, function: str, calls: Mapping[str, Call]) -> Iterator[str]:
        """Yield the lines in the loop that initialize modules of one type."""
        for tensor, call in calls.items():
            always = all(tensor in m.tensors() for m in self.kinds[function])
            if not always:
                yield f"        if module.{tensor} is not None:"
            options = [f"{k}={python(call.kwargs[k])}" for k in INITS[call.name] if k in call.kwargs]
            filled = ", ".join([f"module.{tensor}", *options])
            yield f"        {'' if always else '    '}nn.init.{call.name}_({filled})"


def shared_starts(modules: list[Module]) -> Mapping[str, Call]:
    """Return the initializers that all modules of a type share if there are at least LEAST_LOOPED modules."""
    if len(modules) < LEAST_LOOPED:
        return {}
    stated = [(m.starts(), m.tensors()) for m in modules]
    calls = {tensor: call for starts, _ in stated for tensor, call in starts.items()}
    return {
        tensor: call
        for tensor, call in calls.items()
        if all(starts.get(tensor) == call or tensor not in tensors for starts, tensors in stated)
    }
