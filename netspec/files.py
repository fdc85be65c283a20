"""Writes files atomically: an existing file is replaced only when the new file is complete."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

from netspec.errors import FileError


def open_regular(path: str | Path) -> IO[bytes]:
    """Open a regular file for unbuffered reading; symbolic links are followed.

    Pipes and devices are rejected, because reading them may never end.

    Raises:
        OSError: the file cannot be opened, or is not a regular file.
    """
    number = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise OSError(errno.EINVAL, "Not a regular file", str(path))
        return os.fdopen(number, "rb", buffering=0)
    except OSError:
        os.close(number)
        raise


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text to a file atomically; see `write_file`."""
    write_file(path, lambda file: file.write(text.encode()))


def write_file(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Call `write` with a temporary file beside `path`, and rename that file to `path` when it is complete.

    If `path` is a symbolic link, its target is replaced. The new file gets the permissions of the old file.
    Pipes and devices are written to directly.

    Raises:
        FileError: the file cannot be written; an existing file is unchanged.
    """
    draft: Path | None = None
    try:
        path = _target(path) if path.is_symlink() else path
        if path.exists() and not path.is_file() and not path.is_dir():
            with path.open("wb") as device:
                write(device)
            return
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.")
        draft = Path(name)
        with os.fdopen(handle, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        draft.chmod(path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~current_umask())
        draft.replace(path)
        draft = None
        _flush_folder(path.parent)
    except (OSError, RuntimeError) as error:  # torch's writer raises RuntimeError if the disk is full
        raise FileError(f"{path} cannot be written: {reason(error)}") from error
    finally:
        if draft is not None:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)


def _target(link: Path) -> Path:
    """Return the target of a symbolic link, which may not exist; raises OSError for a cycle of links."""
    try:
        return Path(os.path.realpath(link, strict=True))
    except FileNotFoundError:
        return Path(os.path.realpath(link))


def reason(error: BaseException) -> str:
    """Return the reason for an error, phrased for the end of a message.

    >>> reason(FileNotFoundError(2, "No such file or directory"))
    'no such file or directory'
    """
    if isinstance(error, RuntimeError):
        return "the disk may be full"
    text = getattr(error, "strerror", None) or str(error)
    return text[:1].lower() + text[1:]


def current_umask() -> int:
    """Return the process's umask, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _flush_folder(folder: Path) -> None:
    """Flush a folder to the disk, so that renaming a file in it survives a crash; does nothing on Windows."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
