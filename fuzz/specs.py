"""Random specs, generated from the grammar or by damaging valid specs."""

from __future__ import annotations

import random
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOKEN = re.compile(r"\d+x\d+(?:x\d+)*|\w+|->|<-|//|\*\*|[=!<>]=|\s+|.", re.DOTALL)
NUMBERS = [
    "0",
    "1",
    "2",
    "3",
    "7",
    "64",
    "-1",
    "0.5",
    "1e9",
    "99999999999999999999",
    "1e400",
    "2**70",
    "1.5k",
]
SIZES = ["3x8x8", "1x1x1", "8", "0x3x3", "?x?x?", "3x0x3", "99999x99999x99999", "{n}x8x8", "4x8", "1x2x3x4"]
NAMES = ["a", "b", "n", "in", "x1", "relu", "conv", "Net", "B", "up{i}", '"0"', "é", "a.b", "in.channels"]
OTHERS = ["output a", "expect params = 3", "train { batch: 4 }", 'use "x.net"', "share(a)"]
WORDS = [
    *(
        "network",
        "input",
        "block",
        "default",
        "repeat",
        "for",
        "if",
        "else",
        "in",
        "output",
        "when",
        "expect",
    ),
    *("expect", "train", "use", "share", "and", "or", "not", "true", "false", "none", "add", "concat", "mul"),
    *("conv", "deconv", "maxpool", "avgpool", "linear", "relu", "flatten", "batchnorm", "layernorm", "lrn"),
    *("dropout", "upsample", "attention", "tokens", "token", "param", "slice", "rescale", "adaptive_avgpool"),
    *("range", "len", "min", "max", "sum", "zip", "enumerate", "round", "make_divisible", "int", "abs"),
    *(
        "(",
        ")",
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        ";",
        "\n",
        "=",
        "->",
        "<-",
        "+",
        "-",
        "*",
        "/",
        "//",
        "%",
        "**",
    ),
    *("==", "<", ">=", ".", "?", '"', "#", "@", "\\", "\0", "\t", "\r", "\ufeff", "\u202e", "🦙"),
]


@cache
def corpus() -> tuple[str, ...]:
    """Return the texts of the project's specs, recipes and test cases."""
    files = [*ROOT.glob("specs/**/*.net"), *ROOT.glob("recipes/*.net"), *ROOT.glob("tests/cases/**/*.net")]
    return tuple(path.read_text("utf-8", errors="replace") for path in sorted(files))


def make(draw: random.Random) -> bytes:
    """Return a random spec; in 2 % of cases, it contains random bytes."""
    text = damaged(draw) if draw.random() < 0.6 else drawn(draw)
    content = text.encode("utf-8", errors="surrogatepass")
    if draw.random() < 0.02:
        place = draw.randrange(len(content) + 1)
        content = content[:place] + draw.randbytes(draw.randint(1, 4)) + content[place:]
    return content


def damaged(draw: random.Random) -> str:
    """Return a valid spec with some tokens removed, repeated, inserted or replaced."""
    tokens = TOKEN.findall(draw.choice(corpus()))
    for _ in range(draw.choice([1, 1, 1, 2, 3, 8])):
        place = draw.randrange(len(tokens) + 1)
        match draw.randrange(6):
            case 0:
                del tokens[place : place + draw.choice([1, 1, 2, 10])]
            case 1:
                tokens[place:place] = tokens[place : place + draw.choice([1, 5, 40])]
            case 2:
                tokens[place : place + 1] = [draw.choice([*WORDS, *NUMBERS, *SIZES, *NAMES])]
            case 3:
                tokens.insert(place, draw.choice([*WORDS, *NUMBERS, *SIZES, *NAMES]))
            case 4:
                other = TOKEN.findall(draw.choice(corpus()))
                begin = draw.randrange(len(other))
                tokens[place:place] = other[begin : begin + draw.choice([3, 20])]
            case _:
                numbers = [k for k, t in enumerate(tokens) if t.isdigit()]
                if numbers:
                    tokens[draw.choice(numbers)] = draw.choice(NUMBERS)
    return "".join(tokens)


def drawn(draw: random.Random) -> str:
    """Return a spec that follows the grammar, but is rarely meaningful."""
    size = draw.choice(SIZES) if draw.random() < 0.3 else draw.choice(["3x32x32", "1x28x28", "16", "8x4"])
    lines = [f"network Net(n = {expression(draw, 1)})", f"input image: {size}"]
    return "\n".join([*lines, *(statement(draw, 2) for _ in range(draw.randint(1, 8)))]) + "\n"


def statement(draw: random.Random, depth: int) -> str:
    """Return a statement that contains statements nested up to a depth."""
    kinds = 13 if depth else 6
    match draw.randrange(kinds):
        case 0 | 1 | 2:
            label = f"{draw.choice(NAMES)}: " if draw.random() < 0.4 else ""
            source = f" <- {draw.choice(NAMES)}" if draw.random() < 0.15 else ""
            claim = f" -> {draw.choice(SIZES)}" if draw.random() < 0.15 else ""
            return f"{label}{layer(draw)}{source}{claim}"
        case 3:
            return f"{draw.choice(NAMES)} = {expression(draw, 2)}"
        case 4:
            return f"default {layer(draw)}"
        case 5:
            return draw.choice(
                ["output a", "expect params = 3", "train { batch: 4 }", 'use "x.net"', "share(a)"]
            )
        case 6:
            return f"repeat {expression(draw, 1)} {{ {body(draw, depth)} }}"
        case 7:
            return f"for i in {expression(draw, 2)} {{ {body(draw, depth)} }}"
        case 8:
            return f"if {expression(draw, 2)} {{ {body(draw, depth)} }} else {{ {body(draw, depth)} }}"
        case 9:
            return f"{draw.choice(['add', 'concat', 'mul', 'relu'])} {{ {body(draw, depth)} }}"
        case 10:
            return f"block B(n, m = {expression(draw, 1)}) {{ {body(draw, depth)} }}"
        case 11:
            return f"B({expression(draw, 1)})"
    return f"{draw.choice(NAMES)}: {{ {body(draw, depth)} }}"


def body(draw: random.Random, depth: int) -> str:
    return draw.choice(["; ", "\n"]).join(statement(draw, depth - 1) for _ in range(draw.randint(0, 3)))


def layer(draw: random.Random) -> str:
    """Return a call of a random op, with possibly invalid arguments."""
    from netspec.ops import OPS

    op = draw.choice(list(OPS))
    given = [expression(draw, 1) for _ in range(draw.choice([0, 1, 1, 2, 3]))]
    for name in draw.sample(list(OPS[op].model_fields), min(len(OPS[op].model_fields), draw.randint(0, 2))):
        given.append(f"{name}={expression(draw, 1)}")
    return f"{op}({', '.join(given)})" if given or draw.random() < 0.3 else op


def expression(draw: random.Random, depth: int) -> str:
    """Return an expression of a random type."""
    if not depth:
        return draw.choice(
            [draw.choice(NUMBERS), draw.choice(NAMES), "true", '"text"', draw.choice(SIZES), "none"]
        )
    inner = [expression(draw, depth - 1) for _ in range(3)]
    shape = draw.choice(
        [
            *("{0}", "{0}", "{0} + {1}", "{0} // {1}", "{0} ** {1}", "[{0}, {1}]", "{{{0}: {1}}}", "({0})"),
            *("{0} if {1} else {2}", "{0}[{1}]", "{0}.channels", "range({0})", "max({0}, {1})", "-{0}"),
            *("not {0}", "{0} and {1}", "{0} in [{1}]", "zip({0}, {1})", "normal({0})", "{0} < {1} < {2}"),
        ]
    )
    return shape.format(*inner)
