"""Codes of the text of a spec: syntax, names, expressions, files."""

from __future__ import annotations

from netspec.codes.explanation import Explanation, add

add(
    Explanation(
        "syntax",
        "The text cannot be parsed",
        "A statement breaks the grammar of the language. The statement is skipped, and checking goes "
        "on after it.",
        "conv(8 3)",
        "conv(8, 3)",
    ),
    Explanation(
        "unreadable-file",
        "The spec cannot be read",
        "The file is missing, empty, not UTF-8 text, larger than 2 MiB, or the system refuses to open it.",
        "",
        "relu",
    ),
    Explanation(
        "no-network",
        "The spec does not begin with a `network` statement",
        "The first statement of a spec names the network and lists its parameters.",
        "input image: 3x32x32\nrelu",
        "network Net\ninput image: 3x32x32\nrelu",
    ),
    Explanation(
        "misplaced",
        "A statement is not allowed here",
        "`input`, `output`, `use` and `train` belong to the network itself, not to a block or a group, and "
        "`network` is the first statement. A file that is taken with `use` has only blocks, names "
        "and defaults.",
        "stem: { conv: conv(8, 3); output conv }",
        "stem: { conv: conv(8, 3) }\noutput stem.conv",
    ),
    Explanation(
        "bad-use",
        "A file named by `use` cannot be taken",
        "`use` reads files in the folder of the spec or below it. The file must exist and must not "
        "use itself.",
        'use "missing.net"\nrelu',
        "relu",
    ),
    Explanation(
        "unknown-name",
        "A name is not defined",
        "Names in expressions are parameters, names bound with `=`, loop variables and functions. A "
        "layer is not "
        "a value; its shape is, as in `conv1.channels`.",
        "conv(width, 3)",
        "width = 8\nconv(width, 3)",
    ),
    Explanation(
        "unknown-key",
        "A list or table has no such entry",
        "Items of a list are counted from 0; a table has only the keys that it was written with.",
        "sizes = {18: 64, 50: 256}\nconv(sizes[34], 3)",
        "sizes = {18: 64, 34: 64, 50: 256}\nconv(sizes[34], 3)",
    ),
    Explanation(
        "expression",
        "An expression has no value",
        "It divides by zero, calls a function wrongly, uses a key that cannot be one, or is nested "
        "too deeply.",
        "conv(8 // 0, 3)",
        "conv(8 // 2, 3)",
    ),
    Explanation(
        "wrong-type",
        "A value has the wrong type",
        "The place needs another type than the expression has. `/` always gives a fraction: use `//` "
        "to divide "
        "whole numbers.",
        "conv(in.channels / 3, 3)",
        "conv(in.channels // 3, 3)",
    ),
    Explanation(
        "too-large",
        "The spec asks for more than the checker computes",
        "Numbers, lists, nesting and the count of layers are bounded, so that checking any text ends soon.",
        "repeat 10**9 { relu }",
        "repeat 10 { relu }",
    ),
    Explanation(
        "bad-label",
        "A name cannot be used here",
        "A label must not be a word of Python or an attribute of PyTorch's modules, since layers become "
        "attributes; a block must not have the name of a layer type.",
        "train_: relu\nforward: relu",
        "train_: relu\nforward_1: relu",
    ),
    Explanation(
        "duplicate-label",
        "Two layers have the same label",
        "Labels are unique in their network, block or group. In a loop, put the counter into the label.",
        "for i in range(2) { step: relu }",
        "for i in range(2) { step{i}: relu }",
    ),
    Explanation(
        "duplicate-block",
        "Two blocks have the same name",
        "A block can be defined once in each scope.",
        "block Act { relu }\nblock Act { tanh }\nAct",
        "block Act { relu }\nblock Act2 { tanh }\nAct\nAct2",
    ),
    Explanation(
        "block-recursion",
        "A block contains itself",
        "Blocks are expanded where they are called, so a block that calls itself would never end.",
        "block A { B }\nblock B { A }\nA",
        "block A { B }\nblock B { relu }\nA",
    ),
    Explanation(
        "unused-name",
        "A parameter, name or block is never used",
        "Delete it, or begin its name with `_` to keep it.",
        "width = 8\nrelu",
        "_width = 8\nrelu",
        severity="warning",
    ),
)
