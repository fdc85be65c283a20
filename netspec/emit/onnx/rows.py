"""The ONNX operators for each layer type, by keyword; the files beside this one add their rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from netspec.emit.onnx.builder import Site
from netspec.registry import Registry

Row: TypeAlias = Callable[[Site], str]
ROWS: Registry[Row] = Registry("ONNX export")


def onnx_row(*keywords: str) -> Callable[[Row], Row]:
    """Register a function that writes a layer and returns its output."""

    def register(row: Row) -> Row:
        for keyword in keywords:
            ROWS.add(keyword, row)
        return row

    return register
