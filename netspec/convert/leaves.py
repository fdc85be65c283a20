"""Modules that are one op of netspec, though they make many ATen calls."""

from __future__ import annotations

import operator

from netspec.convert.aten.axes import permuted
from netspec.convert.reader import Reader
from netspec.convert.rows import Leaf, Value, leaf
from netspec.errors import ConvertError


@leaf("torchvision.ops.misc.Permute")
def permute(reader: Reader, found: Leaf) -> Value:
    """torchvision's permutation of axes."""
    return permuted(reader, reader.one(found.inputs[0]), [d - 1 for d in found.module.dims[1:]])


@leaf("torchvision.ops.stochastic_depth.StochasticDepth", passes=True)
def stochastic_depth(reader: Reader, found: Leaf) -> Value:
    """Stochastic depth, which does nothing in evaluation."""
    if found.module.mode != "row":
        raise ConvertError(
            f"{reader.place}: StochasticDepth with mode={found.module.mode!r} has no counterpart in netspec"
        )
    value = reader.one(found.inputs[0])
    return reader.add("stochastic_depth", value, reader.shape(value), p=float(found.module.p))


@leaf("timm.layers.drop.DropPath", passes=True)
def drop_path(reader: Reader, found: Leaf) -> Value:
    """timm's stochastic depth."""
    value = reader.one(found.inputs[0])
    if not found.module.drop_prob:
        return value
    if not found.module.scale_by_keep:
        raise ConvertError(f"{reader.place}: DropPath with scale_by_keep=False has no counterpart in netspec")
    return reader.add("stochastic_depth", value, reader.shape(value), p=float(found.module.drop_prob))


@leaf("torch.nn.modules.activation.MultiheadAttention")
def multihead_attention(reader: Reader, found: Leaf) -> Value:
    """Self-attention by nn.MultiheadAttention."""
    module = found.module
    lacks = {
        "cross-attention or a mask": len(found.inputs) > 1,
        "the weights of the attention as an output": len(found.outputs) > 1,
        "a batch that is not where batch_first says": reader.layout(found.inputs[0]).at
        != int(not module.batch_first),
        "kdim, vdim, no bias, add_bias_kv or add_zero_attn": not module._qkv_same_embed_dim
        or module.in_proj_bias is None
        or module.bias_k is not None
        or module.add_zero_attn,
    }
    if any(lacks.values()):
        what = next(name for name, found in lacks.items() if found)
        raise ConvertError(f"{reader.place}: nn.MultiheadAttention with {what} has no counterpart in netspec")
    value = reader.one(found.inputs[0])
    options = {"heads": module.num_heads, "dropout": float(module.dropout)}
    return reader.add("attention", value, reader.shape(value), found.path, **options)


@leaf("torch.nn.modules.rnn.LSTM", "torch.nn.modules.rnn.GRU")
def recurrent(reader: Reader, found: Leaf) -> Value:
    """Recurrent layers; the last hidden state is that of the last token."""
    module, source = found.module, found.inputs[0]
    plain = len(found.inputs) == 1 and module.batch_first and module.bias and not module.proj_size
    if not plain:
        what = "with a given state, a projection, no bias or batch_first=False"
        raise ConvertError(f"{reader.place}: a recurrent layer {what} has no counterpart in netspec")
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
            raise ConvertError(f"{reader.place}: of a recurrent layer, only the hidden states can be used")
        last = reader.add("select", value, (width,), index=-1, axis=0)
        values.append(reader.add("reshape", last, (1, width), shape=(1, width)))
    return tuple(values)


def window(op: str) -> None:
    """Register the attention in shifted windows of torchvision's Swin Transformers."""

    def row(reader: Reader, found: Leaf) -> Value:
        module = found.module
        value = reader.one(found.inputs[0])
        if len(set(module.window_size)) > 1 or len(set(module.shift_size)) > 1:
            raise ConvertError(
                f"{reader.place}: attention in windows of {module.window_size} has no counterpart in netspec"
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
    """Attention in the shifted windows of torchvision's Video Swin Transformers."""
    module, value = found.module, reader.one(found.inputs[0])
    options = {"window": tuple(module.window_size), "shift": tuple(module.shift_size)}
    shape = reader.shape(value)
    return reader.add("video_window_attention", value, shape, found.path, heads=module.num_heads, **options)


@leaf("torchvision.models.maxvit.RelativePositionalMultiHeadAttention")
def relative_attention(reader: Reader, found: Leaf) -> Value:
    """Attention in the windows of MaxViT."""
    value = reader.one(found.inputs[0])
    place = found.path
    return reader.add("relative_attention", value, reader.shape(value), place, heads=found.module.n_heads)
