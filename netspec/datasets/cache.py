"""netspec's cache on the disk: downloaded sets, decoded images and measured statistics."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path
from typing import Any

import torch

from netspec.errors import FileError
from netspec.files import write_file


def cache_folder(name: str) -> Path:
    """A subfolder of netspec's cache, under XDG_CACHE_HOME, which defaults to `~/.cache`."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "netspec" / name


def key_of(*parts: object) -> str:
    """A key that changes with any of these values: bytes as they are, others as text."""
    digest = hashlib.sha256()
    for part in parts:
        content = part if isinstance(part, bytes) else str(part).encode()
        digest.update(len(content).to_bytes(8, "little") + content)
    return digest.hexdigest()[:32]


def recall(folder: str, key: str) -> dict[str, Any] | None:
    """What is cached under a key, or None where nothing is or the file is damaged."""
    try:
        content = torch.load(cache_folder(folder) / f"{key}.pt", weights_only=True)
    except Exception:  # a damaged file raises RuntimeError, UnpicklingError, EOFError, KeyError and others
        return None
    return content if isinstance(content, dict) else None


def keep(folder: str, key: str, content: dict[str, Any]) -> None:
    """Cache tensors and plain values under a key; nothing is cached where the disk cannot be written to."""
    target = cache_folder(folder) / f"{key}.pt"
    with contextlib.suppress(OSError, FileError):
        target.parent.mkdir(parents=True, exist_ok=True)
        write_file(target, lambda file: torch.save(content, file))
