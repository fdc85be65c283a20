"""Symbolic numbers: the numbers in a generated class as Python expressions in the class's parameters."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from netspec.emit.torch.names import identifier
from netspec.graph import Net, Node, Scope
from netspec.ops import Op
from netspec.shape import Grid, Shape, ShapeError

IN_CHANNELS = "in_channels"
"""The parameter of a generated class that is the number of channels of its input."""
FREE = "free__"
"""The prefix of free names. A free name stands for a number that depends on no parameter."""


MARK = "\x01"


class Number:
    """A number with the expression that computes it; arithmetic on the number also builds its expression."""

    expression: ast.expr

    def __format__(self, spec: str) -> str:
        """Return the number with its expression between marks, so that `marked` can replace both later."""
        text = ast.unparse(self.expression).encode().hex()
        return format(plain(self), spec) if spec else f"{MARK}{plain(self)}_{text}{MARK}"

    def __add__(self, other: Any) -> Any:
        return combine(operator.add, ast.Add(), self, other)

    def __radd__(self, other: Any) -> Any:
        return combine(operator.add, ast.Add(), other, self)

    def __sub__(self, other: Any) -> Any:
        return combine(operator.sub, ast.Sub(), self, other)

    def __mul__(self, other: Any) -> Any:
        return combine(operator.mul, ast.Mult(), self, other)

    def __rmul__(self, other: Any) -> Any:
        return combine(operator.mul, ast.Mult(), other, self)

    def __floordiv__(self, other: Any) -> Any:
        return combine(operator.floordiv, ast.FloorDiv(), self, other)


class Whole(Number, int):
    """An integer with its expression."""


class Real(Number, float):
    """A floating-point number with its expression."""


def symbol(value: object, expression: ast.expr) -> Any:
    """Return a number, or a tuple of numbers, with its expression. Other values are returned unchanged."""
    if isinstance(value, tuple):
        sides = expression.elts if isinstance(expression, ast.Tuple) else [expression] * len(value)
        if len(sides) != len(value) or (len(set(value)) > 1 and not isinstance(expression, ast.Tuple)):
            return value
        made = tuple(map(symbol, value, sides))
        return made if isinstance(expression, ast.Tuple) else (made[0],) * len(made)
    number: Whole | Real
    if isinstance(value, int) and not isinstance(value, bool):
        number = Whole(value)
    elif isinstance(value, float):
        number = Real(value)
    else:
        return value
    number.expression = expression
    return number


def combine(function: Callable[[Any, Any], Any], sign: ast.operator, left: Any, right: Any) -> Any:
    """Return the result of an operator on numbers, with its expression; `+ 0` and `* 1` are left out."""
    if not isinstance(left, int | float) or not isinstance(right, int | float):
        return NotImplemented
    value = function(plain(left), plain(right))
    neutral = 0 if isinstance(sign, ast.Add | ast.Sub) else 1
    if not isinstance(right, Number) and right == neutral:
        return symbol(value, expression_of(left))
    if not isinstance(left, Number) and left == neutral and isinstance(sign, ast.Add | ast.Mult):
        return symbol(value, expression_of(right))
    return symbol(value, ast.BinOp(expression_of(left), sign, expression_of(right)))


def plain(number: Any) -> Any:
    """Return a number without its expression."""
    if isinstance(number, float):
        return float(number)
    return int(number) if isinstance(number, int) and not isinstance(number, bool) else number


def expression_of(number: object) -> ast.expr:
    """Return the expression of a number, or a literal for a number without one."""
    return number.expression if isinstance(number, Number) else literal(number)


def names_in(expression: ast.expr) -> list[str]:
    """Return the variables in an expression, in order and without duplicates."""
    functions = {id(n.func) for n in ast.walk(expression) if isinstance(n, ast.Call)}
    nodes = (n for n in ast.walk(expression) if isinstance(n, ast.Name) and id(n) not in functions)
    return list(dict.fromkeys(n.id for n in nodes))


class Replace(ast.NodeTransformer):
    """Replaces names in an expression by other expressions."""

    def __init__(self, replacements: Mapping[str, ast.expr]) -> None:
        self.replacements = replacements

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.replacements.get(node.id, node)


def replaced(expression: ast.expr, replacements: Mapping[str, ast.expr]) -> ast.expr:
    """Return an expression with names replaced by other expressions."""
    made: ast.expr = Replace(replacements).visit(ast.parse(ast.unparse(expression), mode="eval").body)
    return made


def marked(text: str, write: Callable[[Number], str]) -> str:
    """Return a text in which each marked number is replaced by what `write` returns for it."""

    def replace(match: re.Match[str]) -> str:
        expression = ast.parse(bytes.fromhex(match[2]).decode(), mode="eval").body
        return write(symbol(ast.literal_eval(match[1]), expression))

    return re.sub(rf"{MARK}(-?[\d.e+-]+)_([0-9a-f]*){MARK}", replace, text)


def free(path: str, field: str) -> str:
    """Return a free name for the number in `field` of the layer at `path`."""
    return f"{FREE}{path.encode().hex()}_{field}"


class Symbols:
    """The layers and shapes of a network, with symbolic numbers.

    The owner of a layer is the innermost block around it, or the network. The expressions in a block use its
    parameters, `in_channels`, and free names. `values` has the values of all these names, by the path of the
    owner.
    """

    def __init__(self, net: Net) -> None:
        self.net = net
        self.owners: dict[str, Scope] = {}
        self.values: dict[str, dict[str, object]] = {}
        self.arguments: dict[str, dict[str, ast.expr]] = {}
        """The expressions of a block's parameters in the names of the block around it, by its path."""
        self.bindings: dict[str, dict[str, ast.expr]] = {}
        """The names that a block defines, with their expressions, by the path of the block."""
        self._shapes: dict[tuple[str, int], Shape] = {}
        self._ops: dict[int, Op] = {}
        self._users: dict[int, set[int]] = {}
        for node in net.nodes:
            for i in node.inputs:
                self._users.setdefault(i, set()).add(node.id)
        self._returned = {output.node for output in net.outputs}
        self.owners[net.root.path] = net.root
        self.values[net.root.path] = {}
        self._visit(net.root, net.root)

    def op(self, node: Node) -> Op:
        """Return a layer's op with symbolic arguments."""
        return self._ops.get(node.id, node.op)

    def shape(self, owner: Scope, value: int) -> Shape:
        """Return the output shape of node `value`. Its sizes are expressions in the names of `owner`."""
        return self._shapes.get((owner.path, value), self.net.nodes[value].shape)

    def shapes(self, owner: Scope, node: Node) -> tuple[Shape, ...]:
        """Return the shapes of a layer's inputs. Their sizes are expressions in the names of `owner`."""
        return tuple(self.shape(owner, i) for i in node.inputs)

    def _visit(self, scope: Scope, owner: Scope) -> None:
        for child in scope.children:
            if isinstance(child, Scope) and child.block:
                self._block(child, owner)
            elif isinstance(child, Scope):
                self.owners[child.path] = owner
                self._visit(child, owner)
            else:
                self._node(self.net.nodes[child], owner)

    def _node(self, node: Node, owner: Scope) -> None:
        """Store a layer's op with symbolic arguments, and the output shape inferred from them."""
        if node.op.kind == "input":
            return
        path = node.name[len(owner.path) :]
        fields: dict[str, Any] = {}
        for name in type(node.op).model_fields:
            value = getattr(node.op, name)
            if name in node.expressions:
                fields[name] = symbol(value, parsed(node.expressions[name]))
            else:
                fields[name] = self._free(value, free(path, name), self.values[owner.path])
        self._ops[node.id] = op = node.op.model_copy(update=fields)
        try:
            shape = op.output(*self.shapes(owner, node))
        except (ShapeError, TypeError):
            return
        if shape == node.shape and type(shape) is type(node.shape):
            self._shapes[owner.path, node.id] = shape

    def _free(self, value: object, name: str, values: dict[str, object]) -> Any:
        """Return an argument with a free name as its expression; a tuple of unequal sides gets several."""
        if isinstance(value, tuple) and len(set(value)) > 1:
            return tuple(self._free(v, f"{name}_{k}", values) for k, v in enumerate(value))
        values[name] = value[0] if isinstance(value, tuple) and value else value
        return symbol(value, ast.Name(name))

    def _block(self, scope: Scope, owner: Scope) -> None:
        """Visit a block and express the shapes of its outputs in the names of the block around it."""
        self.owners[scope.path] = scope
        inside = set(scope.ids())
        inputs = list(
            dict.fromkeys(i for n in scope.ids() for i in self.net.nodes[n].inputs if i not in inside)
        )
        values: dict[str, object] = {identifier(n): v for n, v in scope.arguments.items()}
        arguments = {
            identifier(n): parsed(scope.expressions[n]) if n in scope.expressions else literal(v)
            for n, v in scope.arguments.items()
        }
        if inputs and IN_CHANNELS not in values:
            outer = self.shape(owner, inputs[0])
            sizes = list(self.net.nodes[inputs[0]].shape)
            place = 2 if isinstance(outer, Grid) else 0 if len(outer) == 3 else len(outer) - 1
            arguments[IN_CHANNELS] = expression_of(outer[place])
            values[IN_CHANNELS] = sizes[place]
            sizes[place] = symbol(sizes[place], ast.Name(IN_CHANNELS))
            self._shapes[scope.path, inputs[0]] = type(outer)(sizes)
        for name, (text, value) in scope.bindings.items():
            values[identifier(name)] = value
            self.bindings.setdefault(scope.path, {})[identifier(name)] = parsed(text)
            arguments[identifier(name)] = replaced(parsed(text), arguments)
        self.values[scope.path], self.arguments[scope.path] = values, arguments
        self._visit(scope, scope)
        path = scope.path[len(owner.path) :]
        for name, value in self.values[scope.path].items():
            if name not in arguments:
                arguments[name] = ast.Name(free(path, name))
                self.values[owner.path][free(path, name)] = value
        for i in self._outputs(scope, inside):
            self._shapes[owner.path, i] = type(self.net.nodes[i].shape)(
                symbol(plain(n), replaced(n.expression, arguments)) if isinstance(n, Number) else n
                for n in self.shape(scope, i)
            )

    def _outputs(self, scope: Scope, inside: set[int]) -> Iterator[int]:
        """Yield the ids of nodes in a scope whose outputs are used outside it."""
        for i in inside:
            if i in self._returned or not self._users.get(i, set()) <= inside:
                yield i


def parsed(text: str) -> ast.expr:
    """Return an argument's expression as a syntax tree, with names that are valid in Python.

    The checker writes each parameter with a leading `_`, so that no name is a Python keyword.
    """
    tree = ast.parse(text, mode="eval").body
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id.startswith("_"):
            node.id = identifier(node.id[1:])
    return tree


def literal(value: object) -> ast.expr:
    """Return a plain value, such as 3, as a syntax tree."""
    return ast.parse(repr(value), mode="eval").body
