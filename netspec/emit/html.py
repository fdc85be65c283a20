"""The table of a network in HTML, for notebooks."""

from __future__ import annotations

from collections.abc import Container, Mapping
from html import escape

from netspec.diagnostics import printable
from netspec.emit.formats.table import COLUMNS, cells
from netspec.emit.rows import rows
from netspec.emit.summary import title, totals
from netspec.graph import Net
from netspec.memory import estimate

LARGEST = 400
"""The maximum number of rows. A larger network shows only its outermost blocks, groups and layers."""


def table(net: Net) -> str:
    """Return the table of layers and the totals below it; text from the spec is escaped."""
    body = rows(net)
    body = body if len(body) <= LARGEST else rows(net, 1)
    lines = [f"<table><caption>{text(title(net))}</caption>", f"<thead>{line('th', COLUMNS)}</thead><tbody>"]
    lines += [line("td", cells(row, ops=False)) for row in body]
    sums = "".join(f"<li>{text(sentence)}</li>" for sentence in totals(net, estimate(net)))
    return "\n".join([*lines, f"</tbody></table><ul>{sums}</ul>"])


def line(tag: str, texts: tuple[str, ...] | list[str]) -> str:
    """Return one row, with text aligned left and numbers aligned right."""
    aligned = ("left" if k < 3 else "right" for k in range(len(texts)))
    made = (f'<{tag} style="text-align:{a}">{text(t)}</{tag}>' for a, t in zip(aligned, texts, strict=True))
    return f"<tr>{''.join(made)}</tr>"


def text(value: str) -> str:
    return escape(printable(value))


def media_types(
    bundle: Mapping[str, str], include: Container[str] | None, exclude: Container[str] | None
) -> dict[str, str]:
    """Return the representations that a notebook asks for, by media type."""
    return {
        kind: text
        for kind, text in bundle.items()
        if (include is None or kind in include) and (exclude is None or kind not in exclude)
    }
