"""Where netspec keeps what it would otherwise fetch or measure again."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path
from typing import Any

import torch


def cache_folder(name: str) -> Path:
    """A folder of netspec's own under XDG_CACHE_HOME, which is `~/.cache` unless it is set."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "netspec" / name


def key_of(*parts: object) -> str:
    """A name for what depends on these values, given by their texts, or themselves where they are bytes."""
    digest = hashlib.sha256()
    for part in parts:
        content = part if isinstance(part, bytes) else str(part).encode()
        digest.update(len(content).to_bytes(8, "little") + content)
    return digest.hexdigest()[:32]


def recall(folder: str, key: str) -> dict[str, Any] | None:
    """What was kept under a key, or None."""
    try:
        content = torch.load(cache_folder(folder) / f"{key}.pt", weights_only=True)
    except Exception:  # damage raises RuntimeError, UnpicklingError, EOFError, KeyError ...: measure again
        return None
    return content if isinstance(content, dict) else None


def keep(folder: str, key: str, content: dict[str, Any]) -> None:
    """Keep tensors and plain values under a key; where the disk refuses, they are measured anew."""
    target = cache_folder(folder) / f"{key}.pt"
    beside = target.with_name(f".{key}.{os.getpid()}.tmp")
    with contextlib.suppress(OSError, RuntimeError):  # torch's writer raises RuntimeError on a full disk
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.save(content, beside)
            beside.replace(target)
        finally:
            beside.unlink(missing_ok=True)
