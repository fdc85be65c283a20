"""The check of a hostile spec ends within seconds with a diagnostic."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from test_security import audit

from netspec import Network
from netspec.checker import Report, check_source
from netspec.diagnostics import Source, render
from netspec.errors import SettingError
from netspec.language.settings import read_setting

SECONDS = 20
"""What a hostile spec may take on a slow and busy machine; most take a tenth of a second."""


def check_text(text: str) -> Report:
    return check_source(Source("test.net", text), Path())


HEAD = "network Net\ninput image: 3x16x16\n"
DEEP = {
    "brackets": "x = " + "(" * 10_000 + "1" + ")" * 10_000,
    "lists": "x = " + "[" * 10_000 + "]" * 10_000,
    "tables": "x = " + "{1: " * 10_000 + "1" + "}" * 10_000,
    "calls": "x = " + "len(" * 10_000 + "1" + ")" * 10_000,
    "indices": "x = [1]" + "[0]" * 10_000,
    "attributes": "x = a" + ".b" * 10_000,
    "minuses": "x = " + "-" * 10_000 + "1",
    "nots": "x = " + "not " * 10_000 + "1",
    "sums": "x = " + " + ".join(["1"] * 10_000),
    "powers": "x = " + " ** ".join(["1"] * 10_000),
    "some powers": "x = " + " ** ".join(["1"] * 2000),
    "choices": "x = " + "1 if 1 else " * 10_000 + "1",
    "anonymous groups": "{" * 10_000 + "relu" + "}" * 10_000,
    "groups": "a: {" * 10_000 + "relu" + "}" * 10_000,
    "joins": "add { identity; " * 10_000 + "relu" + "}" * 10_000,
    "ifs": "if 1 {" * 10_000 + "relu" + "}" * 10_000,
    "else ifs": "if 0 { relu }" + " else if 0 { relu }" * 10_000,
    "loops": "for i in [1] {" * 10_000 + "relu" + "}" * 10_000,
    "open braces": "{" * 10_000,
    "blocks": "block B0 { relu }\n" + "".join(f"block B{i + 1} {{ B{i} }}\n" for i in range(3000)) + "B3000",
}
DOUBLING = "".join(f"block B{i + 1} {{ B{i}; B{i} }}\n" for i in range(60))
LARGE = {
    "repeat": "repeat 10_000_000_000 { relu }",
    "empty repeats": "repeat 10_000 { repeat 10_000 { } }",
    "work in loops": "for i in range(100_000) { x = sum(range(100_000)) }",
    "work in conditions": "repeat 100_000 { if len(range(100_000)) == 0 { relu } }",
    "work in a list": "x = [" + "min(range(100_000)), " * 20_000 + "]",
    "lists of lists": "for i in range(100_000) { for j in range(100_000) { x = [i] * 100_000 } }",
    "doubled lists": "x0 = [0]\n" + "".join(f"x{i + 1} = x{i} + x{i}\n" for i in range(64)),
    "nested lists": "x0 = [0]\n" + "".join(f"x{i + 1} = [x{i}, x{i}]\n" for i in range(64)),
    "doubled texts": 'x0 = "ab"\n' + "".join(f"x{i + 1} = x{i} + x{i}\n" for i in range(64)),
    "nested tables": "x0 = {0: 0}\n" + "".join(f"x{i + 1} = {{0: x{i}, 1: x{i}}}\n" for i in range(64)),
    "doubled defaults": "block B(a0 = [0], "
    + ", ".join(f"a{i + 1} = [a{i}, a{i}]" for i in range(64))
    + ") { }\nB",
    "doubled blocks": "block B0 { relu }\n"
    + "".join(f"block B{i + 1} {{ B{i}; B{i} }}\n" for i in range(60))
    + "B60",
    "doubled nothing": "block B0 { }\n"
    + "".join(f"block B{i + 1} {{ B{i}; B{i} }}\n" for i in range(60))
    + "B60",
    "zip": "x = zip(" + ", ".join(["range(100_000)"] * 300) + ")",
    "powers": "x = 9 ** 9 ** 9",
    "digits": "x = " + "9" * 1_000_000,
    "decimals": "x = 1." + "0" * 1_000_000,
    "exponent": "x = 1e999999999",
    "names like others": "".join(f"x{i} = y{i}\n" for i in range(5000)),
    "references like others": "".join(f"l{i}: relu\nx{i}: relu <- m{i}\n" for i in range(3000)),
    "unknown ops": "".join(f"relv{i}\n" for i in range(5000)),
    "unknown arguments": "relu(" + ", ".join(f"a{i}=1" for i in range(20_000)) + ")",
    "settings": "relu\ntrain { " + "; ".join(f"k{i}: {i}" for i in range(20_000)) + " }",
    "fixes of a claim": "conv(8, 3, padding=1)\n" * 2000 + "relu -> 1x2x3",
    "line ends": "\n" * 1_000_000 + "x = ",
    "semicolons": ";" * 1_000_000 + "x = ",
    "braces in a label": "a" + "{1}" * 100_000,
    "empty braces": "{}" * 100_000,
    "braces in a quoted label": '"' + "{1}" * 100_000 + '": relu',
    "sizes": "x = " + "{1}x" * 100_000,
    "quotes": '"' * 1_000_000,
    "signs": "@" * 100_000,
}


@contextmanager
def time_limit() -> Iterator[None]:
    def end(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="alarms are POSIX's")
@pytest.mark.parametrize("text", [*DEEP.values(), *LARGE.values()], ids=[*DEEP, *LARGE])
def test_a_hostile_spec_gives_a_diagnostic_in_time(text):
    with time_limit():
        report = check_text(HEAD + text + "\n")
        shown = [render(d) for d in report.diagnostics]
    assert not report.ok
    assert shown


# Short texts that once made the checker itself fail, and the codes of what is wrong with each.
ODD = {
    "if {}": {"syntax"},
    "if{}": {"syntax"},
    'm = {"a": {6: 1}': {"syntax"},
    "for i in (2) < {8: 1} < not 0 { repeat true { relu(k=none + true) -> 9x9x9\nrelu } }": {"syntax"},
    "relv -> 3x0x3": {"unknown-op"},
    "relu -> 0x8x8": {"shape-mismatch"},
    "relu -> 1x2x3x4\nconv(4, 3)": {"shape-mismatch"},
    "concat { relu -> 1x2x3x4; identity }": {"shape-mismatch"},
    "concat { relu -> 3x?x0; identity }": {"shape-mismatch"},
    "deconv(not 1, 3) -> 3x0x3\nrelu": {"wrong-type"},
}


@pytest.mark.parametrize(("text", "codes"), ODD.items(), ids=ODD)
def test_unusual_specs_give_the_expected_codes(text, codes):
    report = check_text(HEAD + text + "\n")
    assert {d.code for d in report.diagnostics} == codes


@pytest.mark.parametrize("text", ["n={sgd(1): 2}", "n={1: 2}[sgd(1)]", "n={[1]: 2}", "n={1: 2}[[1]]"])
def test_calls_and_lists_cannot_be_dictionary_keys(text):
    with pytest.raises(SettingError, match=r"cannot be the key|has no"):
        read_setting(text)


DEPTHS = [
    "a: {{ {} }}",
    "{{ {} }}",
    "if 1 {{ {} }}",
    "add {{ identity; {{ {} }} }}",
    "g: add {{ identity; a: {{ {} }} }}",
]


@pytest.mark.parametrize("depth", [30, 150, 400, 800])
@pytest.mark.parametrize("text", DEPTHS)
def test_the_deepest_allowed_nesting_can_be_compiled_and_drawn(text, depth):
    made = "relu"
    for _ in range(depth):
        made = text.format(made)
    report = check_text(HEAD + made + "\n")
    if report.net:
        audit(Network(report.net).source())
        assert Network(report.net).dot()
    else:
        assert {d.code for d in report.diagnostics} <= {"syntax", "too-large"}
