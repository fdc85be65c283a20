"""Every diagnostic code: what it means, an example that is reported under it, and how to correct it."""

from __future__ import annotations

from netspec.codes import arguments, layers, network, statements
from netspec.codes.explanation import CODES, Explanation

__all__ = ["CODES", "Explanation", "arguments", "layers", "network", "statements"]
