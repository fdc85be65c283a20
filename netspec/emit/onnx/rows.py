"""The registry of functions that export layer types to ONNX; the other modules of this package fill it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from netspec.emit.onnx.builder import Site
from netspec.registry import Registry

Row: TypeAlias = Callable[[Site], str]
ROWS: Registry[Row] = Registry("ONNX export")

onnx_row = ROWS.adds
"""Registers a function that writes layers with these keywords and returns the name of their output."""
