"""The statements of a spec that is being written, and the references between them."""

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

    `sources` are the references to its inputs as text; None stands for the previous statement. In a group,
    `call` is empty, and `body` has its statements. In a condition, `condition` is its expression, and `body`
    and `otherwise` have the statements for both cases.
    """

    call: str
    label: str | None = None
    arguments: dict[str, object] = field(default_factory=dict)
    sources: tuple[str, ...] | None = None
    body: list[Statement] = field(default_factory=list)
    condition: str = ""
    otherwise: list[Statement] = field(default_factory=list)
    loop: bool = False
    """Whether the statement is a loop that repeats the body `arguments["count"]` times."""

    @property
    def key(self) -> tuple[object, ...]:
        """A key that is equal for statements that can be merged in a block; their arguments may differ."""
        loop = tuple(s.key for s in self.body) if self.loop else ()
        return (self.call, self.label, tuple(self.arguments), self.sources, loop)

    def walk(self) -> Iterator[Statement]:
        """Yield this statement and all statements in its bodies."""
        yield self
        for inner in (*self.body, *self.otherwise):
            yield from inner.walk()


class Hidden(TraceError):
    """A scope cannot refer to a layer, because a layer in an inner scope around it has the same name."""

    def __init__(self, target: Module | Call, scope: Module, value: int, shape: Shape) -> None:
        super().__init__(f"{target.label} is hidden from {scope.path}")
        self.target, self.scope, self.value, self.shape = target, scope, value, shape


class Writer:
    """Writes the statements of modules. `blocks` are the modules that become calls of blocks.

    `call` returns the name of a module's block and the arguments of its call. A trail, in the methods below,
    is a list of nested children that leads to a layer or module: each is a child of the one before.
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
        """Return True if a module becomes a group, where the language numbers layers without a label."""
        return module.parent is not None and module not in self.blocks

    def label_children(self, module: Module, named: set[Module | Call]) -> None:
        """Choose the labels of a module's children.

        A function without a name gets a label only if a statement refers to it or its scope numbers layers.
        """
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
        """Yield each child with the inputs that its statement must name; None if it uses the previous one."""
        previous = self.arriving(module)
        for child in module.children:
            taken = child.step.inputs if isinstance(child, Call) else self.taken(child, previous)
            chained = not joins(child) and taken in ((), (previous,))
            yield child, None if chained else taken
            previous = passed_on(child)

    def taken(self, module: Module, previous: int) -> tuple[int, ...]:
        """Return the input of an inner module, as a tuple; it is empty if the module has no input."""
        inputs = self.inputs[module]
        return (previous,) if previous in inputs else tuple(inputs[:1])

    def arriving(self, module: Module) -> int:
        """Return the value that the first statement of a module uses if it does not name its input."""
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
        """Return the statement of a call: an op, or `share` for a layer or module that is reused."""
        if (shared := self.shared(call)) is None:
            return Statement(call.step.op, arguments=dict(call.step.arguments), sources=sources)
        if not (trail := self.trail_to(shared, scope)):
            name = f"{shared.parent.path}.{shared.label}" if shared.parent else shared.label
            raise TraceError(f"{scope.path} reuses {name}, which is defined outside its block")
        layer = Expression(self.named(trail, scope))
        return Statement("share", arguments={"layer": layer}, sources=sources)

    def shared(self, call: Call) -> Module | Call | None:
        """Return the module or call that a call reuses; None if it reuses none."""
        if call.step.op == "share":
            return next(m for m in self.root.modules() if m.path == call.step.again.partition("@")[0])
        return None if call.step.shares is None else self.owner[call.step.shares]

    def reference(self, value: int, scope: Module) -> str:
        """Return the path with which a statement in a module refers to a value."""
        trail = self.trail(value, scope)
        return self.named(trail, scope) if trail else "in"

    def named(self, trail: list[Module | Call], scope: Module) -> str:
        """Return the dotted path with which a scope refers to the last child of a trail."""
        labels = self.path(trail, scope)
        if labels is None:
            hidden = self.labels[trail[0]]
            raise TraceError(
                f"cannot refer to `{hidden}`: a layer with the same name in an inner scope hides it"
            )
        parts = [quoted(label) for label in labels]
        parts[0] = f'"{parts[0]}"' if parts[0][0].isdigit() else parts[0]
        return ".".join(parts)

    def path(self, trail: list[Module | Call], scope: Module) -> list[str] | None:
        """Return the labels of a reference to the last child of a trail, seen from a scope.

        If a layer in an inner scope hides the first label, labels of outer modules are put in front of it.
        Return None if that is not possible, since a reference cannot leave a block.
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
        """Give a function without weights a unique label; return False if a call must keep its name."""
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
        """Return the trail from `scope` or a scope around it to a value; it is empty for a block's input.

        The trail ends at the outermost module whose output is the value, or at the call that computes it.
        """
        found = self.trail_to(self.owner[value], scope)
        last = next(
            (k for k, c in enumerate(found) if isinstance(c, Module) and c.output == value), len(found)
        )
        return found[: last + 1]

    def trail_to(self, child: Module | Call, scope: Module) -> list[Module | Call]:
        """Return the trail from the innermost scope around both `scope` and a child to the child.

        The trail is empty if a block lies between `scope` and that scope: a reference cannot leave a block.
        """
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
    """Return a label as it is written in a spec: in quotes unless it is an identifier or a number."""
    if "{" in label:
        return label
    plain = label.isdigit() or (label.isidentifier() and label.isascii())
    return label if plain and label not in words() else f'"{label}"'


NOTHING = -1
"""Stands for no value."""


def passed_on(child: Module | Call) -> int:
    """Return the value that the next statement uses by default; NOTHING for a raw tensor, which is named."""
    if isinstance(child, Module):
        return child.output
    return NOTHING if child.step.op in ("param", "buffer") else child.id


def joins(child: Module | Call) -> bool:
    """Return True if a child is a call with its inputs in parentheses, such as `add(a, b)`."""
    return isinstance(child, Call) and len(child.step.inputs) > 1 and OPS[child.step.op].kind == "merge"
