"""Statements of a spec that is being written, and the references between them."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count

from netspec.frontends.structure.modules import Call, Module
from netspec.frontends.trace import TraceError
from netspec.language.parser.grammar import words
from netspec.ops import OPS
from netspec.shape import Shape


@dataclass(frozen=True)
class Expression:
    """An argument as text in the language, such as `4 * width`."""

    text: str


@dataclass
class Statement:
    """A layer statement: a call of an op or block, a group, or a condition with two lists of statements.

    `sources` are the texts of references; None stands for the previous line. A group has `call` empty and a
    `body`; a condition has `condition` and bodies for both cases.
    """

    call: str
    label: str | None = None
    arguments: dict[str, object] = field(default_factory=dict)
    sources: tuple[str, ...] | None = None
    body: list[Statement] = field(default_factory=list)
    condition: str = ""
    otherwise: list[Statement] = field(default_factory=list)
    loop: bool = False
    """Whether the body is repeated, as often as the argument `count` says."""

    @property
    def key(self) -> tuple[object, ...]:
        """What two statements must share to be one statement of a block, whose arguments may differ."""
        loop = tuple(s.key for s in self.body) if self.loop else ()
        return (self.call, self.label, tuple(self.arguments), self.sources, loop)

    def walk(self) -> Iterator[Statement]:
        """Yield this statement and all statements in its bodies."""
        yield self
        for inner in (*self.body, *self.otherwise):
            yield from inner.walk()


class Hidden(TraceError):
    """A layer that a scope cannot refer to, because a layer between them has the same name."""

    def __init__(self, target: Module | Call, scope: Module, value: int, shape: Shape) -> None:
        super().__init__(f"{target.label} is hidden from {scope.path}")
        self.target, self.scope, self.value, self.shape = target, scope, value, shape


class Writer:
    """Writes the statements of modules; `blocks` are the modules that become calls of blocks.

    `call` returns the name and arguments of such a call.
    """

    def __init__(
        self,
        root: Module,
        outputs: Iterable[int],
        blocks: Container[Module],
        call: Callable[[Module], tuple[str, dict[str, object]]],
    ) -> None:
        self.call = call
        self.root, self.blocks = root, blocks
        self.owner = {call.id: call for call in root.calls()}
        self.inputs = {module: module.inputs() for module in root.modules()}
        self.named_outputs = tuple(outputs)
        references = [(value, root) for value in self.named_outputs]
        for module in root.modules():
            references += [(i, module) for _, taken in self.flows(module) for i in taken or ()]
        trails = [(self.trail(value, scope), scope) for value, scope in references]
        for module in root.modules():
            found = (self.shared(c) for c in module.children if isinstance(c, Call))
            trails += [(self.trail_to(shared, module), module) for shared in found if shared is not None]
        named = {trail[-1] for trail, _ in trails if trail}
        self.labels: dict[Module | Call, str | None] = {}
        for module in root.modules():
            self.label_children(module, named)
        for trail, scope in trails:
            if trail and self.path(trail, scope) is None and not self.relabel(trail[0]):
                last = trail[-1]
                value = last.output if isinstance(last, Module) else last.id
                raise Hidden(trail[0], scope, value, self.owner[value].step.shape)

    def numbered(self, module: Module) -> bool:
        """Return True if the layers of a module without labels are numbered in the spec."""
        return module.parent is not None and module not in self.blocks

    def label_children(self, module: Module, named: set[Module | Call]) -> None:
        """Choose the labels of a module's children; a function has one if it is referenced or numbered."""
        used = {c.label for c in module.children if c.label}
        for child in module.children:
            label: str | None = child.label
            plain = isinstance(child, Call) and child.label in ("", child.step.op)
            if plain and child not in named and not self.numbered(module):
                label = None
            elif isinstance(child, Call) and not label:
                label = next(word for k in count(1) if (word := f"{child.step.op}{k}") not in used)
                used.add(label)
            self.labels[child] = label

    def flows(self, module: Module) -> Iterator[tuple[Module | Call, tuple[int, ...] | None]]:
        """Yield each child with the values that its statement names; None if it takes the previous line."""
        previous = self.arriving(module)
        for child in module.children:
            taken = child.step.inputs if isinstance(child, Call) else self.taken(child, previous)
            chained = not joins(child) and taken in ((), (previous,))
            yield child, None if chained else taken
            previous = passed_on(child)

    def taken(self, module: Module, previous: int) -> tuple[int, ...]:
        """Return the value that arrives at the first statement of an inner module, if it takes any."""
        inputs = self.inputs[module]
        return (previous,) if previous in inputs else tuple(inputs[:1])

    def arriving(self, module: Module) -> int:
        """Return the value that the first statement of a module takes if it names none."""
        if module.parent is None or not self.inputs[module]:
            return NOTHING
        siblings = module.parent.children
        place = siblings.index(module)
        previous = passed_on(siblings[place - 1]) if place else self.arriving(module.parent)
        return self.taken(module, previous)[0]

    def body(self, module: Module) -> list[Statement]:
        """Return the statements of a module."""
        statements: list[Statement] = []
        for child, named in self.flows(module):
            if isinstance(child, Call) and child.step.op == "input":
                continue
            sources = None if named is None else tuple(self.reference(i, module) for i in named)
            if isinstance(child, Call):
                made = self.call_of(child, sources, module)
            elif child in self.blocks:
                name, arguments = self.call(child)
                made = Statement(name, arguments=arguments, sources=sources)
            else:
                made = Statement("", sources=sources, body=self.body(child))
            label = self.labels[child]
            automatic = bool(made.call) and self.numbered(module) and label == str(len(statements))
            made.label = None if automatic else label
            statements.append(made)
        return statements

    def call_of(self, call: Call, sources: tuple[str, ...] | None, scope: Module) -> Statement:
        """Return the statement of an op, or of a layer that is used again."""
        if (shared := self.shared(call)) is None:
            return Statement(call.step.op, arguments=dict(call.step.arguments), sources=sources)
        if not (trail := self.trail_to(shared, scope)):
            name = f"{shared.parent.path}.{shared.label}" if shared.parent else shared.label
            raise TraceError(f"{scope.path} uses {name} again, which is outside of its block")
        layer = Expression(self.named(trail, scope))
        return Statement("share", arguments={"layer": layer}, sources=sources)

    def shared(self, call: Call) -> Module | Call | None:
        """Return the module or the call that a call uses again, or None."""
        if call.step.op == "share":
            return next(m for m in self.root.modules() if m.path == call.step.again.partition("@")[0])
        return None if call.step.shares is None else self.owner[call.step.shares]

    def reference(self, value: int, scope: Module) -> str:
        """Return the path by which a statement in a module refers to a value."""
        trail = self.trail(value, scope)
        return self.named(trail, scope) if trail else "in"

    def named(self, trail: list[Module | Call], scope: Module) -> str:
        """Return the path of labels to the last child of a trail."""
        labels = self.path(trail, scope)
        if labels is None:
            raise TraceError(f"`{self.labels[trail[0]]}` has the name of a layer between it and its user")
        parts = [quoted(label) for label in labels]
        parts[0] = f'"{parts[0]}"' if parts[0][0].isdigit() else parts[0]
        return ".".join(parts)

    def path(self, trail: list[Module | Call], scope: Module) -> list[str] | None:
        """Return the labels of a reference, beginning in a scope where no inner label hides the first one.

        None if there is no such scope.
        """
        labels = [str(self.labels[child]) for child in trail]
        around, passed = trail[0].parent, list[Module]()
        inner: Module | None = scope
        while inner is not around and inner is not None:
            passed.append(inner)
            inner = inner.parent
        while any(self.labels[c] == labels[0] for m in passed for c in m.children if c is not around):
            if around is None or around.parent is None or around in self.blocks:
                return None
            labels.insert(0, str(self.labels[around]))
            passed.append(around)
            around = around.parent
        return labels

    def relabel(self, call: Module | Call) -> bool:
        """Give a function without weights a label that nothing else has; False for other layers."""
        if (
            isinstance(call, Call)
            and call.step.op != "share"
            and OPS[call.step.op].kind
            in (
                "activation",
                "pool",
                "merge",
                "reshape",
                "dropout",
            )
        ):
            taken = set(self.labels.values())
            words = (f"{self.labels[call]}_out{k if k > 1 else ''}" for k in count(1))
            self.labels[call] = next(word for word in words if word not in taken)
            return True
        return False

    def trail(self, value: int, scope: Module) -> list[Module | Call]:
        """Return the children that lead from a scope around `scope` to a value; empty for a block's input.

        The last one is the outermost module whose output the value is, or the call itself.
        """
        found = self.trail_to(self.owner[value], scope)
        last = next(
            (k for k, c in enumerate(found) if isinstance(c, Module) and c.output == value), len(found)
        )
        return found[: last + 1]

    def trail_to(self, child: Module | Call, scope: Module) -> list[Module | Call]:
        """Return the children that lead from a scope around `scope` to one; empty if a block is between."""
        chain: list[Module | Call] = [child]
        while (parent := chain[-1].parent) is not None:
            chain.append(parent)
        around = scope
        while around not in chain:
            if around in self.blocks or around.parent is None:
                return []
            around = around.parent
        return list(reversed(chain[: chain.index(around)]))


def quoted(label: str) -> str:
    """Write a label, in quotes if it is not a plain word or number."""
    if "{" in label:
        return label
    plain = label.isdigit() or (label.isidentifier() and label.isascii())
    return label if plain and label not in words() else f'"{label}"'


NOTHING = -1
"""Stands for no value."""


def passed_on(child: Module | Call) -> int:
    """Return the value that the next statement takes by default; a raw tensor is always named."""
    if isinstance(child, Module):
        return child.output
    return NOTHING if child.step.op in ("param", "buffer") else child.id


def joins(child: Module | Call) -> bool:
    """Return True if a child is a call that names its operands, such as `add(a, b)`."""
    return isinstance(child, Call) and len(child.step.inputs) > 1 and OPS[child.step.op].kind == "merge"
