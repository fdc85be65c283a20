"""The generated documents: docs/ops.md and docs/diagnostics.md."""

from __future__ import annotations

from pathlib import Path

from netspec.emit.manual.diagnostics import diagnostics_manual
from netspec.emit.manual.ops import ops_manual
from netspec.files import write_text

__all__ = ["diagnostics_manual", "ops_manual", "write_manuals"]


def write_manuals(folder: Path) -> None:
    """Write docs/ops.md and docs/diagnostics.md into a folder; `make docs` calls this."""
    write_text(folder / "ops.md", ops_manual())
    write_text(folder / "diagnostics.md", diagnostics_manual())
