"""Explanations of diagnostic codes, and the registry of all codes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from netspec.diagnostics import Severity
from netspec.registry import Registry

DOCUMENT = "https://github.com/netspec/netspec/blob/main/docs/diagnostics.md"
PREAMBLE = "network Net\ninput image: 3x32x32\n"
"""The lines added before an example that has no `network` or `input` statement."""


@dataclass(frozen=True)
class Explanation:
    """A diagnostic code: its meaning, an example that causes it, and the corrected example."""

    code: str
    title: str
    """The problem, in one sentence without a full stop."""
    text: str
    """Why it is a problem, and how to fix it."""
    example: str
    mend: str
    severity: Severity = "error"
    arguments: Mapping[str, object] = field(default_factory=dict)
    """The settings with which the example is checked, as `--set` gives them."""
    mended_arguments: Mapping[str, object] = field(default_factory=dict)
    data: str | None = None
    """The data set with which the example is compared, as `--data` gives it."""

    @property
    def url(self) -> str:
        """The web address of the code's documentation."""
        return f"{DOCUMENT}#{self.code}"

    def failing(self) -> str:
        """Return the example as a complete spec."""
        return complete(self.example)

    def mended(self) -> str:
        """Return the corrected example as a complete spec."""
        return complete(self.mend)


def complete(text: str) -> str:
    """Return an example as a complete spec, with the lines of PREAMBLE that it lacks."""
    whole = text.startswith(("network", "input")) or not text
    return f"{text if whole else PREAMBLE + text}\n"


CODES: Registry[Explanation] = Registry("diagnostic code")
"""Every code that a diagnostic can have."""


def add(*explanations: Explanation) -> None:
    """Register explanations by their codes."""
    for each in explanations:
        CODES.add(each.code, each)
