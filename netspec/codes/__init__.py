"""All diagnostic codes, each with its meaning, an example that causes it, and the corrected example."""

from __future__ import annotations

from netspec.codes import arguments, layers, network, statements
from netspec.codes.explanation import CODES, Explanation

__all__ = ["CODES", "Explanation", "arguments", "layers", "network", "statements"]
