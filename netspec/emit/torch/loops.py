"""Writes rows of an nn.Sequential that differ only in numbers as a loop."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

SHORTEST = 4
"""The minimum number of rows of a loop."""
NUMBER = re.compile(r"(?:(?<=[(=])|(?<=, ))\d+(?=[,)])")
"""An integer that is a whole argument."""
NAME = re.compile(r"(.*?)(0|[1-9]\d*)")
"""A name that ends in a number."""


@dataclass(frozen=True)
class Loop:
    """Rows whose names count up and whose numbers change in equal steps: `a0: B(64)`, `a1: B(96)`, ..."""

    prefix: str
    start: int
    count: int
    text: str
    """The source of the first row."""
    steps: tuple[int, ...]
    """The difference of each number in `text` from row to row."""

    @staticmethod
    def of(rows: Sequence[tuple[str, str]]) -> Loop | None:
        """Return the loop that produces exactly these names and texts, or None if there is none.

        >>> rows = [(f"layer{k + 1}", f"B({64 + 32 * k}, 32)") for k in range(6)]
        >>> print("\\n".join(Loop.of(rows).lines("layers", "i")))
        layers = OrderedDict()
        for i in range(6):
            layers[f"layer{i + 1}"] = B(64 + 32 * i, 32)
        """
        first = NAME.fullmatch(rows[0][0])
        if len(rows) < SHORTEST or first is None or any(c in first[1] for c in '{}"\\'):
            return None
        start = int(first[2])
        texts = [text for _, text in rows]
        counted = [f"{first[1]}{start + k}" for k in range(len(rows))]
        if [name for name, _ in rows] != counted or len({NUMBER.sub("#", text) for text in texts}) > 1:
            return None
        numbers = [[int(n) for n in NUMBER.findall(text)] for text in texts]
        steps = [after - before for before, after in zip(numbers[0], numbers[1], strict=True)]
        even = all(
            row == [n + k * step for n, step in zip(numbers[0], steps, strict=True)]
            for k, row in enumerate(numbers)
        )
        quoted = any(c in texts[0] for c in "\"'")
        if not even or (quoted and any(steps)):
            return None
        return Loop(first[1], start, len(rows), texts[0], tuple(steps))

    def lines(self, rows: str, index: str) -> list[str]:
        """Return the statements that fill the dictionary `rows` in a loop over `index`."""
        steps = iter(self.steps)

        def grown(found: re.Match[str]) -> str:
            step = next(steps)
            if not step:
                return found[0]
            term = index if abs(step) == 1 else f"{abs(step)} * {index}"
            number, sign = int(found[0]), "-" if step < 0 else "+"
            return term if not number and step > 0 else f"{number} {sign} {term}"

        place = f"{index} + {self.start}" if self.start else index
        return [
            f"{rows} = OrderedDict()",
            f"for {index} in range({self.count}):",
            f'    {rows}[f"{self.prefix}{{{place}}}"] = {NUMBER.sub(grown, self.text)}',
        ]
