"""Text in drawings, escaped so that Graphviz never interprets text from a spec as markup."""

from __future__ import annotations

import html
from collections.abc import Sequence

UNITS = (("T", 10**12), ("G", 10**9), ("M", 10**6), ("k", 10**3))


def escape(text: str) -> str:
    r"""Return a text that is safe in DOT, both in quotes and in HTML-like labels, and therefore in SVG.

    XML's special characters become entities, unprintable characters become spaces, and backslashes are
    doubled, since Graphviz would replace `\N` and `\G` by names in both kinds of labels.

    >>> print(escape(r'<b> & "q" \N'), escape("a\x00b"))
    &lt;b&gt; &amp; &quot;q&quot; \\N a b
    """
    return html.escape("".join(c if c.isprintable() else " " for c in text)).replace("\\", "\\\\")


def quote(*lines: str) -> str:
    r"""Return lines as one quoted string of DOT.

    >>> print(quote(r"a\N", 'say "hi"'))
    "a\\N\nsay &quot;hi&quot;"
    """
    return '"' + "\\n".join(map(escape, lines)) + '"'


def short(count: int) -> str:
    """Return a count with three digits and a unit.

    >>> short(999), short(34_944), short(999_999), short(1_135_256_096)
    ('999', '34.9k', '1M', '1.14G')
    """
    for unit, scale in UNITS:
        if count >= 0.9995 * scale:
            return f"{count / scale:.3g}{unit}"
    return str(count)


def shorten(text: str, most: int) -> str:
    """Return a text, truncated to `most` characters if it is longer.

    >>> shorten("Inception(64, 96, 128)", 18)
    'Inception(64, 96…'
    """
    return text if len(text) <= most else text[: most - 1].rstrip(" ,") + "…"


def wrap(parts: Sequence[str], most: int, between: str = ", ") -> list[str]:
    """Return parts joined into lines of about equal length, with at most `most` characters each.

    >>> wrap(["conv 64", "7x7", "stride 2", "padding 3"], 30)
    ['conv 64, 7x7,', 'stride 2, padding 3']
    """
    lines = fill(parts, most, between)
    while 1 < len(lines) < len(parts) and len(tighter := fill(parts, most := most - 1, between)) == len(
        lines
    ):
        lines = tighter
    return lines


def fill(parts: Sequence[str], most: int, between: str) -> list[str]:
    """Return parts joined into lines, with as many parts in each as fit."""
    lines: list[str] = []
    for part in parts:
        if lines and len(lines[-1]) + len(between) + len(part) <= most:
            lines[-1] += between + part
        else:
            lines = [*lines[:-1], lines[-1] + between.rstrip(" ·"), part] if lines else [part]
    return lines
