"""Searches for input sizes that work if a network's only error may be the size of its input."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from netspec.checker.report import Report
from netspec.shape import Shape

MOST_STEPS = 3000
"""The maximum number of checker steps in one search, over all sizes tried."""
MULTIPLES = (64, 32, 16, 8)
NEAR = 16
LARGEST = 2048


class Search:
    """Tries input sizes. `works` checks the network with another image shape."""

    def __init__(self, shape: Shape, steps: int, works: Callable[[Shape], bool]) -> None:
        self.shape, self.works = shape, works
        self.left = MOST_STEPS // max(steps, 1)

    def tries(self, height: int, width: int) -> bool | None:
        """Return whether a size works, or None if the search has used up its steps."""
        self.left -= 1
        if self.left < 0:
            return None
        return self.works(Shape((self.shape.channels, height, width)))

    def nearest(self) -> str | None:
        """Describe the nearest sizes that work, one smaller and one larger; return None if none is found."""
        height, width = self.shape.hw
        working = []
        for size in candidates(height, width):
            found = self.tries(*size)
            if found is None:
                break
            if found:
                working.append(size)
        smaller = max((size for size in working if size < (height, width)), default=None)
        larger = min((size for size in working if size > (height, width)), default=None)
        named = [f"{size[0]}x{size[1]}" for size in (smaller, larger) if size]
        return f"an input of {' or '.join(named)} works" if named else None

    def smallest(self) -> str | None:
        """Describe the smallest larger square size that works; return None if none is found."""
        low = max(self.shape.hw)
        high = 2 * low
        while (found := self.tries(high, high)) is False and high < LARGEST:
            low, high = high, 2 * high
        if not found:
            return None
        while high - low > 1:
            middle = (low + high) // 2
            found = self.tries(middle, middle)
            if found is None:
                return f"an input of {high}x{high} works"
            low, high = (low, middle) if found else (middle, high)
        return f"an input of {high}x{high} works, and none smaller"


def candidates(height: int, width: int) -> Iterator[tuple[int, int]]:
    """Yield sizes to try: first sides rounded to multiples of powers of 2, then sizes close by."""
    seen = {(height, width)}
    aligned = [
        (height // m * m + m * up, width // m * m + m * up) for m in reversed(MULTIPLES) for up in (0, 1)
    ]
    near = [(height + sign * by, width + sign * by) for by in range(1, NEAR + 1) for sign in (-1, 1)]
    for size in aligned + near:
        if size not in seen and min(size) > 0:
            seen.add(size)
            yield size


SEARCHES: Mapping[str, Callable[[Search], str | None]] = {
    "branches-disagree": Search.nearest,
    "empty-output": Search.smallest,
}
"""The kind of search, keyed by the diagnostic code of the network's only error."""


def with_working_sizes(
    report: Report, inputs: Mapping[str, Shape], steps: int, again: Callable[[Mapping[str, Shape]], Report]
) -> Report:
    """Return the report. If its only error may come from the input's size, its help names sizes that work.

    `inputs` are the shapes of the network's inputs, and `steps` the number of steps that one check takes.
    `again` repeats the check with other shapes.
    """
    errors = [d for d in report.diagnostics if d.severity == "error"]
    if len(errors) != 1 or errors[0].code not in SEARCHES or len(inputs) != 1:
        return report
    (shape,) = inputs.values()
    if len(shape) != 3 or any(d.code == "channels-last" for d in report.diagnostics):
        return report
    search = Search(shape, steps, lambda shape: again({"": shape}).ok)
    found = SEARCHES[errors[0].code](search)
    if found is None:
        return report
    help = f"{errors[0].help}; {found}" if errors[0].help else found
    changed = tuple(replace(d, help=help) if d is errors[0] else d for d in report.diagnostics)
    return replace(report, diagnostics=changed)
