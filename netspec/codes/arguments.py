"""Codes of arguments: those of layers and blocks, settings from outside, and the recipe."""

from __future__ import annotations

from netspec.codes.explanation import Explanation, add

add(
    Explanation(
        "unknown-op",
        "There is no layer type or block of this name",
        "docs/ops.md lists the layer types. A block is defined before it is called, or taken with `use`.",
        "conv2d(8, 3)",
        "conv(8, 3)",
    ),
    Explanation(
        "unknown-argument",
        "A layer or block has no argument of this name",
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
        "A layer or block takes fewer arguments",
        "The sizes of the input are never arguments: they are inferred.",
        "relu(8, 3)",
        "relu",
    ),
    Explanation(
        "duplicate-argument",
        "An argument is given twice",
        "It is given by position and by name, twice by name, or a parameter or an entry of `train` "
        "is repeated.",
        "conv(8, 3, kernel=5)",
        "conv(8, kernel=5)",
    ),
    Explanation(
        "bad-argument",
        "Arguments are written in a way that is not allowed",
        "Arguments by position come before those by name, `default` names its arguments, and `share` "
        "takes the "
        "name of one layer or group.",
        "conv(kernel=3, 8)",
        "conv(8, kernel=3)",
    ),
    Explanation(
        "argument-range",
        "A value is outside the range that the argument allows",
        "Sizes, strides and counts are at least 1, paddings at least 0, and probabilities between 0 and 1.",
        "conv(8, 3, stride=0)",
        "conv(8, 3, stride=1)",
    ),
    Explanation(
        "unknown-setting",
        "The network has no such parameter or input",
        "A setting must name one of the parameters in the `network` statement, and a shape one of "
        "the inputs.",
        "network Net(width = 8)\ninput image: 3x32x32\nconv(width, 3)",
        "network Net(width = 8)\ninput image: 3x32x32\nconv(width, 3)",
        arguments={"witdh": 16},
        mended_arguments={"width": 16},
    ),
    Explanation(
        "wrong-setting",
        "A setting has the wrong type or an invalid value",
        "A parameter takes values of the type of its default, and an entry of the recipe what the "
        "recipe allows.",
        "network Net(width = 8)\ninput image: 3x32x32\nconv(width, 3)",
        "network Net(width = 8)\ninput image: 3x32x32\nconv(width, 3)",
        arguments={"width": "wide"},
        mended_arguments={"width": 16},
    ),
    Explanation(
        "recipe",
        "An entry of the `train` section is invalid",
        "The entry is unknown, has an unknown choice, or a value out of range; docs/training.md "
        "lists all entries.",
        "flatten; linear(10)\ntrain { optimizer: sgd }",
        "flatten; linear(10)\ntrain { optimizer: sgd(lr=0.1) }",
    ),
    Explanation(
        "duplicate-train",
        "There are two `train` sections",
        "A network has one recipe. Put all its entries into one section.",
        "relu\ntrain { batch: 64 }\ntrain { epochs: 5 }",
        "relu\ntrain { batch: 64; epochs: 5 }",
    ),
)
