"""ONNX models of the zoo, run by onnxruntime and compared with the PyTorch modules.

    python -m benchmarks.onnx_export [NAME...]    all networks of the zoo, or some

For each network, this prints the number of operators, and the largest difference of an output on a random
batch of two, divided by the largest output.
"""

from __future__ import annotations

import logging
import sys
import tempfile
from pathlib import Path

import onnx
import torch

import netspec
from netspec import zoo
from netspec.convert.onnx import run_onnx
from netspec.convert.proof import tensors

LIMIT = 1e-4


def compared(name: str, folder: Path) -> tuple[int, float]:
    """Return the number of operators of a network's model, and the relative difference of its outputs."""
    network = netspec.load(name)
    torch.manual_seed(0)
    module = network.module().eval()
    with torch.no_grad():
        for parameter in module.parameters():
            if (parameter == parameter.flatten()[0]).all():  # a head of zeros would hide all before it
                parameter.add_(0.02 * torch.randn_like(parameter))
    path = network.onnx(folder / "net.onnx", weights=module.state_dict())
    inputs, found = run_onnx(path, network.net)
    with torch.no_grad():
        pairs = list(zip(found, tensors(module(*inputs)), strict=True))
    difference = max(float((a - b).abs().max() / b.abs().max()) for a, b in pairs)
    return len(onnx.load(path).graph.node), difference


def main() -> None:
    logging.disable()
    within = 0
    names = sys.argv[1:] or zoo.names()
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            try:
                operators, difference = compared(name, Path(folder))
            except netspec.ExportError as error:
                print(f"{name:24} refused: {error}", flush=True)
                continue
            within += difference < LIMIT
            print(f"{name:24} {operators:5} operators, difference {difference:.1e}", flush=True)
    print(f"{within} of {len(names)} networks within {LIMIT}")


if __name__ == "__main__":
    main()
