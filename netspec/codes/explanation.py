"""What is known about one diagnostic code, and the registry of all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from netspec.diagnostics import Severity
from netspec.registry import Registry

DOCUMENT = "https://github.com/netspec/netspec/blob/main/docs/diagnostics.md"
PREAMBLE = "network Net\ninput image: 3x32x32\n"
"""The first lines of an example that gives none of its own."""


@dataclass(frozen=True)
class Explanation:
    """A diagnostic code: its meaning, an example that is reported under it, and the corrected example."""

    code: str
    title: str
    """What is wrong, in one sentence without a full stop."""
    text: str
    """Why it is reported, and how to correct it."""
    example: str
    mend: str
    severity: Severity = "error"
    arguments: Mapping[str, object] = field(default_factory=dict)
    """Settings that the example is checked with, as by `--set`."""
    mended_arguments: Mapping[str, object] = field(default_factory=dict)
    data: str | None = None
    """The data set that the example is compared with, as by `--data`."""

    @property
    def url(self) -> str:
        """Where the code is documented."""
        return f"{DOCUMENT}#{self.code}"

    def failing(self) -> str:
        """The example as a whole spec."""
        return complete(self.example)

    def mended(self) -> str:
        """The corrected example as a whole spec."""
        return complete(self.mend)


def complete(text: str) -> str:
    """An example with the lines that every spec begins with, unless it has its own."""
    whole = text.startswith(("network", "input")) or not text
    return f"{text if whole else PREAMBLE + text}\n"


CODES: Registry[Explanation] = Registry("diagnostic code")
"""Every code that a diagnostic can have."""


def add(*explanations: Explanation) -> None:
    """Register explanations by their codes."""
    for each in explanations:
        CODES.add(each.code, each)
