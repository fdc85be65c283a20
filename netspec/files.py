"""Writing files whole: what was there stays until the new file is complete."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

from netspec.errors import FileError


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text as `write_file` does."""
    write_file(path, lambda file: file.write(text.encode()))


def write_file(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Call `write` with a new file beside `path`, and let that file take its place once it is on the disk.

    A link stays, and the file that it points to is replaced. The new file keeps the old one's mode. Pipes and
    devices are written to directly.

    Raises:
        FileError: the file cannot be written; the old one is unchanged.
    """
    draft: Path | None = None
    try:
        path = path.resolve() if path.is_symlink() else path
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
    except (OSError, RuntimeError) as error:  # torch's writer raises RuntimeError where the disk is full
        raise FileError(f"{path} cannot be written: {reason(error)}") from error
    finally:
        if draft is not None:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)


def reason(error: BaseException) -> str:
    """Why the system refused, in a few words.

    >>> reason(FileNotFoundError(2, "No such file or directory"))
    'no such file or directory'
    """
    if isinstance(error, RuntimeError):
        return "the disk may be full"
    text = getattr(error, "strerror", None) or str(error)
    return text[:1].lower() + text[1:]


def current_umask() -> int:
    """The process's file mode mask, which can be read only by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _flush_folder(folder: Path) -> None:
    """Bring the new name to the disk too, where the system lets a folder be opened."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
