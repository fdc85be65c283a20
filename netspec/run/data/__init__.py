"""Sources of labelled images, opened by name."""

from __future__ import annotations

from pathlib import Path

from netspec.run.data.source import Batches, Data, DataError, Setting, check_fit

NAMES = ("mnist", "digits", "imagenet", "folder:PATH")


def open_data(
    name: str, root: Path | None = None, *, val_share: float = 0.2, seed: int = 0, download: bool = True
) -> Data:
    """Open a source by name: its classes and counts are known at once, images are read by training.

    `root` is where `mnist` and `imagenet` lie; `val_share` is what a folder without `val/` holds out, drawn
    by `seed`. Raises DataError with the path and the way out.
    """
    kind, _, path = name.partition(":")
    if kind == "folder" and path:
        from netspec.run.data.folder import open_folder

        return open_folder(name, Path(path), val_share, seed)
    if name == "imagenet":
        from netspec.run.data.folder import open_imagenet

        if root is None:
            message = "imagenet needs to know where train/ and val/ are: name their folder with --root"
            raise DataError(message, wrong_use=True)
        return open_imagenet(root)
    if name == "mnist":
        from netspec.run.data.mnist import open_mnist

        return open_mnist(root or default_root(name), download)
    if name == "digits":
        from netspec.run.data.digits import open_digits

        return open_digits()
    raise DataError(f"no data set is named {name}: known are {', '.join(NAMES)}", wrong_use=True)


def default_root(name: str) -> Path:
    """Where a downloaded set lies when the user names no place."""
    return Path.home() / ".cache" / "netspec" / name


__all__ = ["NAMES", "Batches", "Data", "DataError", "Setting", "check_fit", "default_root", "open_data"]
