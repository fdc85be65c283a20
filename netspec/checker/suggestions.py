"""Suggests names for those of other frameworks, and substitutes for layer types that netspec lacks."""

from __future__ import annotations

import re
from collections.abc import Iterable

from netspec.diagnostics import did_you_mean

SYNONYMS = {
    **dict.fromkeys(("dense", "fc", "innerproduct", "fullyconnected"), "linear"),
    **dict.fromkeys(("eltwise", "plus"), "add"),
    **dict.fromkeys(("convolution",), "conv"),
    **dict.fromkeys(("convtranspose", "transposedconv", "deconvolution"), "deconv"),
    **dict.fromkeys(("pool", "maxpooling"), "maxpool"),
    **dict.fromkeys(("averagepooling", "averagepool", "meanpool"), "avgpool"),
    **dict.fromkeys(("adaptiveavgpool", "adaptiveaveragepool"), "adaptive_avgpool"),
    **dict.fromkeys(("bn", "batchnormalization"), "batchnorm"),
    **dict.fromkeys(("ln", "layernormalization"), "layernorm"),
    **dict.fromkeys(("gn", "groupnormalization"), "groupnorm"),
    **dict.fromkeys(("localresponsenorm", "localresponsenormalization"), "lrn"),
    **dict.fromkeys(("swish", "swish1"), "silu"),
    **dict.fromkeys(("hswish",), "hardswish"),
    **dict.fromkeys(("hsigmoid",), "hardsigmoid"),
    **dict.fromkeys(("lrelu", "leakyrelu"), "leaky_relu"),
    **dict.fromkeys(("mha", "multiheadattention", "selfattention"), "attention"),
    **dict.fromkeys(("interpolate", "resize", "upsampling"), "upsample"),
    **dict.fromkeys(("droppath",), "stochastic_depth"),
    **dict.fromkeys(("spatialdropout",), "dropout2d"),
    **dict.fromkeys(("zeropadding",), "zeropad"),
    **{"cat": "concat", "concatenate": "concat", "multiply": "mul", "bmm": "matmul"},
    **dict.fromkeys(("depthtospace",), "pixel_shuffle"),
    **dict.fromkeys(("spacetodepth",), "pixel_unshuffle"),
    **dict.fromkeys(("scaleddotproductattention", "sdpa"), "dot_product_attention"),
    **{"filters": "channels", "outchannels": "channels", "units": "features", "outfeatures": "features"},
    **{"negativeslope": "slope", "rate": "p", "kernelsize": "kernel", "strides": "stride"},
}
"""netspec's names, keyed by those of other frameworks in lower case, without underscores and `2d`."""

ADVICE: dict[str, str] = {
    **dict.fromkeys(
        ("depthwise", "depthwiseconv", "dwconv"),
        "a depthwise convolution is `conv({channels}, 3, padding=1, groups={channels})`",
    ),
    **dict.fromkeys(("pointwise", "pointwiseconv", "conv1x1"), "a pointwise convolution is `conv(64, 1)`"),
    **dict.fromkeys(
        ("globalavgpool", "globalaveragepooling", "globalaveragepool", "gap"),
        "global average pooling is `adaptive_avgpool(1)`, followed by `flatten`",
    ),
    **dict.fromkeys(("globalmaxpool", "gmp"), "global maximum pooling is `adaptive_maxpool(1)`"),
    **dict.fromkeys(("instancenorm",), "instance normalization is `groupnorm({channels})`"),
    **dict.fromkeys(
        ("transpose", "swapaxes"),
        "`permute([1, 0])` reorders the axes; `channels_last` and `channels_first` move the channels of an "
        "image, and `tokens` turns an image into tokens",
    ),
    **dict.fromkeys(("rnn",), "the recurrent layers are `lstm(64)` and `gru(64)`"),
    "embed": "a table of learned vectors is `embedding(10000, 64)`",
    **dict.fromkeys(("multihead", "multiheadselfattention"), "write `attention(8)`, with 8 heads"),
    **dict.fromkeys(
        ("separableconv", "depthwiseseparableconv"),
        "write `conv({channels}, 3, padding=1, groups={channels})` and then `conv(64, 1)`",
    ),
    **dict.fromkeys(
        ("chunk", "split", "tensorsplit"), "select each part with `slice(0, 32)`, `slice(32, 64)`"
    ),
    **dict.fromkeys(("unsqueeze", "squeeze", "view"), "write the new sizes, as in `reshape(1x64)`"),
    **dict.fromkeys(
        ("skip", "shortcut", "residual", "residualblock"),
        "a shortcut is `add { identity; { conv(64, 3, padding=1); relu } }`",
    ),
    **dict.fromkeys(("bilinear", "bilinearupsample"), "write `upsample(2, mode=bilinear)`"),
    **dict.fromkeys(("sequential", "module"), "layers follow each other in `{ ... }`; `block` names them"),
    **dict.fromkeys(("reducemean",), "the mean of each channel is `adaptive_avgpool(1)`"),
}
"""What to write instead of a layer type that netspec lacks. The keys are written as in SYNONYMS."""


def plain_name(word: str) -> str:
    """Return a name in lower case, without underscores and a final `2d`, as in the tables above."""
    return re.sub(r"[123]d$", "", word.lower().replace("_", ""))


def suggest(word: str, known: Iterable[str]) -> str | None:
    """Return a help line that suggests the intended name, or None if no name is similar."""
    known = list(known)
    synonym = SYNONYMS.get(plain_name(word), plain_name(word))
    return f"did you mean `{synonym}`?" if synonym in known else did_you_mean(word, known)


def advice(word: str, channels: int | None = None) -> str | None:
    """Return a help line that says what to write instead of a missing layer type, or None if unknown.

    `channels` is the number of input channels of the layer, if it is known.
    """
    found = ADVICE.get(plain_name(word))
    if found is None or "{channels}" not in found:
        return found
    text = found.replace("{channels}", str(channels or 64))
    return text if channels else f"{text}, for an image with 64 channels"
