"""Converts modules that are one op in netspec, although they call many ATen operators."""

from __future__ import annotations

import operator

from netspec.convert.aten.axes import permuted
from netspec.convert.reader import Reader
from netspec.convert.rows import Leaf, Value, leaf
from netspec.errors import ConvertError


@leaf("torchvision.ops.misc.Permute")
def permute(reader: Reader, found: Leaf) -> Value:
    """Convert torchvision's `Permute`."""
    return permuted(reader, reader.one(found.inputs[0]), [d - 1 for d in found.module.dims[1:]])


@leaf("torchvision.ops.stochastic_depth.StochasticDepth", passes=True)
def stochastic_depth(reader: Reader, found: Leaf) -> Value:
    """Convert torchvision's `StochasticDepth`."""
    if found.module.mode != "row":
        raise ConvertError(
            f"{reader.place}: netspec does not support StochasticDepth with mode={found.module.mode!r}"
        )
    value = reader.one(found.inputs[0])
    return reader.add("stochastic_depth", value, reader.shape(value), p=float(found.module.p))


@leaf("timm.layers.drop.DropPath", passes=True)
def drop_path(reader: Reader, found: Leaf) -> Value:
    """Convert timm's `DropPath`, which is stochastic depth."""
    value = reader.one(found.inputs[0])
    if not found.module.drop_prob:
        return value
    if not found.module.scale_by_keep:
        raise ConvertError(f"{reader.place}: netspec does not support DropPath with scale_by_keep=False")
    return reader.add("stochastic_depth", value, reader.shape(value), p=float(found.module.drop_prob))


@leaf("torch.nn.modules.activation.MultiheadAttention")
def multihead_attention(reader: Reader, found: Leaf) -> Value:
    """Convert self-attention with nn.MultiheadAttention."""
    module = found.module
    lacks = {
        "cross-attention or a mask": len(found.inputs) > 1,
        "need_weights=True": len(found.outputs) > 1,
        "a batch axis that contradicts batch_first": reader.layout(found.inputs[0]).at
        != int(not module.batch_first),
        "kdim, vdim, bias=False, add_bias_kv or add_zero_attn": not module._qkv_same_embed_dim
        or module.in_proj_bias is None
        or module.bias_k is not None
        or module.add_zero_attn,
    }
    if any(lacks.values()):
        what = next(name for name, found in lacks.items() if found)
        raise ConvertError(f"{reader.place}: netspec does not support nn.MultiheadAttention with {what}")
    value = reader.one(found.inputs[0])
    options = {"heads": module.num_heads, "dropout": float(module.dropout)}
    return reader.add("attention", value, reader.shape(value), found.path, **options)


@leaf("torch.nn.modules.rnn.LSTM", "torch.nn.modules.rnn.GRU")
def recurrent(reader: Reader, found: Leaf) -> Value:
    """Convert nn.LSTM or nn.GRU; their last hidden state is the hidden state of the last token."""
    module, source = found.module, found.inputs[0]
    plain = len(found.inputs) == 1 and module.batch_first and module.bias and not module.proj_size
    if not plain:
        what = "with an initial state, proj_size, bias=False or batch_first=False"
        raise ConvertError(f"{reader.place}: netspec does not support a recurrent layer {what}")
    op = {"LSTM": "lstm", "GRU": "gru"}[type(module).__name__]
    options = {"layers": module.num_layers, "bidirectional": module.bidirectional, "dropout": module.dropout}
    tokens = reader.shape(reader.one(source))[0]
    width = module.hidden_size * (2 if module.bidirectional else 1)
    value = reader.add(
        op, reader.one(source), (tokens, width), found.path, hidden=module.hidden_size, **options
    )
    values = [value]
    for node in found.outputs:
        place = node.args[1] if node.target is operator.getitem else 0
        if place == 0:
            continue
        if place != 1 or module.num_layers > 1 or module.bidirectional:
            raise ConvertError(f"{reader.place}: only the hidden states of a recurrent layer can be used")
        last = reader.add("select", value, (width,), index=-1, axis=0)
        values.append(reader.add("reshape", last, (1, width), shape=(1, width)))
    return tuple(values)


def window(op: str) -> None:
    """Register a function that converts the shifted-window attention of torchvision's Swin Transformers."""

    def row(reader: Reader, found: Leaf) -> Value:
        module = found.module
        value = reader.one(found.inputs[0])
        if len(set(module.window_size)) > 1 or len(set(module.shift_size)) > 1:
            raise ConvertError(
                f"{reader.place}: netspec supports only square windows and equal shifts, not windows of"
                f" {module.window_size} with shifts of {module.shift_size}"
            )
        options = {"heads": module.num_heads, "window": module.window_size[0], "shift": module.shift_size[0]}
        return reader.add(op, value, reader.shape(value), found.path, **options)

    kind = {
        "window_attention": "ShiftedWindowAttention",
        "cosine_window_attention": "ShiftedWindowAttentionV2",
    }[op]
    leaf(f"torchvision.models.swin_transformer.{kind}")(row)


window("window_attention")
window("cosine_window_attention")


@leaf("torchvision.models.video.swin_transformer.ShiftedWindowAttention3d")
def video_window_attention(reader: Reader, found: Leaf) -> Value:
    """Convert the shifted-window attention of torchvision's Video Swin Transformers."""
    module, value = found.module, reader.one(found.inputs[0])
    options = {"window": tuple(module.window_size), "shift": tuple(module.shift_size)}
    shape = reader.shape(value)
    return reader.add("video_window_attention", value, shape, found.path, heads=module.num_heads, **options)


@leaf("torchvision.models.maxvit.RelativePositionalMultiHeadAttention")
def relative_attention(reader: Reader, found: Leaf) -> Value:
    """Convert the attention inside the windows of torchvision's MaxViT."""
    value = reader.one(found.inputs[0])
    place = found.path
    return reader.add("relative_attention", value, reader.shape(value), place, heads=found.module.n_heads)
