"""netspec: check, count, draw, compile to PyTorch, and train neural networks written as short specs.

>>> vgg = load("vgg", depth=16)
>>> f"{vgg.net.totals.params:,} parameters, {vgg.net.totals.macs / 1e9:.2f} GMACs"
'138,357,544 parameters, 15.47 GMACs'
"""

from __future__ import annotations

from netspec.checker import Report
from netspec.diagnostics import Diagnostic, SpecError
from netspec.errors import (
    DataError,
    FileError,
    NetspecError,
    PictureError,
    SettingError,
    TrainError,
    WeightsError,
    ZooError,
)
from netspec.extras import MissingPackageError
from netspec.graph import Net
from netspec.network import Network, check, load
from netspec.plugins import PluginError
from netspec.recipe import RecipeError
from netspec.shape import ShapeError

__version__ = "0.1.0"
__all__ = [
    "DataError",
    "Diagnostic",
    "FileError",
    "MissingPackageError",
    "Net",
    "NetspecError",
    "Network",
    "PictureError",
    "PluginError",
    "RecipeError",
    "Report",
    "SettingError",
    "ShapeError",
    "SpecError",
    "TrainError",
    "WeightsError",
    "ZooError",
    "check",
    "load",
]
