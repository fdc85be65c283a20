"""Formats tables for a terminal, as Markdown and as CSV; cells are escaped as each format requires."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from netspec.diagnostics import one_line


def align(head: Sequence[str], rows: Iterable[Sequence[str]], *, words: int = 1) -> str:
    """Return rows aligned below a head. The first `words` columns are left-aligned, the others right-aligned.

    >>> print(align(["name", "error"], [["a", "1.50 %"], ["other", "12.00 %"]]))
    name     error
    -----  -------
    a       1.50 %
    other  12.00 %
    """
    texts = [[one_line(cell) for cell in row] for row in [head, *rows]]
    widths = [max(len(row[k]) for row in texts) for k in range(len(head))]
    texts.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "  ".join(
            cell.ljust(width) if k < words else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in texts
    )


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]], *, words: int = 1) -> str:
    """Return a Markdown table. The first `words` columns are left-aligned, the others right-aligned.

    >>> print(markdown(["name", "n"], [["a|b", "1"]]))
    | name | n |
    | --- | ---: |
    | a\\|b | 1 |
    """
    rule = ["---" if k < words else "---:" for k in range(len(head))]
    texts = [[escape(cell) for cell in row] for row in rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in [list(head), rule, *texts])


def comma_separated(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return rows as CSV; text that a spreadsheet could take for a formula is prefixed with `'`.

    >>> comma_separated(["name", "n"], [["=1+1", -1]])
    "name,n\\n'=1+1,-1"
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(head)
    writer.writerows([_harmless(cell) for cell in row] for row in rows)
    return out.getvalue().rstrip("\n")


def percent(share: float) -> str:
    """Return a fraction as a percentage.

    >>> percent(0.0975)
    '9.75 %'
    """
    return f"{share:.2%}".replace("%", " %")


def escape(cell: str) -> str:
    """Return a text escaped for a cell of a Markdown table."""
    text = one_line(cell).replace("\\", "\\\\").replace("|", "\\|")
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _harmless(cell: object) -> object:
    return "'" + cell if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell
