"""Breaks lines of generated source as ruff and Black do, at line lengths of 88 and more."""

from __future__ import annotations

from collections.abc import Iterator

LONGEST = 88
PAIRS = {"(": ")", "[": "]", "{": "}"}


def wrap(text: str, indent: int = 0, after: str = "") -> list[str]:
    """Return the lines of a statement or argument, broken if it is too long or has a trailing comma.

    `after` is appended to the last line. In a broken line, each argument of the outermost bracket gets its
    own line, with a trailing comma that keeps formatters from joining the lines; a single argument that ends
    in a bracket gets no comma.

    >>> print("\\n".join(wrap("x = nn.Sequential(nn.Linear(2, 2), nn.ReLU(),)")))
    x = nn.Sequential(
        nn.Linear(2, 2),
        nn.ReLU(),
    )
    """
    forced = any(f",{close}" in text for close in PAIRS.values())
    if not forced and indent + len(text) + len(after) <= LONGEST:
        return [text + after]
    begin = opening(text)
    if begin is None:
        return [text + after]
    parts = list(split(text[begin + 1 : -1]))
    single = len(parts) == 1 and not text[:-1].endswith(",") and parts[0][-1:] in PAIRS.values()
    lines = [text[: begin + 1]]
    for part in parts:
        lines += [f"    {line}" for line in wrap(part, indent + 4, "" if single else ",")]
    return [*lines, text[-1] + after]


def statement(text: str, indent: int) -> list[str]:
    """Return the lines of a statement at an indentation.

    The text may itself be indented, and may end in a colon.
    """
    own = len(text) - len(text.lstrip())
    colon = ":" if text.endswith("):") else ""
    lines = wrap(text.strip().removesuffix(colon), indent + own, colon)
    return [" " * (indent + own) + line for line in lines]


def opening(text: str) -> int | None:
    """Return the index of the bracket that the last character of a text closes, or None if it closes none."""
    if text[-1:] not in PAIRS.values():
        return None
    places: list[int] = []
    for place, character in outside_strings(text):
        if character in PAIRS:
            places.append(place)
        elif character in PAIRS.values():
            last = places.pop()
            if place == len(text) - 1:
                return last
    return None


def split(text: str) -> Iterator[str]:
    """Yield arguments, split at the commas between them.

    >>> list(split('a, f(b, c), "d, e",'))
    ['a', 'f(b, c)', '"d, e"']
    """
    depth = begin = 0
    for place, character in outside_strings(text):
        depth += (character in PAIRS) - (character in PAIRS.values())
        if character == "," and not depth:
            yield text[begin:place].strip()
            begin = place + 1
    if text[begin:].strip():
        yield text[begin:].strip()


def outside_strings(text: str) -> Iterator[tuple[int, str]]:
    """Yield the characters of a text outside string literals, with their indices."""
    quote, escaped = "", False
    for place, character in enumerate(text):
        if quote:
            closes = character == quote and not escaped
            escaped = character == "\\" and not escaped
            quote = "" if closes else quote
        elif character in "\"'":
            quote = character
        else:
            yield place, character


def repeated(texts: list[str]) -> Iterator[str]:
    """Yield the texts, with three or more equal ones in a row replaced by a comprehension.

    >>> list(repeated(["A()", "B(1)", "B(1)", "B(1)"]))
    ['A()', '*(B(1) for _ in range(3))']
    """
    begin = 0
    for end in range(1, len(texts) + 1):
        if end == len(texts) or texts[end] != texts[begin]:
            count = end - begin
            if count < 3:
                yield from texts[begin:end]
            else:
                yield f"*({texts[begin]} for _ in range({count}))"
            begin = end
