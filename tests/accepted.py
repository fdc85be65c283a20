"""An assertion that a report or a command is without errors, which shows the errors when it fails."""

from __future__ import annotations

from click.testing import Result

from netspec.checker import Report
from netspec.diagnostics import render


def accepted(outcome: Report | Result) -> bool:
    """Return True if a check found no errors or a command succeeded; else fail, and show its output.

    >>> from netspec import check
    >>> accepted(check("lenet"))
    True
    """
    if isinstance(outcome, Result):
        assert outcome.exit_code == 0, f"exit status {outcome.exit_code}:\n{outcome.output}"
    else:
        assert outcome.ok, "refused:\n" + "\n".join(map(render, outcome.diagnostics))
    return True
