"""Layouts: source for a generated `__init__`, with placeholders for what differs between instances."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from netspec.emit.torch.loops import Loop
from netspec.emit.torch.names import unique
from netspec.emit.torch.style import repeated
from netspec.language.values import python


@dataclass(frozen=True)
class Number:
    """A placeholder for a number, such as a channel count. `place` is its index in the class's numbers."""

    place: int


@dataclass(frozen=True)
class Raw:
    """Source text that is the same in every instance."""

    text: str


@dataclass(frozen=True)
class Inner:
    """A placeholder for a call of another generated class. `place` is its index in the class's calls."""

    place: int


@dataclass(frozen=True)
class Call:
    """A call of a PyTorch class or function. An option has a name, a value and the default value."""

    function: str
    args: tuple[Number | Call | Raw, ...]
    options: tuple[tuple[str, Number, object], ...]


@dataclass(frozen=True)
class Chain:
    """An nn.Sequential with its modules and their names."""

    parts: tuple[tuple[str, Layout], ...]


def is_list(names: Collection[str]) -> bool:
    """Return True if the names are 0, 1, 2, ..., in any order."""
    return set(names) == {str(k) for k in range(len(names))}


@dataclass(frozen=True)
class Bag:
    """An nn.ModuleList, ModuleDict, ParameterList or ParameterDict: its members are used one by one."""

    parts: tuple[tuple[str, Layout], ...]

    @property
    def listed(self) -> bool:
        """Whether the members are named 0, 1, 2, ..., as in an nn.ModuleList."""
        return is_list([name for name, _ in self.parts])


@dataclass(frozen=True)
class Buffer:
    """A tensor that is registered with `register_buffer`."""

    name: str
    value: Call


@dataclass(frozen=True)
class Held:
    """A raw tensor in a container of modules, registered after the container is created.

    `place` is the source that accesses the container.
    """

    place: str
    name: str
    value: Call | Buffer


Layout: TypeAlias = "Number | Raw | Inner | Call | Chain | Bag | Buffer | Held"


@dataclass
class Writer:
    """Writes layouts as Python source, with `numbers` and `inner` in their placeholders.

    `statements` must precede the statement that contains the text: they are loops that fill the rows of an
    nn.Sequential, in local variables whose names are not in `taken`.
    """

    numbers: Sequence[str]
    inner: Sequence[str]
    taken: set[str]
    statements: list[str] = field(default_factory=list)

    def write(self, layout: Layout, name: str = "") -> str:
        """Return the source of a layout; `name` is the name of the module in its parent."""
        match layout:
            case Number():
                return self.numbers[layout.place]
            case Raw():
                return layout.text
            case Buffer():
                return f"self.register_buffer({python(layout.name)}, {self.write(layout.value)})"
            case Held():
                raw = layout.value.value if isinstance(layout.value, Buffer) else layout.value
                kind = "buffer" if isinstance(layout.value, Buffer) else "parameter"
                return f"{layout.place}.register_{kind}({python(layout.name)}, {self.write(raw)})"
            case Inner():
                return self.inner[layout.place]
            case Call():
                args = [self.write(a) for a in layout.args]
                options = [(key, self.numbers[hole.place], default) for key, hole, default in layout.options]
                args += [f"{key}={text}" for key, text, default in options if text != python(default)]
                return f"{layout.function}({', '.join(args)})"
            case Bag():
                return self.bag(layout)
            case Chain():
                return self.chain(layout, name)

    def bag(self, layout: Bag) -> str:
        """Return the source of a list or dictionary of modules or parameters."""
        if not layout.parts:
            return "nn.ModuleDict()"
        tensors = all(isinstance(p, Call) and p.function == "nn.Parameter" for _, p in layout.parts)
        kind = "nn.Parameter" if tensors else "nn.Module"
        if layout.listed:
            parts = sorted(layout.parts, key=lambda part: int(part[0]))
            return f"{kind}List([{', '.join(self.write(part) for _, part in parts)},])"
        pairs = ", ".join(f"{python(name)}: {self.write(part, name)}" for name, part in layout.parts)
        return f"{kind}Dict({{{pairs},}})"

    def chain(self, layout: Chain, name: str) -> str:
        """Return the source of an nn.Sequential; rows that differ only in numbers are written as a loop."""
        texts = [(n, self.write(part, n)) for n, part in layout.parts]
        if [n for n, _ in texts] == [str(k) for k in range(len(texts))]:
            return f"nn.Sequential({', '.join(repeated([text for _, text in texts]))},)"
        loop = Loop.of(texts)
        if loop is None or not name:
            pairs = ", ".join(f"({python(n)}, {text})" for n, text in texts)
            return f"nn.Sequential(OrderedDict([{pairs},]))"
        rows, index = unique(name, {"i", *self.taken}), unique("i", self.taken)
        self.taken.add(rows)
        self.statements += loop.lines(rows, index)
        return f"nn.Sequential({rows})"
