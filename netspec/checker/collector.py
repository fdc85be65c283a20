"""Collects the diagnostics of one check and limits its work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from netspec.checker.arguments import Faults
from netspec.checker.context import Context
from netspec.diagnostics import Diagnostic, Label, Span
from netspec.graph import Node
from netspec.language.names import Exhausted, Fault, Unknown

MOST_STATEMENTS = 200_000
MOST_LAYERS = 50_000
MOST_FAULTS = 100
FAULT_STEPS = 20
"""The number of steps that a diagnostic counts as, so that the check of a loop full of errors ends early."""


@dataclass
class Collector:
    """Collects diagnostics and counts the steps of the check."""

    nodes: Sequence[Node]
    diagnostics: list[Diagnostic] = field(default_factory=list)
    steps: int = 0
    reported: set[tuple[str, int, str]] = field(default_factory=set)

    def count_step(self, span: Span) -> None:
        """Count one step of the check.

        Raises:
            Exhausted: the spec expands to too many layers or statements.
        """
        self.steps += 1
        if self.steps > MOST_STATEMENTS or len(self.nodes) > MOST_LAYERS:
            message = f"the network has more than {MOST_LAYERS:,} layers or {MOST_STATEMENTS:,} statements"
            raise Exhausted("too-large", message, span, "the count of a loop may be too large")

    def report(self, error: Fault | Faults | Unknown, ctx: Context) -> None:
        """Add the diagnostics that an exception holds."""
        faults = [error] if isinstance(error, Fault) else error.faults if isinstance(error, Faults) else ()
        for fault in faults:
            self.add(fault.diagnostic, ctx)

    def add(self, diagnostic: Diagnostic, ctx: Context) -> None:
        """Add a diagnostic with a label at each block call that led to it; duplicates are ignored.

        Raises:
            Exhausted: there are too many diagnostics to continue.
        """
        self.steps += FAULT_STEPS
        key = (diagnostic.span.source.path, diagnostic.span.start, diagnostic.code)
        if key in self.reported:
            return
        self.reported.add(key)
        if len(self.reported) > MOST_FAULTS:
            raise Exhausted(diagnostic.code, diagnostic.message, diagnostic.span, diagnostic.help)
        trail = tuple(Label(span, f"called here: {name}") for name, span in reversed(ctx.calls))
        self.diagnostics.append(replace(diagnostic, labels=(*diagnostic.labels, *trail)))
