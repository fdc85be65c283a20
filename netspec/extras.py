"""The packages that `pip install netspec` leaves out, and the line that installs each."""

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
    "networkx": "graph",
    "tensorboard": "tensorboard",
}
"""The extra of pyproject.toml that brings each package, by the name under which Python imports it."""


class MissingPackageError(NetspecError):
    """A package that netspec needs for what was asked is not installed."""


@contextmanager
def needed_for(task: str) -> Iterator[None]:
    """Report a failed import of one of the `EXTRAS` as a sentence that says how to install it.

    `task` is the subject of that sentence. Works as a decorator too. Other failed imports pass unchanged.

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
