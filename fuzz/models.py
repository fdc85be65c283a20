"""Random and damaged ONNX models."""

from __future__ import annotations

import random
import tempfile
from functools import cache
from pathlib import Path

from fuzz.damage import damage

SPECS = (
    "input x: 3x12x12\nconv(4, 3, padding=1); batchnorm; relu; maxpool(2); flatten; linear(5); softmax",
    "input x: 4x6x6\nadd { identity; { conv(4, 3, padding=1); silu } }; adaptive_avgpool(2); flatten",
    "input x: 6x8\nlayernorm; attention(2); gelu; linear(4); mean(0)",
    "input x: 2x40\nconv(4, 5, stride=2); groupnorm(2); avgpool(3, ceil=true); upsample(2, mode=linear)",
    "input x: 8x4x4\nchannels_last; window_attention(2, window=2, shift=1)",
    "input x: 4x6x6\npixel_shuffle(2); prelu; lrn(3); slice(0, 1); zeropad(1); clamp(min=0, max=6)",
)


@cache
def models() -> tuple[bytes, ...]:
    """Return small models exported by netspec, with all weights zero."""
    import numpy as np

    from netspec.emit.onnx import onnx_model
    from netspec.network import check

    made = []
    for text in SPECS:
        net = check(f"network Net\n{text}\n").require()
        weights = {
            ".".join(filter(None, (node.name, tensor.name))): np.zeros(
                tensor.shape, np.int64 if tensor.name.endswith("index") else np.float32
            )
            for node in net.nodes
            for tensor in node.tensors
        }
        made.append(onnx_model(net, weights).SerializeToString())
    return tuple(made)


def make(draw: random.Random) -> bytes:
    """Return a model with changed operators, attributes, names or sizes, or with damaged bytes."""
    import onnx

    content = draw.choice(models())
    if draw.random() < 0.3:
        return damage(draw, content)
    model = onnx.load_model_from_string(content)
    kinds = sorted({schema.name for schema in onnx.defs.get_all_schemas()})
    for _ in range(draw.choice([1, 1, 2, 4])):
        node = draw.choice(model.graph.node)
        names = [
            *(i.name for i in model.graph.initializer),
            *(n for x in model.graph.node for n in x.output),
            "",
        ]
        action = draw.randrange(8)
        if action == 0:
            node.op_type = draw.choice(kinds)
        elif action == 1 and node.input:
            node.input[draw.randrange(len(node.input))] = draw.choice(names)
        elif action == 2 and node.attribute:
            attribute = draw.choice(node.attribute)
            attribute.i = draw.choice([-(2**62), -1, 0, 1, 3, 10**9])
            attribute.ints[:] = [draw.choice([-1, 0, 1, 2, 10**6, 2**40]) for _ in range(draw.randrange(5))]
        elif action == 3 and node.attribute:
            del node.attribute[draw.randrange(len(node.attribute))]
        elif action == 4:
            model.graph.node.remove(node)
        elif action == 5 and model.graph.initializer:
            array = draw.choice(model.graph.initializer)
            array.dims[:] = [draw.choice([0, 1, 2, 3, 7, 10**6]) for _ in range(draw.randrange(5))]
        elif action == 6:
            opset = model.opset_import[0]
            opset.version = draw.choice([1, 6, 7, 9, 11, 13, 17, 21, 99])
        else:
            shape = model.graph.input[0].type.tensor_type.shape.dim
            if shape:
                shape[draw.randrange(len(shape))].dim_value = draw.choice([0, 1, 2, 5, 10**6, 2**40])
        if not model.graph.node:
            break
    damaged: bytes = model.SerializeToString()
    return damaged


def run(content: bytes) -> None:
    """Read a model: it is either rejected in one sentence or becomes a spec that can be checked."""
    from netspec.checker import check_file
    from netspec.diagnostics import SpecError

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.onnx"
        path.write_bytes(content)
        try:
            report = check_file(path)
        except SpecError:
            return
    assert report.net is not None or report.diagnostics
