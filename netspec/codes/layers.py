"""Codes for layers and joins: shapes that do not match, and references to layers."""

from __future__ import annotations

from netspec.codes.explanation import Explanation, add

add(
    Explanation(
        "bad-input",
        "The shape of an input is invalid",
        "The shape has 1 to 4 sizes of at least 1: features, tokens x features (or channels x length of a "
        "signal), channels x height x width, or channels x depth x height x width of a video. The batch is "
        "never part of a shape.",
        "network Net\ninput image: 8x2x3x32x32\nrelu",
        "network Net\ninput image: 3x32x32\nrelu",
    ),
    Explanation(
        "shape-mismatch",
        "A layer does not accept its input, or its output does not have the shape written after `->`",
        "The labels show the layers that led to this shape, with their arithmetic. The help line suggests a "
        "change if one is found.",
        "conv(8, 3) -> 8x32x32",
        "conv(8, 3, padding=1) -> 8x32x32",
    ),
    Explanation(
        "empty-output",
        "The output of a layer would be empty",
        "The kernel is larger than the padded image. Use a larger input, smaller strides, or padding.",
        "conv(8, 64)",
        "conv(8, 32)",
    ),
    Explanation(
        "unflattened-image",
        "A linear layer takes a feature vector, not an image",
        "Put `flatten` or global pooling before it.",
        "linear(10)",
        "flatten; linear(10)",
    ),
    Explanation(
        "indivisible-groups",
        "The channels cannot be divided into this many groups",
        "`groups` must divide the channels of the input and of the output.",
        "conv(8, 3, groups=2)",
        "conv(9, 3, groups=3)",
    ),
    Explanation(
        "indivisible-heads",
        "The features cannot be divided into this many heads",
        "`heads` must divide the features of the tokens.",
        "network Net\ninput words: 16x64\nattention(6)",
        "network Net\ninput words: 16x64\nattention(8)",
    ),
    Explanation(
        "indivisible-windows",
        "The image cannot be divided into windows of this size",
        "The window's size must divide height and width.",
        "partition(7)",
        "partition(8)",
    ),
    Explanation(
        "branches-disagree",
        "The inputs of a join have different shapes",
        "The inputs of `concat` may differ only in their channels; the inputs of `add` and `mul` must have "
        "the same shape. The labels show the output shape of each branch.",
        "add { conv(3, 3); identity }",
        "add { conv(3, 3, padding=1); identity }",
    ),
    Explanation(
        "wrong-arity",
        "A layer has the wrong number of inputs",
        "Most layers take one input; `concat`, `add` and `mul` take two or more.",
        "a: relu\nadd(a)",
        "a: relu\nadd(a, a)",
    ),
    Explanation(
        "no-batch",
        "A layer's input is a raw tensor without a batch",
        "`param` and `buffer` define raw tensors, which are the same for every image. They can only be "
        "combined with tensors that have a batch, with `add`, `mul` or `concat`.",
        "scale: param(3x1x1)\nrelu\nimage_: mul(image, scale)\nbad: conv(8, 3) <- scale\nadd(bad, image_)",
        "scale: param(3x1x1)\nmul(image, scale)",
    ),
    Explanation(
        "unknown-layer",
        "No earlier layer with this name is in scope",
        "A reference must name an earlier layer in the same scope or in one that encloses it. Inside a "
        "block, only the block's own layers and `in` are in scope.",
        "conv1: conv(8, 3)\nadd(conv1, conv2)",
        "conv1: conv(8, 3)\nconv2: relu\nadd(conv1, conv2)",
    ),
)
