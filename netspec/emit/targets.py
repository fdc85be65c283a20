"""The targets of `netspec export`, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from netspec.emit.torch import source
from netspec.extras import needed_for
from netspec.graph import Net
from netspec.registry import Registry


@dataclass(frozen=True)
class Target:
    """A format of `netspec export`. `write` returns a network in this format: text, or bytes for a file.

    The second argument of `write` is a state_dict of arrays if the format is `weighted`, otherwise empty.
    """

    write: Callable[[Net, Mapping[str, Any]], str | bytes]
    weighted: bool = False


def onnx(net: Net, weights: Mapping[str, Any]) -> bytes:
    """Return a network as the content of an ONNX file; raises ExportError if a layer cannot be exported."""
    with needed_for("exporting to ONNX"):
        from netspec.emit.onnx import onnx_model

        content: bytes = onnx_model(net, weights).SerializeToString()
    return content


TARGETS: Registry[Target] = Registry("export target")
TARGETS.add("pytorch", Target(lambda net, weights: source(net)))
TARGETS.add("onnx", Target(onnx, weighted=True))
