"""The targets of `netspec export`, by name."""

from __future__ import annotations

from collections.abc import Callable

from netspec.emit.torch import source
from netspec.graph import Net
from netspec.registry import Registry

TARGETS: Registry[Callable[[Net], str]] = Registry("export target")
TARGETS.add("pytorch", source)
