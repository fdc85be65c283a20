"""Codes for arguments of layers and blocks, settings, and entries of the recipe."""

from __future__ import annotations

from netspec.codes.explanation import Explanation, add

add(
    Explanation(
        "unknown-op",
        "No layer type or block has this name",
        "docs/ops.md lists the layer types. A block must be defined before its first call, or in a file "
        "named by `use`.",
        "conv2d(8, 3)",
        "conv(8, 3)",
    ),
    Explanation(
        "unknown-argument",
        "A layer or block has no argument with this name",
        "docs/ops.md lists the arguments of every layer type.",
        "conv(8, 3, strides=2)",
        "conv(8, 3, stride=2)",
    ),
    Explanation(
        "missing-argument",
        "A required argument is missing",
        "Arguments without a default must be given.",
        "conv(8)",
        "conv(8, kernel=3)",
    ),
    Explanation(
        "too-many-arguments",
        "A call has more arguments than the layer or block takes",
        "The sizes of a layer's input are inferred; they are never given as arguments.",
        "relu(8, 3)",
        "relu",
    ),
    Explanation(
        "duplicate-argument",
        "An argument is given twice",
        "An argument is given by position and by name, or twice by name. The same code reports a repeated "
        "parameter or entry of `train`.",
        "conv(8, 3, kernel=5)",
        "conv(8, kernel=5)",
    ),
    Explanation(
        "bad-argument",
        "The arguments are not in a valid form",
        "Arguments by position must come before those by name, the arguments of `default` must be named, "
        "and `share` takes the name of one layer or group.",
        "conv(kernel=3, 8)",
        "conv(8, kernel=3)",
    ),
    Explanation(
        "argument-range",
        "A value is outside the range that the argument allows",
        "Sizes, strides and counts must be at least 1, paddings at least 0, and probabilities from 0 to 1.",
        "conv(8, 3, stride=0)",
        "conv(8, 3, stride=1)",
    ),
    Explanation(
        "unknown-setting",
        "The network has no parameter or input with this name",
        "A setting must name a parameter in the `network` statement, and a given shape must name an input.",
        "network Net(width = 8)\ninput image: 3x32x32\nconv(width, 3)",
        "network Net(width = 8)\ninput image: 3x32x32\nconv(width, 3)",
        arguments={"witdh": 16},
        mended_arguments={"width": 16},
    ),
    Explanation(
        "wrong-setting",
        "A setting has the wrong type or an invalid value",
        "The value of a parameter must have the type of its default, and the value of a recipe's entry "
        "must be valid in a recipe.",
        "network Net(width = 8)\ninput image: 3x32x32\nconv(width, 3)",
        "network Net(width = 8)\ninput image: 3x32x32\nconv(width, 3)",
        arguments={"width": "wide"},
        mended_arguments={"width": 16},
    ),
    Explanation(
        "recipe",
        "An entry of the `train` section is invalid",
        "The entry or its value is not recognized, a required argument is missing, or a value is out of "
        "range. docs/training.md lists all entries.",
        "flatten; linear(10)\ntrain { optimizer: sgd }",
        "flatten; linear(10)\ntrain { optimizer: sgd(lr=0.1) }",
    ),
    Explanation(
        "duplicate-train",
        "There are two `train` sections",
        "A network has only one recipe. Put all its entries into one section.",
        "relu\ntrain { batch: 64 }\ntrain { epochs: 5 }",
        "relu\ntrain { batch: 64; epochs: 5 }",
    ),
)
