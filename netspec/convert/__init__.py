"""Converts PyTorch modules to specs."""

from netspec.convert import aten, leaves
from netspec.convert.conversion import Conversion, convert, from_torch

__all__ = ["Conversion", "aten", "convert", "from_torch", "leaves"]
