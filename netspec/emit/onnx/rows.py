"""The ONNX operators for each layer type, by keyword; the files beside this one add their rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from netspec.emit.onnx.builder import Site
from netspec.registry import Registry

Row: TypeAlias = Callable[[Site], str]
ROWS: Registry[Row] = Registry("ONNX export")

onnx_row = ROWS.adds
"""Registers a function that writes layers with these keywords; it returns the output."""
