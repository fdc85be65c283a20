"""The errors that netspec raises when its user can solve the problem; each message is one sentence.

Messages name parameters of the Python API between backticks, such as `root` or `epochs=30`; the command line
shows the corresponding flag instead.
"""

from __future__ import annotations


class NetspecError(Exception):
    """The base class of all errors of netspec.

    `wrong_use` marks invalid requests, such as unknown names; the command line then exits with status 2.
    """

    def __init__(self, message: str, *, wrong_use: bool = False) -> None:
        super().__init__(message)
        self.wrong_use = wrong_use


class DataError(NetspecError):
    """Images or labels are missing, unreadable or invalid."""


class TrainError(NetspecError):
    """A training run cannot start, continue, or be read."""


class WeightsError(NetspecError):
    """Weights do not exist, do not fit the network, or cannot be downloaded."""


class FileError(NetspecError):
    """A file cannot be written."""


class PictureError(NetspecError):
    """A picture cannot be drawn or written."""


class SettingError(NetspecError):
    """A value given for a parameter, such as `--set n=3`, cannot be parsed."""


class ConvertError(NetspecError):
    """A network of another program cannot be converted to a spec."""


class ZooError(NetspecError):
    """No network of the zoo has this name or matches this filter."""

    def __init__(self, message: str) -> None:
        super().__init__(message, wrong_use=True)
