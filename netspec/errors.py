"""The errors that a user of netspec can fix. Each message is one sentence.

Messages name parameters of the Python API in backticks, such as `root` or `epochs=30`; the command line
shows the corresponding flags instead.
"""

from __future__ import annotations


class NetspecError(Exception):
    """The base class of all errors of netspec.

    `wrong_use` is true for invalid requests, such as unknown names; the command line then exits with 2.
    """

    def __init__(self, message: str, *, wrong_use: bool = False) -> None:
        super().__init__(message)
        self.wrong_use = wrong_use


class DataError(NetspecError):
    """Images or labels are missing, unreadable or invalid."""


class TrainError(NetspecError):
    """A training run cannot start or continue, or its files cannot be read."""


class WeightsError(NetspecError):
    """Weights do not exist, do not match the network, or cannot be downloaded."""


class FileError(NetspecError):
    """A file cannot be written."""


class PictureError(NetspecError):
    """A drawing cannot be created or written."""


class SettingError(NetspecError):
    """A value given for a parameter, such as `--set n=3`, cannot be parsed."""


class ConvertError(NetspecError):
    """A network from another framework cannot be converted to a spec."""


class ExportError(NetspecError):
    """A network cannot be exported, because the format has no counterpart of a layer."""


class ZooError(NetspecError):
    """No zoo network has this name or matches this filter."""

    def __init__(self, message: str) -> None:
        super().__init__(message, wrong_use=True)
