"""The errors that netspec raises for reasons its user can mend; each text is one sentence.

A parameter of the Python API stands between backticks in a text, as `root` or `epochs=30`; the command line
shows the flag that sets it in its place.
"""

from __future__ import annotations


class NetspecError(Exception):
    """The base of every error here; with `wrong_use`, what was asked for does not exist."""

    def __init__(self, message: str, *, wrong_use: bool = False) -> None:
        super().__init__(message)
        self.wrong_use = wrong_use


class DataError(NetspecError):
    """Images or labels that cannot be used."""


class TrainError(NetspecError):
    """A run that cannot start, go on, or be read."""


class WeightsError(NetspecError):
    """Weights that do not exist, do not fit, or cannot be fetched."""


class FileError(NetspecError):
    """A file that cannot be written."""


class PictureError(NetspecError):
    """A picture that cannot be drawn or written."""


class SettingError(NetspecError):
    """A parameter's value, given from outside a spec, that cannot be read."""


class ZooError(NetspecError):
    """A name or a filter that the zoo does not have."""

    def __init__(self, message: str) -> None:
        super().__init__(message, wrong_use=True)
