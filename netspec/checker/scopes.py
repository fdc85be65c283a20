"""Resolves names: labels of layers, and the shapes used in expressions."""

from __future__ import annotations

from dataclasses import dataclass, replace

from netspec.checker.context import Context, Site, Value
from netspec.checker.layers import Layers
from netspec.checker.naming import UNKNOWN, Entry, Naming, find
from netspec.diagnostics import Span
from netspec.language import ast as t
from netspec.language.names import Fault, Names, Unknown
from netspec.shape import Shape

DEEPEST = 120


@dataclass
class Scopes:
    """Opens scopes, and resolves references to the layers built so far."""

    layers: Layers

    def resolve(self, path: t.Path, ctx: Context) -> Value:
        """Return the id of the node that `path` names; `in` names the input of the block or network.

        Raises:
            Fault: no earlier layer has this name.
        """
        if path.parts == ("in",):
            return ctx.input if ctx.calls else self.layers.first_input()
        return find(path, ctx.naming, ctx.names).value

    def shape_of(self, expr: t.Expr, naming: Naming, names: Names, block_input: Value) -> Shape | None:
        """Return the shape that an expression such as `conv1` in `conv1.height` refers to.

        Returns None if the expression does not name a layer or `in`.
        """
        path = layer_path(expr)
        if path is None or isinstance(expr, t.Literal):
            return None
        if path.parts == ("in",):
            value = self.layers.first_input() if block_input is None else block_input
            if value is None:
                return None
        else:
            try:
                value = find(path, naming, names).value
            except Fault:
                return None
        if value == UNKNOWN:
            raise Unknown
        return self.layers.nodes[value].shape

    def names_for(self, parent: Names, naming: Naming, block_input: Value) -> Names:
        """Return the names visible inside a scope; expressions can also use the shapes of its layers."""
        names = parent.child()
        names.shape_of = lambda expr: self.shape_of(expr, naming, names, block_input)
        return names

    def enter(self, ctx: Context, naming: Naming) -> Context:
        """Return the context inside a scope."""
        names = self.names_for(ctx.names, naming, ctx.input)
        return replace(ctx, names=names, naming=naming, branches=None, blocks=dict(ctx.blocks))

    def open(self, site: Site) -> Naming:
        """Return a new scope for a labelled group; for an unlabelled group, return the enclosing scope."""
        outer = site.ctx.naming
        if site.label is None:
            return outer
        outer.position += 1
        refuse_depth(outer, site.span)
        naming = outer.inner(site.label, numbered=True)
        outer.add(site.label, Entry(UNKNOWN, site.span, naming))
        return naming

    def set_value(self, label: str | None, value: Value, naming: Naming) -> None:
        """Set the node that a label refers to, once the last layer of its group or block is known."""
        if label:
            naming.entries[label].value = UNKNOWN if value is None else value


def refuse_depth(naming: Naming, span: Span) -> None:
    """Raise a fault if blocks and groups are nested more than `DEEPEST` deep."""
    if naming.depth >= DEEPEST:
        message = f"blocks and groups are nested more than {DEEPEST} deep"
        raise Fault("too-large", message, span.first_line())


def layer_path(expr: t.Expr) -> t.Path | None:
    """Convert an expression such as `conv1` or `stem.0` to the path of a layer, or return None."""
    match expr:
        case t.Name():
            return t.Path(expr.span, (expr.id,))
        case t.Reference():
            return expr.path
        case t.Literal(value=str()):
            return t.Path(expr.span, tuple(str(expr.value).split(".")))
        case t.Literal(value=int()):
            return t.Path(expr.span, (expr.text,))
        case t.Attribute():
            inner = layer_path(expr.value)
            return t.Path(expr.span, (*inner.parts, *expr.name.split("."))) if inner else None
    return None
