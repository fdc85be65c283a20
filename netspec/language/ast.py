"""The syntax tree of a `.net` file; every node has a span."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from netspec.diagnostics import Source, Span


@dataclass(frozen=True)
class Tree:
    """The base class of all nodes; spans do not affect equality."""

    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True)
class Literal(Tree):
    """A number, string, `true`, `false` or `none`. `text` is its spelling in the source."""

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
    """A size such as `3x227x227`; None in `parts` stands for `?`."""

    parts: tuple[Expr | None, ...]


@dataclass(frozen=True)
class Unary(Tree):
    op: str
    operand: Expr


@dataclass(frozen=True)
class Binary(Tree):
    """An arithmetic operator, or `and` or `or`, with two operands."""

    op: str
    left: Expr
    right: Expr


@dataclass(frozen=True)
class Compare(Tree):
    first: Expr
    rest: tuple[tuple[str, Expr], ...]


@dataclass(frozen=True)
class Choice(Tree):
    """A conditional expression, `yes if condition else no`."""

    condition: Expr
    yes: Expr
    no: Expr


@dataclass(frozen=True)
class Index(Tree):
    value: Expr
    index: Expr


@dataclass(frozen=True)
class Slice(Tree):
    """A slice, `value[start:stop]`; either bound can be omitted."""

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
    """A reference to a layer with a computed name such as `up{i}`, as an argument of a join or `share`."""

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
    arguments: tuple[Argument, ...] = ()


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
    """A call of an op or block, such as `conv(96, 11)`."""

    name: str
    arguments: tuple[Argument, ...]


@dataclass(frozen=True)
class Join(Tree):
    """A join of branches, such as `concat { ... }`."""

    name: str
    arguments: tuple[Argument, ...]
    body: Body


@dataclass(frozen=True)
class Group(Tree):
    body: Body


@dataclass(frozen=True)
class Label(Tree):
    """A label such as `conv{i}`: a sequence of texts and of the expressions in braces."""

    parts: tuple[str | Expr, ...]


@dataclass(frozen=True)
class Path(Tree):
    """The dotted name of a layer or group. A part of it that contains expressions is a `Label`."""

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
class Assert(Tree):
    """A condition on the parameters of a network or block, and the message shown if it is false."""

    condition: Expr
    message: str


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
    """A statement or expression with a syntax error that has already been reported."""


Statement: TypeAlias = (
    "Network | Use | Input | Block | Bind | Default | Layer | Repeat | For | If | Output | Expect | Assert"
    " | Train | Broken"
)


@dataclass(frozen=True)
class File(Tree):
    """A whole file. `comments` are pairs of an offset and a text, kept for the formatter."""

    body: Body
    comments: tuple[tuple[int, str], ...] = field(compare=False, repr=False)

    @property
    def source(self) -> Source:
        return self.span.source
