"""The body of `forward`: one line a step, a name for each value as long as it lives."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from netspec.emit.torch.names import TENSORS, member, own_child, unique
from netspec.graph import Net, Scope

PLAIN = "xyzuvw"
"""The names of values in passing."""


@dataclass(frozen=True)
class Step:
    """One call: `text` has a `{}` for each input."""

    text: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    label: str
    inline: bool = False
    training: bool = False


@dataclass(frozen=True)
class Interface:
    """The values that flow into a scope and out of it, as node ids."""

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


class Wiring:
    """Who uses what, and which values are the same under two names."""

    def __init__(self, net: Net) -> None:
        self.net = net
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
        self.sharers: dict[str, list[Scope]] = {}
        for scope in self.scopes.values():
            if scope.shares:
                self.sharers.setdefault(scope.shares, []).append(scope)
        self.exported: dict[int, list[str]] = {}
        for path, sharers in self.sharers.items():
            for sharer in sharers:
                self.export(self.scopes[path], sharer)

    def export(self, origin: Scope, sharer: Scope) -> None:
        """Let a shared scope return what any use of it needs; both hold the same layers in the same order."""
        theirs = set(sharer.ids())
        for own, other in zip(origin.ids(), sharer.ids(), strict=True):
            if self.alias[other] == other and self.leaves(other, sharer.path, theirs):
                self.exported.setdefault(own, []).append(origin.path)

    def interface(self, scope: Scope) -> Interface:
        """What a scope takes and gives."""
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
        """Whether values are needed in training alone."""
        return bool(values) and all(i in self.training_only for i in values)

    def idle(self, scope: Scope) -> bool:
        """Whether a scope only passes values on."""
        return all(self.alias[i] != i for i in scope.ids())

    def shared_interface(self, scope: Scope, ids: list[int]) -> Interface:
        """A shared scope gives what its origin gives, each value in its own copy."""
        origin = self.scopes[str(scope.shares)]
        copies = dict(zip(origin.ids(), ids, strict=True))
        taken = dict.fromkeys(self.alias[i] for n in ids for i in self.net.nodes[n].inputs)
        inputs = tuple(i for i in taken if i not in set(ids))
        return Interface(inputs, tuple(copies[i] for i in self.interface(origin).outputs))

    def leaves(self, value: int, path: str, inside: set[int]) -> bool:
        """Whether a value is used outside of the scope at `path`, which holds the nodes `inside`."""
        exported = any(f"{path}.".startswith(f"{origin}.") for origin in self.exported.get(value, ()))
        return exported or value in self.returned or any(u not in inside for u in self.real_users(value))

    def real_users(self, value: int) -> Iterator[int]:
        """The nodes that take a value, those behind an identity instead of the identity."""
        for user in self.users.get(value, ()):
            if self.net.nodes[user].op.keyword == "identity":
                if user in self.returned:
                    yield -1
            else:
                yield user

    def steps(self, scope: Scope) -> list[Step]:
        """The calls of a scope's forward, in order; what only training needs is marked where it begins."""
        steps = []
        inner = bool(scope.path) and self.late(self.interface(scope).outputs)
        for child in scope.children:
            if isinstance(child, Scope):
                if self.idle(child):
                    continue
                io = self.interface(child)
                target = child.shares or child.path
                training = self.late(io.outputs) and not inner
                text = f"{relative(target, scope.path)}({', '.join(['{}'] * len(io.inputs))})"
                steps.append(Step(text, io.inputs, io.outputs, child.name, training=training))
                continue
            node = self.net.nodes[child]
            if node.op.kind == "input" or node.op.keyword == "identity":
                continue
            inputs = tuple(self.alias[i] for i in node.inputs)
            shapes = self.net.shapes(node)
            name = self.net.nodes[node.shares].name if node.shares is not None else node.name
            module = relative(name, scope.path)
            if node.op.kind == "tensor":
                own = "self" + member(node.label, TENSORS[node.op.keyword])
                steps.append(Step(own, (), (child,), node.label, inline=True))
                continue
            if node.op.keyword == "concat":
                holes, inputs = self.stretched(inputs)
            else:
                holes = ["{}"] * len(inputs)
            written = node.op.expression(*holes)
            call, late = written or node.op.call(module, *shapes), child in self.training_only and not inner
            if len(set(inputs)) == 1:
                inputs = inputs[:1] * call.count("{}")
            steps.append(Step(call, inputs, (child,), node.label, written is not None, late))
        return steps

    def stretched(self, inputs: tuple[int, ...]) -> tuple[list[str], tuple[int, ...]]:
        """The texts of values to be stacked, raw tensors repeated for each image of the batch."""
        nodes = self.net.nodes
        batched = next(i for i in inputs if nodes[i].batched)
        holes, taken = [], list[int]()
        for i in inputs:
            stays = ", -1" * len(nodes[i].shape)
            holes.append("{}" if nodes[i].batched else f"{{}}.expand({{}}.shape[0]{stays})")
            taken += [i] if nodes[i].batched else [i, batched]
        return holes, tuple(taken)


def scopes(scope: Scope) -> Iterator[Scope]:
    """A scope and all scopes inside it."""
    yield scope
    for child in scope.children:
        if isinstance(child, Scope):
            yield from scopes(child)


def relative(path: str, scope: str) -> str:
    """How a module is reached from the module of `scope`."""
    first, *rest = (path[len(scope) + 1 :] if scope else path).split(".")
    return own_child(first) + "".join(member(part) for part in rest)


def join_inline(steps: Sequence[Step], keep: set[int]) -> list[Step]:
    """Write an expression such as `torch.flatten(x, 1)` or `a + b` into the next step, its only user."""
    users: dict[int, list[int]] = {}
    for k, step in enumerate(steps):
        for value in step.inputs:
            users.setdefault(value, []).append(k)
    waiting: dict[int, Step] = {}
    joined: list[Step] = []
    for k, own in enumerate(steps):
        step = substitute(own, waiting)
        used = users.get(own.outputs[0], []) if own.outputs else []
        near = used == [k + 1] or (len(used) == 1 and not own.inputs)
        if own.inline and near and own.outputs[0] not in keep:
            waiting[own.outputs[0]] = step
        else:
            joined.append(step)
    return joined


def substitute(user: Step, waiting: dict[int, Step]) -> Step:
    """Write the expressions that wait for this step into its call."""
    infix = re.search(r"(^|[+*] )\{\}( [+*]|$)|\{\}[.\[]", user.text)
    holes, inputs = [], list[int]()
    for value in user.inputs:
        step = waiting.pop(value, None)
        compound = infix and step and (" + " in step.text or " * " in step.text)
        holes.append("{}" if step is None else f"({step.text})" if compound else step.text)
        inputs += (value,) if step is None else step.inputs
    return replace(user, text=user.text.format(*holes), inputs=tuple(inputs))


def forward(wiring: Wiring, scope: Scope, inputs: Sequence[tuple[int, str]]) -> list[str]:
    """The lines of a scope's forward.

    The flow is `x`; a value that is kept for later goes by its label, until its last use.
    """
    io = wiring.interface(scope)
    root = not scope.path
    returned = [wiring.alias[o.node] for o in wiring.net.outputs] if root else list(io.outputs)
    steps = join_inline(wiring.steps(scope), set(returned))
    last = {value: k for k, step in enumerate(steps) for value in step.inputs}
    last |= dict.fromkeys(returned, len(steps))
    names, arguments = dict(inputs), {name for _, name in inputs}
    owners = {name: last.get(value, -1) for value, name in inputs}
    lines: list[str] = []
    for k, step in enumerate(steps):
        call = step.text.format(*(names[i] for i in step.inputs))
        dying = list(dict.fromkeys(names[i] for i in step.inputs if last[i] == k))
        held = {name for name, until in owners.items() if until > k}
        final = k == len(steps) - 1
        if final and not root and step.outputs == tuple(returned) and not step.training:
            return [*lines, f"return {call}"]
        if final and root and returned == list(step.outputs) and not wiring.training_only:
            return [*lines, f"return {call}"]
        free = [n for n in dying if n not in held]
        targets: list[str] = []
        for output in step.outputs:
            taken = held | set(targets) | set(free)
            lasting = last.get(output, -1) > k + 1 or (output in returned and len(returned) > 1)
            if lasting or beside_named(wiring, names, output):
                name = fresh_name(step.label, taken)
            else:
                name = next((n for n in free if n in PLAIN), "") or fresh_name("", taken)
            free = [n for n in free if n != name]
            targets.append(name)
            names[output], owners[name] = name, last.get(output, -1)
        otherwise = f" if self.training else {', '.join(['None'] * len(targets))}" if step.training else ""
        lines.append(f"{', '.join(targets) or '_'} = {call}{otherwise}")
        dead = [n for n in free if n not in PLAIN and n not in arguments]
        if dead and not final:
            lines.append(f"del {', '.join(dead)}")
    return [*lines, *returns(wiring, returned, names, root)]


def beside_named(wiring: Wiring, names: Mapping[int, str], output: int) -> bool:
    """Whether a value is merged with others that go by their labels, as the branches of a join do."""
    merges = (u for u in wiring.real_users(output) if u >= 0 and wiring.net.nodes[u].op.kind == "merge")
    others = {wiring.alias[i] for u in merges for i in wiring.net.nodes[u].inputs} - {output}
    return any(names.get(i, "x") not in PLAIN for i in others)


def fresh_name(label: str, taken: set[str]) -> str:
    """The name of a value: its label where that says something, else the first plain one that is free."""
    if label and not label.isdigit():
        return unique(label, taken)
    return next((n for n in PLAIN if n not in taken), None) or unique("x", taken)


def returns(wiring: Wiring, returned: Sequence[int], names: dict[int, str], root: bool) -> list[str]:
    """The closing lines: all outputs, and in training the auxiliary ones too."""
    if not root:
        return [f"return {', '.join(names[i] for i in returned)}"] if returned else ["return None"]
    outputs = wiring.net.outputs
    always = ", ".join(names[wiring.alias[o.node]] for o in outputs if not o.training)
    if not any(o.training for o in outputs):
        return [f"return {always}"]
    everything = ", ".join(names[wiring.alias[o.node]] for o in outputs)
    return ["if self.training:", f"    return {everything}", f"return {always}"]
