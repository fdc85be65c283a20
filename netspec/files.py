"""Writing files so that a failure leaves what was there."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


class FileError(Exception):
    """A file that cannot be written; the message names it and the reason."""


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text at once: a complete new file takes the place of the old one, behind a link too."""
    path = path.resolve() if path.is_symlink() else path
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise FileError(f"{path} cannot be written: {(error.strerror or str(error)).lower()}") from None
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~current_umask()
        Path(name).chmod(mode)
        Path(name).replace(path)
    except OSError as error:
        Path(name).unlink(missing_ok=True)
        raise FileError(f"{path} cannot be written: {(error.strerror or str(error)).lower()}") from None


def current_umask() -> int:
    """The process's file mode mask, which can be read only by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
