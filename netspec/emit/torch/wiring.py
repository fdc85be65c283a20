"""Finds the data flow between scopes, and the steps of each scope's `forward`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from netspec.emit.torch.layout import is_list
from netspec.emit.torch.names import TENSORS, member, own_child
from netspec.graph import Net, Node, Scope
from netspec.language.values import python
from netspec.ops import Op
from netspec.ops.tensor import Param


@dataclass(frozen=True)
class Step:
    """One step of a `forward`. Its `text` has a `{}` for each input."""

    text: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    label: str
    inline: bool = False
    training: bool = False
    grown: int | None = None
    """The id of the input that an addition updates in place, as in `x += y`."""


@dataclass(frozen=True)
class Interface:
    """The inputs and outputs of a scope, as the ids of the nodes that compute them."""

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


class Wiring:
    """The users of each node, the sources of identity layers, and the inputs and outputs of each scope."""

    def __init__(self, net: Net, op: Callable[[Node], Op] = lambda node: node.op) -> None:
        self.net, self.op = net, op
        self.alias = {n.id: n.id for n in net.nodes}
        for n in net.nodes:
            if n.op.keyword == "identity":
                self.alias[n.id] = self.alias[n.inputs[0]]
        self.users: dict[int, set[int]] = {}
        for n in net.nodes:
            for i in n.inputs:
                self.users.setdefault(self.alias[i], set()).add(n.id)
        self.returned = {self.alias[o.node] for o in net.outputs}
        self.training_only = net.training_only
        self.interfaces: dict[str, Interface] = {}
        self.scopes = {scope.path: scope for scope in scopes(net.root)}
        self.contents: dict[str, set[str]] = {}
        """The names in each container, such as `convs` for the labels `convs.0` and `convs.1`."""
        for scope in self.scopes.values():
            for child in scope.children:
                label = child.name if isinstance(child, Scope) else net.nodes[child].label
                at, *inner = label.split(".")
                at = f"{scope.path}.{at}" if scope.path else at
                for part in inner:
                    self.contents.setdefault(at, set()).add(part)
                    at = f"{at}.{part}"
        self.held = set(self.raw_tensors_among_modules())
        """The paths of raw tensors in containers that also hold modules or buffers."""
        self.sharers: dict[str, list[Scope]] = {}
        for scope in self.scopes.values():
            if scope.shares:
                self.sharers.setdefault(scope.shares, []).append(scope)
        self.exported: dict[int, list[str]] = {}
        for path, sharers in self.sharers.items():
            for sharer in sharers:
                self.export(self.scopes[path], sharer)

    def export(self, origin: Scope, sharer: Scope) -> None:
        """Mark nodes of `origin` as outputs if the corresponding nodes of `sharer` are outputs.

        `sharer` reuses the modules of `origin`: both contain the same layers in the same order.
        """
        theirs = set(sharer.ids())
        for own, other in zip(origin.ids(), sharer.ids(), strict=True):
            if self.alias[other] == other and self.leaves(other, sharer.path, theirs):
                self.exported.setdefault(own, []).append(origin.path)

    def interface(self, scope: Scope) -> Interface:
        """Return the inputs and outputs of a scope."""
        if scope.path in self.interfaces:
            return self.interfaces[scope.path]
        ids = list(scope.ids())
        inside = set(ids)
        if scope.shares:
            return self.shared_interface(scope, ids)
        taken = dict.fromkeys(self.alias[i] for n in ids for i in self.net.nodes[n].inputs)
        inputs = tuple(i for i in taken if i not in inside)
        given = tuple(i for i in ids if self.alias[i] == i and self.leaves(i, scope.path, inside))
        interface = Interface(inputs, given or tuple(ids[-1:]))
        self.interfaces[scope.path] = interface
        return interface

    def late(self, values: Sequence[int]) -> bool:
        """Return True if all of the nodes are needed only in training."""
        return bool(values) and all(i in self.training_only for i in values)

    def idle(self, scope: Scope) -> bool:
        """Return True if a scope contains only identity layers."""
        return all(self.alias[i] != i for i in scope.ids())

    def shared_interface(self, scope: Scope, ids: list[int]) -> Interface:
        """Return the inputs and outputs of a scope that reuses modules. Its outputs match the original's."""
        origin = self.scopes[str(scope.shares)]
        copies = dict(zip(origin.ids(), ids, strict=True))
        taken = dict.fromkeys(self.alias[i] for n in ids for i in self.net.nodes[n].inputs)
        inputs = tuple(i for i in taken if i not in set(ids))
        return Interface(inputs, tuple(copies[i] for i in self.interface(origin).outputs))

    def leaves(self, value: int, path: str, inside: set[int]) -> bool:
        """Return True if node `value` is used outside the scope at `path`, whose nodes are `inside`."""
        exported = any(f"{path}.".startswith(f"{origin}.") for origin in self.exported.get(value, ()))
        return exported or value in self.returned or any(u not in inside for u in self.real_users(value))

    def real_users(self, value: int) -> Iterator[int]:
        """Yield the ids of a node's users. Identity layers are skipped; one that is an output yields -1."""
        for user in self.users.get(value, ()):
            if self.net.nodes[user].op.keyword == "identity":
                if user in self.returned:
                    yield -1
            else:
                yield user

    def steps(self, scope: Scope) -> list[Step]:
        """Return the steps of a scope's `forward` in order; steps needed only in training are marked."""
        steps = []
        inner = bool(scope.path) and self.late(self.interface(scope).outputs)
        for child in scope.children:
            if isinstance(child, Scope):
                if self.idle(child):
                    continue
                io = self.interface(child)
                target = child.shares or child.path
                training = self.late(io.outputs) and not inner
                text = f"{self.relative(target, scope.path)}({', '.join(['{}'] * len(io.inputs))})"
                steps.append(Step(text, io.inputs, io.outputs, child.name, training=training))
                continue
            node = self.net.nodes[child]
            if node.op.kind == "input" or node.op.keyword == "identity":
                continue
            inputs = tuple(self.alias[i] for i in node.inputs)
            shapes = self.net.shapes(node)
            name = self.net.nodes[node.shares].name if node.shares is not None else node.name
            module = self.relative(name, scope.path)
            if node.op.kind == "tensor":
                own = self.access("self", scope.path, node.label, TENSORS[node.op.keyword])
                steps.append(Step(own, (), (child,), node.label, inline=True))
                continue
            if node.op.keyword == "concat" and node.batched:
                holes, inputs = self.stretched(inputs)
            elif node.op.kind == "merge" and node.op.keyword != "concat":
                holes = ["{}"] * len(inputs)
            else:
                holes = ["{}[None]" if self.bare(i) else "{}" for i in inputs]
            written = self.op(node).torch_expr(*holes)
            call, late = (
                written or node.op.torch_call(module, *shapes).replace("{}", holes[0]),
                child in self.training_only and not inner,
            )
            if len(set(inputs)) == 1:
                inputs = inputs[:1] * call.count("{}")
            grown = None if late else self.grown(scope, node)
            if grown is not None:
                other = inputs[1] if inputs[0] == grown else inputs[0]
                steps.append(Step("{} += {}", (grown, other), (child,), node.label, grown=grown))
                continue
            steps.append(Step(call, inputs, (child,), node.label, written is not None, late))
        return steps

    def grown(self, scope: Scope, node: Node) -> int | None:
        """Return the id of the input that an addition can update in place, or None.

        The input must be computed in this scope in newly allocated memory, and must have no other user.
        """
        values = [self.alias[i] for i in node.inputs]
        if node.op.keyword != "add" or len(set(values)) != 2:
            return None
        own = [i for i in values if i not in self.interface(scope).inputs and i not in self.returned]
        for made in (self.net.nodes[i] for i in own):
            module = (
                made.op.kind in ("conv", "dense", "norm") and made.op.new_memory and made.shape == node.shape
            )
            if module and list(self.real_users(made.id)) == [node.id] and not self.exported.get(made.id):
                return made.id
        return None

    def raw_tensors_among_modules(self) -> Iterator[str]:
        """Yield the paths of raw tensors in containers that cannot be a ParameterList or ParameterDict."""
        names = {n.name: n.op.keyword for n in self.net.nodes if n.op.kind == "tensor"}
        for at, parts in self.contents.items():
            if {names.get(f"{at}.{part}") for part in parts} != {"param"}:
                yield from (f"{at}.{part}" for part in parts if f"{at}.{part}" in names)

    def relative(self, path: str, scope: str) -> str:
        """Return the source that accesses a module at `path` from the module of `scope`."""
        first, *rest = (path[len(scope) + 1 :] if scope else path).split(".")
        at = f"{scope}.{first}" if scope else first
        return own_child(first) + self.rest(at, rest)

    def access(self, target: str, scope: str, label: str, kind: str = "submodule") -> str:
        """Return the source that accesses a child of a scope's module; `target` is the module's source."""
        first, *rest = label.split(".")
        at = f"{scope}.{first}" if scope else first
        return target + member(first, "submodule" if rest else kind) + self.rest(at, rest, kind)

    def rest(self, at: str, parts: Sequence[str], kind: str = "submodule") -> str:
        """Return the source that accesses `parts` from the module at `at`; a container is indexed."""
        text = ""
        for k, part in enumerate(parts):
            if at in self.scopes:
                text += member(part, kind if k == len(parts) - 1 else "submodule")
            elif f"{at}.{part}" in self.held:
                text += member(part, kind)
            else:
                listed = is_list({p for p in self.contents[at] if f"{at}.{p}" not in self.held})
                text += f"[{part}]" if listed else f"[{python(part)}]"
            at = f"{at}.{part}"
        return text

    def bare(self, value: int) -> bool:
        """Return True if a value is a raw tensor that is stored without a leading batch axis of size 1."""
        op = self.net.nodes[value].op
        return isinstance(op, Param) and not op.batch

    def stretched(self, inputs: tuple[int, ...]) -> tuple[list[str], tuple[int, ...]]:
        """Return the source and ids of a concatenation's inputs; raw tensors are expanded over the batch."""
        nodes = self.net.nodes
        batched = next(i for i in inputs if nodes[i].batched)
        holes, taken = [], list[int]()
        for i in inputs:
            stays = ", -1" * len(nodes[i].shape)
            holes.append("{}" if nodes[i].batched else f"{{}}.expand({{}}.shape[0]{stays})")
            taken += [i] if nodes[i].batched else [i, batched]
        return holes, tuple(taken)


def scopes(scope: Scope) -> Iterator[Scope]:
    """Yield a scope and all scopes inside it."""
    yield scope
    for child in scope.children:
        if isinstance(child, Scope):
            yield from scopes(child)
