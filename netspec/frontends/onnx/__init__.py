"""Converts ONNX models to specs, and reads their weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from netspec.diagnostics import Source
from netspec.errors import ConvertError
from netspec.frontends.onnx import activations, arithmetic, axes, images, layers, norms, pools, recurrent
from netspec.frontends.onnx.model import Array, Model, load_model
from netspec.frontends.onnx.patterns import joined
from netspec.frontends.onnx.reader import ROWS, Reader
from netspec.frontends.structure import write_spec
from netspec.frontends.trace import TraceError
from netspec.language.formatter import format_source


@dataclass(frozen=True)
class OnnxNetwork:
    """A converted model: the text of its spec, its weights by their names in the spec, and the model."""

    text: str
    weights: Mapping[str, Array]
    model: Model


def read_onnx(path: Path, shapes: Mapping[str, tuple[int, ...]] | None = None) -> OnnxNetwork:
    """Read an ONNX file as a spec.

    `shapes` has the shapes, without the batch, of inputs whose sizes are unknown, by the names of the inputs;
    the only input of a model can have the name "".

    Raises:
        ConvertError: the file cannot be read, or the model has an operator without a counterpart in netspec.
    """
    model = joined(load_model(path))
    reader = Reader(model, shapes or {})
    trace = reader.read()
    try:
        text = write_spec(trace)
    except TraceError as error:
        raise ConvertError(f"{path}: {error}") from None
    return OnnxNetwork(format_source(Source(f"{path.stem}.net", text)), reader.weights, model)


__all__ = [
    "ROWS",
    "OnnxNetwork",
    "activations",
    "arithmetic",
    "axes",
    "images",
    "layers",
    "norms",
    "pools",
    "read_onnx",
    "recurrent",
]
