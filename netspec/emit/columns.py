"""Plain tables for a terminal: words to the left, figures to the right."""

from __future__ import annotations

from collections.abc import Sequence

from netspec.diagnostics import printable


def columns(head: Sequence[str], rows: Sequence[Sequence[str]], words: int = 1) -> str:
    """Align rows under a head; the first `words` columns hold words, the others figures.

    >>> print(columns(["name", "error"], [["a", "1.50 %"], ["other", "12.00 %"]]))
    name     error
    -----  -------
    a       1.50 %
    other  12.00 %
    """
    texts = [[printable(cell) for cell in row] for row in [head, *rows]]
    widths = [max(len(row[k]) for row in texts) for k in range(len(head))]
    texts.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "  ".join(
            cell.ljust(width) if k < words else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in texts
    )


def percent(share: float) -> str:
    """Spell a share.

    >>> percent(0.0975)
    '9.75 %'
    """
    return f"{share:.2%}".replace("%", " %")
