"""Sources of labelled images, opened by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from netspec.datasets.base import Batches, Data, LoaderConfig, check_fit
from netspec.datasets.cache import cache_folder
from netspec.errors import DataError

NAMES = (
    "mnist",
    "fashion-mnist",
    "cifar10",
    "cifar100",
    "digits",
    "imagenet",
    "folder:PATH",
    "prepared:PATH",
    "shards:PATH",
    "synthetic[:CLASSES]",
)


PLACED = ("folder", "prepared", "shards", "synthetic", "digits")
"""Sets that say themselves where they are."""


def open_data(
    name: str, root: Path | None = None, *, val_share: float = 0.2, seed: int = 0, download: bool = True
) -> Data:
    """Open a source by name: its classes and counts are known at once, photos are read by training.

    `root` is where named sets lie; `val_share` is what a folder without `val/` holds out, drawn by `seed`.
    Raises DataError with the path and the way out.
    """
    kind, _, path = name.partition(":")
    if root is not None and kind in PLACED:
        raise DataError(f"{name} is not looked for under {root}: leave --root out", wrong_use=True)
    if kind == "folder" and path:
        from netspec.datasets.image_folder import open_folder

        return open_folder(name, Path(path), val_share, seed)
    if kind == "prepared" and path:
        from netspec.datasets.packed import open_prepared

        return open_prepared(name, Path(path))
    if kind == "shards" and path:
        from netspec.datasets.webdataset import open_shards

        return open_shards(name, Path(path))
    if kind == "synthetic":
        from netspec.datasets.synthetic import open_synthetic

        return open_synthetic(name, path)
    if name in _NAMED:
        return _NAMED[name](name, root, download)
    raise DataError(f"no data set is named {name}: known are {', '.join(NAMES)}", wrong_use=True)


def located(name: str) -> str:
    """The name of a set, the place in it made absolute, so that it means the same wherever it is used.

    >>> located("mnist"), located("folder:/photos")
    ('mnist', 'folder:/photos')
    """
    kind, _, path = name.partition(":")
    return f"{kind}:{Path(path).absolute()}" if path and kind in ("folder", "prepared", "shards") else name


def default_root(name: str) -> Path:
    """Where a downloaded set lies when the user names no place."""
    return cache_folder(name)


def _imagenet(name: str, root: Path | None, download: bool) -> Data:
    from netspec.datasets.image_folder import open_imagenet

    if root is None:
        message = f"{name} needs to know where train/ and val/ are: name their folder with --root"
        raise DataError(message, wrong_use=True)
    return open_imagenet(root)


def _mnist(name: str, root: Path | None, download: bool) -> Data:
    from netspec.datasets.mnist import open_mnist

    return open_mnist(name, root or default_root(name), download)


def _cifar(name: str, root: Path | None, download: bool) -> Data:
    from netspec.datasets.cifar import open_cifar

    return open_cifar(name, root or default_root(name), download)


def _digits(name: str, root: Path | None, download: bool) -> Data:
    from netspec.datasets.digits import open_digits

    return open_digits()


_NAMED: dict[str, Callable[[str, Path | None, bool], Data]] = {
    "mnist": _mnist,
    "fashion-mnist": _mnist,
    "cifar10": _cifar,
    "cifar100": _cifar,
    "digits": _digits,
    "imagenet": _imagenet,
}

__all__ = [
    "NAMES",
    "Batches",
    "Data",
    "DataError",
    "LoaderConfig",
    "check_fit",
    "default_root",
    "located",
    "open_data",
]
