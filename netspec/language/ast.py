"""The syntax tree: what a `.net` file says, with a span on every node."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from netspec.diagnostics import Source, Span


@dataclass(frozen=True)
class Tree:
    """Any node; two are equal when they say the same, wherever they stand."""

    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True)
class Literal(Tree):
    """A number, text, `true`, `false` or `none`, and how it was written."""

    value: object
    text: str = field(compare=False)


@dataclass(frozen=True)
class Name(Tree):
    id: str


@dataclass(frozen=True)
class List(Tree):
    items: tuple[Expr, ...]


@dataclass(frozen=True)
class Table(Tree):
    pairs: tuple[tuple[Expr, Expr], ...]


@dataclass(frozen=True)
class Size(Tree):
    """`3x227x227`; a part is None where `?` stands."""

    parts: tuple[Expr | None, ...]


@dataclass(frozen=True)
class Unary(Tree):
    op: str
    operand: Expr


@dataclass(frozen=True)
class Binary(Tree):
    """An arithmetic operator, or `and`, `or`, between two operands."""

    op: str
    left: Expr
    right: Expr


@dataclass(frozen=True)
class Compare(Tree):
    first: Expr
    rest: tuple[tuple[str, Expr], ...]


@dataclass(frozen=True)
class Choice(Tree):
    """`yes if condition else no`."""

    condition: Expr
    yes: Expr
    no: Expr


@dataclass(frozen=True)
class Index(Tree):
    value: Expr
    index: Expr


@dataclass(frozen=True)
class Slice(Tree):
    """`items[start:stop]`; either can be left out."""

    value: Expr
    start: Expr | None
    stop: Expr | None


@dataclass(frozen=True)
class Attribute(Tree):
    value: Expr
    name: str


@dataclass(frozen=True)
class Argument(Tree):
    name: str | None
    value: Expr


@dataclass(frozen=True)
class CallExpr(Tree):
    name: str
    arguments: tuple[Argument, ...]


@dataclass(frozen=True)
class Reference(Tree):
    """A layer whose name is computed, `up{i}`, among the arguments of a join or of `share`."""

    path: Path


Expr: TypeAlias = (
    "Literal | Name | Reference | List | Table | Size | Unary | Binary | Compare | Choice | Index | Slice"
    " | Attribute | CallExpr | Broken"
)


@dataclass(frozen=True)
class Body(Tree):
    statements: tuple[Statement, ...]


@dataclass(frozen=True)
class Parameter(Tree):
    name: str
    default: Expr | None


@dataclass(frozen=True)
class Network(Tree):
    name: str
    parameters: tuple[Parameter, ...]
    citation: str | None


@dataclass(frozen=True)
class Use(Tree):
    path: str


@dataclass(frozen=True)
class Input(Tree):
    name: str
    shape: Size


@dataclass(frozen=True)
class Block(Tree):
    name: str
    parameters: tuple[Parameter, ...]
    body: Body


@dataclass(frozen=True)
class Bind(Tree):
    name: str
    value: Expr


@dataclass(frozen=True)
class Default(Tree):
    op: str
    arguments: tuple[Argument, ...]


@dataclass(frozen=True)
class Apply(Tree):
    """An op or block by name, `conv(96, 11)`."""

    name: str
    arguments: tuple[Argument, ...]


@dataclass(frozen=True)
class Join(Tree):
    """A merging op over branches, `concat { ... }`."""

    name: str
    arguments: tuple[Argument, ...]
    body: Body


@dataclass(frozen=True)
class Group(Tree):
    body: Body


@dataclass(frozen=True)
class Label(Tree):
    """A label: text, and expressions where braces stand in it."""

    parts: tuple[str | Expr, ...]


@dataclass(frozen=True)
class Path(Tree):
    """A dotted name of a layer or group; a part with expressions in it is a label."""

    parts: tuple[str | Label, ...]

    def __str__(self) -> str:
        return ".".join(p if isinstance(p, str) else p.span.text for p in self.parts)


@dataclass(frozen=True)
class Layer(Tree):
    label: Label | None
    action: Apply | Join | Group
    sources: tuple[Path, ...]
    claim: Size | None


@dataclass(frozen=True)
class Repeat(Tree):
    count: Expr
    body: Body


@dataclass(frozen=True)
class For(Tree):
    names: tuple[str, ...]
    values: Expr
    body: Body


@dataclass(frozen=True)
class If(Tree):
    condition: Expr
    yes: Body
    no: Body | None


@dataclass(frozen=True)
class Output(Tree):
    paths: tuple[Path, ...]
    when: str | None
    arguments: tuple[Argument, ...]


@dataclass(frozen=True)
class Expect(Tree):
    claims: tuple[Argument, ...]


@dataclass(frozen=True)
class Setting(Tree):
    name: str
    value: Expr


@dataclass(frozen=True)
class Train(Tree):
    settings: tuple[Setting, ...]
    citation: str | None = None


@dataclass(frozen=True)
class Broken(Tree):
    """A statement that could not be read; it was reported where it stands."""


Statement: TypeAlias = (
    Network
    | Use
    | Input
    | Block
    | Bind
    | Default
    | Layer
    | Repeat
    | For
    | If
    | Output
    | Expect
    | Train
    | Broken
)


@dataclass(frozen=True)
class File(Tree):
    """A whole file; comments, by offset, are kept for the formatter."""

    body: Body
    comments: tuple[tuple[int, str], ...] = field(compare=False, repr=False)

    @property
    def source(self) -> Source:
        return self.span.source
