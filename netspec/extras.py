"""Optional packages and the extras of netspec that install them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from netspec.errors import NetspecError

EXTRAS = {
    **dict.fromkeys(
        (
            "torch",
            "torchvision",
            "numpy",
            "sklearn",
            "PIL",
            "simplejpeg",
            "filelock",
            "rich",
            "matplotlib",
            "safetensors",
        ),
        "train",
    ),
    "onnx": "onnx",
    "onnxruntime": "onnx",
    "networkx": "graph",
    "tensorboard": "tensorboard",
}
"""The extra in pyproject.toml that installs each package, keyed by the package's import name."""


class MissingPackageError(NetspecError):
    """An optional package that is needed for the requested task is not installed."""


@contextmanager
def needed_for(task: str) -> Iterator[None]:
    """Convert a failed import of an optional package to an error that says how to install the package.

    `task` is the subject of the message, such as `training`. Other import errors are not changed. The
    function also works as a decorator.

    Raises:
        MissingPackageError: the code inside imports a package that is not installed.

    >>> with needed_for("training"):
    ...     raise ModuleNotFoundError("No module named 'torch.nn'", name="torch.nn")
    Traceback (most recent call last):
    ...
    netspec.extras.MissingPackageError: training needs torch: pip install 'netspec[train]'
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRAS:
            raise
        message = f"{task} needs {package}: pip install 'netspec[{EXTRAS[package]}]'"
        raise MissingPackageError(message) from error
