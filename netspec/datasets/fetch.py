"""Sets that torchvision downloads where they are not there yet."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from netspec.errors import DataError


@contextlib.contextmanager
def fetching(root: Path, what: str, way: str) -> Iterator[None]:
    """Turn torchvision's failure to find or fetch a set into a DataError, and remove what it made empty.

    `way` says what the user can put under the root instead.
    """
    made = [folder for folder in (root, *root.parents) if not folder.exists()]
    try:
        yield
    except (OSError, RuntimeError) as error:
        inside = sorted(root.rglob("*"), reverse=True) if made else []
        for folder in [*inside, *made]:
            with contextlib.suppress(OSError):
                folder.rmdir()
        reason = " ".join(str(error).split()).rstrip(":. ") or "no connection"
        message = f"{root} holds no {what}, and the download failed ({reason})"
        raise DataError(f"{message}: {way} with --root") from error
