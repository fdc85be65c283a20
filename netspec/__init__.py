"""netspec: check, count, draw, compile to PyTorch, and train neural networks written as short specs.

>>> vgg = load("vgg", depth=16)
>>> f"{vgg.net.totals.params:,} parameters, {vgg.net.totals.macs / 1e9:.2f} GMACs"
'138,357,544 parameters, 15.47 GMACs'
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

import pydantic_core.core_schema  # noqa: F401  # before our own types, after which it takes 30 ms longer

from netspec.checker import Report
from netspec.diagnostics import Diagnostic, SpecError
from netspec.errors import (
    ConvertError,
    DataError,
    ExportError,
    FileError,
    NetspecError,
    PictureError,
    SettingError,
    TrainError,
    WeightsError,
    ZooError,
)
from netspec.extras import MissingPackageError, needed_for
from netspec.graph import Net
from netspec.network import Network, check, load
from netspec.plugins import PluginError
from netspec.recipe import RecipeError
from netspec.shape import ShapeError

if TYPE_CHECKING:
    from netspec.convert import from_torch
    from netspec.evaluation.evaluation import evaluate
    from netspec.evaluation.prediction import predict
    from netspec.evaluation.run import Run
    from netspec.training.callbacks import Callback
    from netspec.training.trainer import resume, train

__version__ = "0.1.0"
__all__ = [
    "Callback",
    "ConvertError",
    "DataError",
    "Diagnostic",
    "ExportError",
    "FileError",
    "MissingPackageError",
    "Net",
    "NetspecError",
    "Network",
    "PictureError",
    "PluginError",
    "RecipeError",
    "Report",
    "Run",
    "SettingError",
    "ShapeError",
    "SpecError",
    "TrainError",
    "WeightsError",
    "ZooError",
    "check",
    "evaluate",
    "from_torch",
    "load",
    "predict",
    "resume",
    "train",
]
_NEED_TORCH = {
    "Callback": "netspec.training.callbacks",
    "Run": "netspec.evaluation.run",
    "from_torch": "netspec.convert",
    "evaluate": "netspec.evaluation.evaluation",
    "predict": "netspec.evaluation.prediction",
    "resume": "netspec.training.trainer",
    "train": "netspec.training.trainer",
}


def __getattr__(name: str) -> object:
    """Import a name that needs torch when it is first used.

    Raises:
        AttributeError: netspec has no such name.
        MissingPackageError: torch is not installed.
    """
    if name not in _NEED_TORCH:
        raise AttributeError(f"module 'netspec' has no attribute {name!r}")
    with needed_for(f"netspec.{name}"):
        found: object = getattr(import_module(_NEED_TORCH[name]), name)
    return globals().setdefault(name, found)
