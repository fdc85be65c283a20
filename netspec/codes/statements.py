"""Codes for the text of a spec: syntax, names, expressions, files."""

from __future__ import annotations

from netspec.codes.explanation import Explanation, add

add(
    Explanation(
        "syntax",
        "The text cannot be parsed",
        "A statement does not follow the grammar of the language. It is skipped, and checking continues "
        "after it.",
        "conv(8 3)",
        "conv(8, 3)",
    ),
    Explanation(
        "unreadable-file",
        "The spec cannot be read",
        "The file is missing, empty, not UTF-8 text, larger than 2 MiB, or cannot be opened.",
        "",
        "relu",
    ),
    Explanation(
        "no-network",
        "The spec does not begin with a `network` statement",
        "The first statement must name the network and list its parameters.",
        "input image: 3x32x32\nrelu",
        "network Net\ninput image: 3x32x32\nrelu",
    ),
    Explanation(
        "misplaced",
        "A statement is not allowed here",
        "`input`, `output`, `use` and `train` are not allowed inside a block or group, and `network` must "
        "be the first statement. A file named by `use` can contain only blocks, names and defaults.",
        "stem: { conv: conv(8, 3); output conv }",
        "stem: { conv: conv(8, 3) }\noutput stem.conv",
    ),
    Explanation(
        "bad-use",
        "A file named by `use` cannot be used",
        "The file must exist, lie in the folder of the spec or below it, and not use itself.",
        'use "missing.net"\nrelu',
        "relu",
    ),
    Explanation(
        "unknown-name",
        "A name is not defined",
        "Expressions can use parameters, names defined with `=`, loop variables and functions. A layer is "
        "not a value, but its sizes are, as in `conv1.channels`.",
        "conv(width, 3)",
        "width = 8\nconv(width, 3)",
    ),
    Explanation(
        "unknown-key",
        "A list or table has no item with this key",
        "The indices of a list start at 0; a table has only the keys that are written in it.",
        "sizes = {18: 64, 50: 256}\nconv(sizes[34], 3)",
        "sizes = {18: 64, 34: 64, 50: 256}\nconv(sizes[34], 3)",
    ),
    Explanation(
        "expression",
        "An expression cannot be evaluated",
        "It divides by zero, calls a function with invalid arguments, uses a list or table as a key, or "
        "is nested too deeply.",
        "conv(8 // 0, 3)",
        "conv(8 // 2, 3)",
    ),
    Explanation(
        "wrong-type",
        "A value has the wrong type",
        "The expression does not have the type that is needed here. `/` always gives a fraction: use "
        "`//` to divide whole numbers.",
        "conv(in.channels / 3, 3)",
        "conv(in.channels // 3, 3)",
    ),
    Explanation(
        "too-large",
        "The spec exceeds a limit of the checker",
        "Numbers, lists, nesting and the number of layers are limited, so that checking any text takes "
        "little time.",
        "repeat 10**9 { relu }",
        "repeat 10 { relu }",
    ),
    Explanation(
        "bad-label",
        "A label or block name is not allowed",
        "A label must not be a keyword of Python or an attribute of PyTorch's nn.Module, because layers "
        "become attributes of a module; a block must not have the name of a layer type.",
        "train_: relu\nforward: relu",
        "train_: relu\nforward_1: relu",
    ),
    Explanation(
        "duplicate-label",
        "Two layers have the same label",
        "Labels must be unique in their network, block or group. In a loop, put the loop variable into "
        "the label.",
        "for i in range(2) { step: relu }",
        "for i in range(2) { step{i}: relu }",
    ),
    Explanation(
        "duplicate-block",
        "Two blocks have the same name",
        "Blocks in the same scope must have different names.",
        "block Act { relu }\nblock Act { tanh }\nAct",
        "block Act { relu }\nblock Act2 { tanh }\nAct\nAct2",
    ),
    Explanation(
        "block-recursion",
        "A block contains itself",
        "A block is expanded at each call, so expanding a block that calls itself would never end.",
        "block A { B }\nblock B { A }\nA",
        "block A { B }\nblock B { relu }\nA",
    ),
    Explanation(
        "assertion",
        "The condition of an `assert` statement is false",
        "With `assert`, the author of a network or block restricts the values of its parameters. The check "
        "stops at the first condition that is false.",
        'block Two(n) {\n  assert n % 2 == 0 "n must be even"\n  repeat n // 2 { relu; relu }\n}\nTwo(3)',
        'block Two(n) {\n  assert n % 2 == 0 "n must be even"\n  repeat n // 2 { relu; relu }\n}\nTwo(4)',
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
