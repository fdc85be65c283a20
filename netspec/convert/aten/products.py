"""Converts matrix products, attention and Einstein sums."""

from __future__ import annotations

from torch import fx

from netspec.convert.aten.arithmetic import aligned
from netspec.convert.aten.axes import reshaped
from netspec.convert.reader import Reader
from netspec.convert.rows import Arguments, Value, aten
from netspec.errors import ConvertError
from netspec.frontends.layout import Layout


@aten("matmul", "bmm")
def matmul(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Convert `aten.matmul` or `aten.bmm`."""
    left, right = reader.one(a["self"]), reader.one(a["other" if "other" in a else "mat2"])
    if len(reader.shape(left)) == 1 and not reader.is_raw(left) and reader.is_raw(right):
        x, matrix = reader.shape(left), reader.shape(right)
        row = reader.add("reshape", left, (1, *x), shape=(1, *x))
        found = reader.add("matmul", [row, right], (1, matrix[1]))
        return reader.add("flatten", found, node)
    return reader.add(
        "matmul", [reader.one(a["self"]), reader.one(a["other" if "other" in a else "mat2"])], node
    )


@aten("mv")
def matrix_vector(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Convert `aten.mv`, which spectral normalization uses."""
    matrix, vector = reader.one(a["self"]), reader.one(a["vec"])
    rows, columns = reader.shape(matrix)
    column = reader.add("reshape", vector, (columns, 1), shape=(columns, 1))
    return reshaped(reader, reader.add("matmul", [matrix, column], (rows, 1)), (rows,))


@aten("dot", "vdot")
def inner(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Convert `aten.dot` or `aten.vdot`."""
    values = [reader.one(a["self"]), reader.one(a["tensor" if "tensor" in a else "other"])]
    product = reader.add("mul", values, reader.shape(values[0]))
    return reader.add("sum", product, (1,), axis=[0], keep=True)


@aten("scaled_dot_product_attention")
def attention(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Convert `aten.scaled_dot_product_attention`."""
    if a["enable_gqa"]:
        raise ConvertError(f"{reader.place}: netspec does not support attention with enable_gqa=True")
    inputs = [reader.one(a[name]) for name in ("query", "key", "value")]
    if a["attn_mask"] is not None:
        inputs.append(aligned(reader, a["attn_mask"], len(reader.shape(inputs[0]))))
    return reader.add("dot_product_attention", inputs, node, scale=a["scale"], causal=bool(a["is_causal"]))


@aten("einsum")
def einsum(reader: Reader, node: fx.Node, a: Arguments) -> Value:
    """Convert `aten.einsum`."""
    equation = a["equation"].replace(" ", "")
    lefts, _, result = equation.partition("->")
    values = [reader.one(n) for n in a["tensors"]]
    terms = lefts.split(",")
    batch = next(t[0] for t, v in zip(terms, values, strict=True) if not reader.is_raw(v))
    wrong = any(
        t[0] != batch or reader.layout(n).at
        for t, n, v in zip(terms, a["tensors"], values, strict=True)
        if not reader.is_raw(v)
    )
    if wrong or result[:1] != batch:
        raise ConvertError(
            f"{reader.place}: in einsum({equation}), the batch is not the first axis of each input and of the"
            " output, which netspec does not support"
        )
    reader.layouts[node] = Layout()
    return reader.add("einsum", values, node, equation=equation)
