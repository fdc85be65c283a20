"""Converts an ONNX file to a checked network, and compares the network with onnxruntime."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import onnxruntime
import torch
from torch import Tensor

from netspec.checker import check_source
from netspec.convert.inputs import random_batch
from netspec.convert.proof import BATCH, TOLERANCE, tensors
from netspec.diagnostics import Source
from netspec.errors import ConvertError
from netspec.frontends.onnx import read_onnx
from netspec.graph import Net
from netspec.network import Network


@dataclass(frozen=True)
class OnnxConversion:
    """A converted ONNX file: the text of the spec, the checked network, and its weights."""

    path: Path
    text: str
    network: Network
    state: Mapping[str, Tensor]

    def weights(self) -> dict[str, Tensor]:
        """Return the state_dict of the converted network."""
        return dict(self.state)


@dataclass(frozen=True)
class OnnxProof:
    """The result of comparing the converted network with the ONNX model."""

    params: int
    keys: int
    difference: float
    relative: float

    @property
    def holds(self) -> bool:
        """Return True if the outputs are equal within TOLERANCE."""
        return self.relative <= TOLERANCE

    def lines(self) -> Iterator[str]:
        """Yield the results of the comparison, one per line."""
        yield f"parameters    {self.params:,}"
        yield f"state_dict    {self.keys} keys"
        yield f"outputs       largest difference {self.difference:.3g} from onnxruntime on a random batch"


def convert_onnx(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> OnnxConversion:
    """Read an ONNX file as a checked network; `shapes` has the shapes of inputs whose sizes are unknown.

    Raises:
        ConvertError: the file cannot be read, or the model has an operator without a counterpart in netspec.
    """
    found = read_onnx(path, shapes)
    report = check_source(Source(f"{path.stem}.net", found.text), Path())
    if report.net is None:
        faults = "; ".join(d.message for d in report.diagnostics[:3])
        raise ConvertError(f"{path} cannot be written as a spec: {faults}")
    weights = {name: torch.from_numpy(array.copy()) for name, array in found.weights.items()}
    return OnnxConversion(path, found.text, Network(report.net, None, report, f"{path.stem}.net"), weights)


def prove_onnx(conversion: OnnxConversion) -> OnnxProof:
    """Build the converted network with the model's weights, and compare it with onnxruntime.

    Raises:
        ConvertError: onnxruntime cannot run the model, or the weights do not fit.
    """
    network = conversion.network
    module = network.module().eval()
    try:
        module.load_state_dict(conversion.weights(), strict=True)
    except RuntimeError as error:
        raise ConvertError(f"the weights do not fit the converted network: {error}") from None
    batch, theirs = run_onnx(conversion.path, network.net)
    with torch.no_grad():
        ours = list(tensors(module(*batch)))
    pairs = list(zip(ours, theirs, strict=True))
    differences = [float((a - b).abs().max()) for a, b in pairs]
    largest = [max(float(b.abs().max()), 1e-12) for _, b in pairs]
    return OnnxProof(
        network.net.totals.params,
        len(conversion.state),
        max(differences),
        max(d / n for d, n in zip(differences, largest, strict=True)),
    )


def run_onnx(path: Path, net: Net, batch: int = BATCH) -> tuple[list[Tensor], list[Tensor]]:
    """Run the model of a network with onnxruntime on a random batch; return the inputs and the outputs.

    `batch` is the batch size, unless the model has a fixed one.

    Raises:
        ConvertError: onnxruntime cannot run the model.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        count = next((v.shape[0] for v in session.get_inputs() if isinstance(v.shape[0], int)), batch)
        inputs = random_batch(net, count)
        names = [value.name for value in session.get_inputs()]
        found = session.run(None, {n: x.numpy() for n, x in zip(names, inputs, strict=True)})
    except Exception as error:  # onnxruntime's exceptions have no common base
        text = str(error).strip().splitlines()[0]
        raise ConvertError(f"onnxruntime cannot run {path}: {text}") from error
    return inputs, [torch.from_numpy(array) for array in found]
