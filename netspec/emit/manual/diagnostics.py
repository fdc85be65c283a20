"""Explains diagnostic codes, as text for a terminal and as docs/diagnostics.md."""

from __future__ import annotations

from textwrap import fill, indent

from netspec.codes import CODES, Explanation
from netspec.language.values import spell
from netspec.tables import align


def diagnostics_manual() -> str:
    """Return docs/diagnostics.md: every code with its meaning, an example and the corrected example."""
    parts = [
        "# Diagnostics",
        "Generated from `netspec/codes/` by `make docs`. `netspec explain CODE` prints one section.",
    ]
    for code in sorted(CODES):
        e = CODES[code]
        parts += [f"## {code}", f"{e.title} ({e.severity}).", e.text, markdown_example(e)]
    return "\n\n".join(parts) + "\n"


def markdown_example(e: Explanation) -> str:
    """Return an example and its correction as fenced blocks."""
    parts = [f"Reported for{how(e, mended=False)}:", fenced(e.failing()) if e.example else "an empty file."]
    parts += [f"Correct{how(e, mended=True)}:", fenced(e.mended())]
    return "\n\n".join(parts)


def fenced(text: str) -> str:
    return f"```\n{text.rstrip()}\n```"


def how(e: Explanation, *, mended: bool) -> str:
    """Return the options with which an example is checked, as text that begins with `with`."""
    given = e.mended_arguments if mended else e.arguments
    settings = " and ".join(f"`--set {name}={spell(value)}`" for name, value in given.items())
    parts = [settings, f"`--data {e.data}`" if e.data else ""]
    return "".join(f" with {part}" for part in parts if part)


def explain_code(e: Explanation) -> str:
    """Return the explanation of a code for a terminal."""
    failing, mended = (indent(text.rstrip(), "    ") for text in (e.failing(), e.mended()))
    parts = [
        f"{e.severity}[{e.code}]: {e.title}",
        fill(e.text, 90),
        f"Reported for{how(e, mended=False)}:".replace("`", ""),
        failing if e.example else "    an empty file",
        f"Correct{how(e, mended=True)}:".replace("`", ""),
        mended,
        e.url,
    ]
    return "\n\n".join(parts)


def list_codes() -> str:
    """Return a table of all codes with their titles, for a terminal."""
    return align(["code", "meaning"], [[code, CODES[code].title] for code in sorted(CODES)], words=2)
