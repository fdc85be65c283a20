"""Net to HTML: its table, as notebooks show it."""

from __future__ import annotations

from html import escape

from netspec.diagnostics import printable
from netspec.emit.formats.table import COLUMNS, cells
from netspec.emit.rows import rows
from netspec.emit.summary import title, totals
from netspec.graph import Net
from netspec.memory import estimate

LARGEST = 400
"""The most rows that a notebook shows; larger networks are folded to their outermost blocks."""


def table(net: Net) -> str:
    """The table of layers and the totals below it; text from the spec is escaped."""
    body = rows(net)
    body = body if len(body) <= LARGEST else rows(net, 1)
    lines = [f"<table><caption>{text(title(net))}</caption>", f"<thead>{line('th', COLUMNS)}</thead><tbody>"]
    lines += [line("td", cells(row, ops=False)) for row in body]
    sums = "".join(f"<li>{text(sentence)}</li>" for sentence in totals(net, estimate(net)))
    return "\n".join([*lines, f"</tbody></table><ul>{sums}</ul>"])


def line(tag: str, texts: tuple[str, ...] | list[str]) -> str:
    """One row; words to the left, figures to the right."""
    aligned = ("left" if k < 3 else "right" for k in range(len(texts)))
    made = (f'<{tag} style="text-align:{a}">{text(t)}</{tag}>' for a, t in zip(aligned, texts, strict=True))
    return f"<tr>{''.join(made)}</tr>"


def text(value: str) -> str:
    return escape(printable(value))
