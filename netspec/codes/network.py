"""Codes for the network as a whole: inputs, outputs, expected totals, data sets."""

from __future__ import annotations

from netspec.codes.explanation import Explanation, add

add(
    Explanation(
        "no-input",
        "The network has no input, or a layer comes before it",
        "Declare an input before the first layer.",
        "network Net\nrelu",
        "network Net\ninput image: 3x32x32\nrelu",
    ),
    Explanation(
        "no-layers",
        "The network has no layers",
        "A network must have at least one layer after its input.",
        "network Net\ninput image: 3x32x32",
        "network Net\ninput image: 3x32x32\nrelu",
    ),
    Explanation(
        "unknown-output",
        "An output names a layer that does not exist",
        "An output names a layer by its label; a layer in a group is named by a dotted path.",
        "conv1: conv(8, 3)\noutput conv2",
        "conv1: conv(8, 3)\noutput conv1",
    ),
    Explanation(
        "unused-input",
        "No output depends on this input",
        "Use the input, or delete it.",
        "network Net\ninput left: 3x32x32\ninput right: 3x32x32\nrelu <- left",
        "network Net\ninput left: 3x32x32\ninput right: 3x32x32\nadd(left, right)",
    ),
    Explanation(
        "unused-layer",
        "The output of a layer is never used",
        "Return it with `output`, use it as the input of another layer, or delete the layer.",
        "a: relu\nb: tanh <- image",
        "a: relu\nb: tanh <- image\noutput a, b",
        severity="warning",
    ),
    Explanation(
        "channels-last",
        "An input seems to be written as height x width x channels",
        "Sizes are channels x height x width, as in PyTorch.",
        "network Net\ninput image: 224x224x3\nrelu",
        "network Net\ninput image: 3x224x224\nrelu",
        severity="warning",
    ),
    Explanation(
        "batch-first",
        "An input seems to be written as batch x channels x height x width",
        "A shape never includes the batch. Four sizes describe a video: channels x depth x height x width.",
        "network Net\ninput image: 1x3x32x32\nrelu",
        "network Net\ninput image: 3x32x32\nrelu",
        severity="warning",
    ),
    Explanation(
        "unfit-scores",
        "The last activation does not suit the loss",
        "The loss cross_entropy takes scores of any size and applies the softmax itself. After a softmax, "
        "sigmoid or relu the network learns slowly or not at all.",
        "flatten\nlinear(10)\nsoftmax\ntrain { epochs: 1 }",
        "flatten\nlinear(10)\ntrain { epochs: 1 }",
        severity="warning",
    ),
    Explanation(
        "expectation",
        "A total differs from the expected one",
        "The layers do not add up to the total in an `expect` statement. The labels show the lines "
        "that contribute most to the total.",
        "conv(8, 3)\nexpect params = 216",
        "conv(8, 3)\nexpect params = 224",
    ),
    Explanation(
        "unknown-count",
        "There is no total with this name",
        "The totals are params, buffers, macs, layers, activations, receptive_field, comparisons, additions, "
        "multiplications, divisions and exponentials.",
        "relu\nexpect weights = 0",
        "relu\nexpect params = 0",
    ),
    Explanation(
        "data-channels",
        "The images of the data set do not have as many channels as the input",
        "Declare the input with the channels of the data set, or replace its shape with `--input`.",
        "flatten; linear(10)",
        "network Net\ninput image: 1x28x28\nflatten; linear(10)",
        severity="warning",
        data="mnist",
    ),
    Explanation(
        "data-classes",
        "The data set does not have as many classes as the output",
        "The last layer must return one score for each class. Make the number of classes a parameter named "
        "`classes`.",
        "flatten; linear(1000)",
        "flatten; linear(10)",
        severity="warning",
        data="cifar10",
    ),
)
