"""Expressions have the values they have in Python; shape claims, expected totals and settings are checked."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from accepted import accepted
from torchvision.models._utils import _make_divisible

from netspec.checker import Report, check_source
from netspec.diagnostics import Source
from netspec.errors import SettingError
from netspec.language.settings import read_setting, read_shape
from netspec.shape import Shape

HEAD = "network Net(n = 2, m = 3, kind = 1)\ninput image: 3x16x16\n_ = [n, m, kind]\n"


def check(text: str, arguments: dict[str, object] | None = None, inputs: Shape | None = None) -> Report:
    return check_source(Source("test.net", HEAD + text + "\n"), Path(), arguments, inputs)


def codes(report: Report) -> list[str]:
    return [d.code for d in report.diagnostics]


# What Python computes too

SAME = """
1 + 2 * 3        | 1 - 2 - 3        | 8 / 4 / 2       | 2 * 3 % 4        | (1 + 2) * 3      | 2 - -2
2 ** 3 ** 2      | -2 ** 2          | 2 ** -1         | (-2) ** 3        | 2 ** 0.5         | 0.1 + 0.2
7 // 2           | -7 // 2          | 7 // -2         | 7.5 // 2         | -7 % 3           | 7 % -3
1 / 3            | 10 // 3 * 3      | 1e3             | 5e-4             | 1_000_000        | 1.5e2
true + 1         | -true            | +3              | - - 3            | 1 == 1.0         | 1 == true
1 < 2 < 3        | 1 < 3 > 2        | 1 < 2 == true   | 3 > 2 > 2        | 1 != 2           | 2 <= 2 >= 2
not 1 == 2       | not not 1        | not []          | 1 and 0          | 0 or 5           | [] or [1]
1 and [] or 3    | 0 and 1 / 0      | 1 or 1 / 0      | true and false   | not 1 in [1]     | none == 0
2 in [1, 2]      | 3 not in [1]     | 1 in {1: 2}     | "b" in "abc"     | [1] in [[1]]     | 1 in [1] == true
1 if 0 else 2    | 1 if [] else 2   | 2 + 3 if 0 else 4 | 1 if 0 else 2 if 0 else 3 | 1 if true else 1 / 0
[1, 2][-1]       | [[1], [2]][1][0] | {1: 2}[1]       | {"a": 1, "b": 2}["b"] | "abc"[1]    | [1, 2][true]
[1, 2, 3][1:]    | [1, 2, 3][:2]    | [1, 2][:][:-1]  | "abc"[1:2]       | [1, 2][9:]      
[1, 2] + [3]     | [1, 2] * 2       | "a" + "b"       | [1, 2] == [1, 2] | [1, 2] < [1, 3]  | [] == {}
{1: 2, 1: 3}     | {1: 2}[true]     | [1, 2,]         | {1: 2,}          | [0] * -1         | [range(2), []]
len([1, 2])      | len("abc")       | len({1: 2})     | sum([1, 2])      | sum([1, 2], 3)   | sum([0.1, 0.2])
min(3, 1, 2)     | max([3, 1, 2])   | min(1, 0.5)     | max(1, 1.0)      | abs(-3)          | abs(-2.5)
range(3)         | range(1, 4)      | range(5, 0, -2) | range(3)[1]      | len(range(10))   | range(0)
round(2.5)       | round(3.5)       | round(-1.5)     | round(2.675, 2)  | round(1234, -2)  | round(2.4)
int(-2.7)        | int(3.9)         | int(true)       | floor(-2.5)      | ceil(2.1)        | ceil(7 / 2)
enumerate([5, 6]) | enumerate([5], 1) | zip([1, 2], [3, 4]) | zip([1], [2], [3]) | enumerate(zip([1], [2]))
3 * [1]          | [1] * 2 * 2      | 2 + [1][0]      | [1, 2] * true    | min({2: 0, 1: 0}) | sum({1: 5})
max([1, 2], [1, 3]) | int("12")     | [x][0] if 0 else 1 | round(0.5)    | 1.0 * 3          | 10 ** 3
"""
TEXTS = [cell.strip() for line in SAME.splitlines() for cell in line.split("|") if cell.strip()]
PYTHON = {"true": True, "false": False, "none": None, "floor": math.floor, "ceil": math.ceil, "x": 0}


def as_lists(value: object) -> object:
    """Python's ranges and tuples as the lists that they are in a spec."""
    if isinstance(value, dict):
        return {k: as_lists(v) for k, v in value.items()}
    iterates = isinstance(value, list | tuple | range | enumerate | zip)
    return [as_lists(v) for v in value] if iterates else value  # type: ignore[attr-defined]


@pytest.mark.parametrize("text", TEXTS)
def test_an_expression_has_the_value_it_has_in_python(text):
    expected = as_lists(eval(text, {}, PYTHON))
    name, value = read_setting(f"value={text}")
    assert (name, value, type(value)) == ("value", expected, type(expected))


def test_make_divisible_equals_that_of_torchvision():
    for width in (3, 8, 16.5, 24, 30, 33, 57.6, 100, 1001):
        for divisor in (1, 4, 8, 16):
            assert read_setting(f"x=make_divisible({width}, {divisor})")[1] == _make_divisible(width, divisor)


# What has no value

REFUSED = """
1 / 0            | 1 % 0            | 1 // 0          | 0 ** -1          | 1.0 / 0          | (-8) ** 0.5
[1][5]           | [1][-2]          | []["a"]         | {1: 2}[3]        | {1: 2}[[1]]      | 5[0]
2 ** 64          | 9 ** 99          | 10 ** 10 ** 10  | 2 ** 62 * 4      | 1e308 * 1e308    | 10.0 ** 400
range(10000000)  | [0] * 1000000    | range(1000000000000000000000) | [range(1000)] * 1000
[1] + "a"        | 1 + "a"          | 1 + none        | [1] - [1]        | -"a"             | 1 < "a"
[1] < [[1]]      | 1 in 2           | len(5)          | sum("ab")        | min([])          | min(5)
zip([1], [2, 3]) | enumerate(5)     | range(1, 5, 0)  | range(1.5)       | round("a")       | int("a")
floor("a")       | int([])          | abs([1])        | max()            | len()            | len([1], [2])
{[1]: 2}         | {{}: 2}          | [1, 2]["a"]     | min(1, "a")      | "a" * 1000000    | sum([[1]])
"""
CODE = """
a.b              | "a".upper        | "a".upper()     | (1).real         | [].append(1)     | __import__("os")
open("x")        | eval("1")        | print(1)        | len.__class__    | [x for x in [1]] | lambda: 1
x := 1           | f"{1}"           | 'a'             | 1 if 2           | [1][::2]         | *[1]
1 +              | (1               | 1)              | [1               | {1: }            | a b
1 = 2            | @                | 1 ? 2           | True.x           | range            | Nonexistent
"""
BROKEN = [cell.strip() for line in (REFUSED + CODE).splitlines() for cell in line.split("|") if cell.strip()]


@pytest.mark.parametrize("text", BROKEN)
def test_an_invalid_expression_gives_one_error(text):
    report = check(f"_x = {text}\nrelu")
    assert not report.ok
    assert len(report.diagnostics) == 1
    assert report.diagnostics[0].span.line >= 4


SETTINGS = ["n", "=1", "n=", "n=(", "n=1/0", "1=2", "a-b=1", "n=[1", "n=range(10**9)", "n=a.b", "n={}[1]"]


@pytest.mark.parametrize("text", SETTINGS)
def test_an_invalid_setting_is_rejected(text):
    with pytest.raises(SettingError, match=r"a setting must be NAME=VALUE|the value of"):
        read_setting(text)


@pytest.mark.parametrize("text", ["3x", "x3", "0x1x1", "3x1x1x1x1", "axb", "-1", "3 x 3", "3x²", "9" * 30])
def test_an_invalid_input_shape_is_rejected(text):
    with pytest.raises(SettingError, match="an input shape must have"):
        read_shape(text)


# Claims

CLAIMS = [
    ("conv(8, 3) -> 8x14x14", True),
    ("conv(8, 3) -> ?x14x14", True),
    ("conv(8, 3) -> 8x?x?", True),
    ("conv(8, 3) -> {4 * n}x{16 - n}x14", True),
    ("conv(8, 3) -> {4 * n}x{16 - n}x{image.width - 2}", True),
    ("flatten -> 768", True),
    ("flatten -> {3 * 16 * 16}", True),
    ("flatten -> ?", True),
    ("g: { conv(8, 3); relu } -> 8x14x14", True),
    ("concat { identity; identity } -> 6x16x16", True),
    ("block B { relu }\nB -> 3x16x16", True),
    ("a: relu <- image -> 3x16x16", True),
    ("a: relu -> 3x16x16 <- image", True),
    ("conv(8, 3) -> 8x14x15", False),
    ("conv(8, 3) -> ?x?x15", False),
    ("conv(8, 3) -> {n}x14x14", False),
    ("conv(8, 3) -> 8x14", False),
    ("flatten -> 3x16x16", False),
    ("flatten -> ?x?", False),
]


@pytest.mark.parametrize(("text", "holds"), CLAIMS)
def test_shape_claims(text, holds):
    report = check(text)
    assert report.ok == holds
    assert codes(report) == ([] if holds else ["shape-mismatch"])


LAYER = "conv(8, 3)\nexpect "  # 224 parameters, 216 * 14 * 14 = 42_336 MACs
EXPECTED = [
    ("params = 224", True),
    ("params = 200 + 12 * n", True),
    ("params = 225", False),
    ("params = 0.2k", True),
    ("params = 0.22k", True),
    ("params = 0.23k", False),
    ("params = 0.224k", True),
    ("params = 0.225k", False),
    ("macs = 42.3k, params = 224", True),
    ("macs = 42k", True),
    ("macs = 43k", False),
    ("macs = 42.34k", True),
    ("macs = 42.33k", False),
    ("macs = 42_336", True),
    ("macs = 42_335", False),
    ("macs = 0M", True),
    ("layers = 1", True),
    ("receptive_field = 3", True),
    ("parms = 1", False),
    ('params = "a"', False),
]


@pytest.mark.parametrize(("text", "holds"), EXPECTED)
def test_expected_totals(text, holds):
    assert check(LAYER + text).ok == holds


CHANGED = [
    ("expect params = 28 * n", {}, "ok"),
    ("expect params = 28 * n", {"n": 3}, "ok"),
    ("expect params = 56", {"n": 2}, "ok"),
    ("expect params = 57", {"n": 2}, "fault"),
    ("expect params = 56", {"n": 3}, "remark"),
    ("expect params = 57", {"n": 3}, "remark"),
    ("expect params = 28 * n + m", {"n": 3}, "fault"),
    ("expect params = 28 * n + 0 * m", {"n": 3, "m": 9}, "ok"),
    ("expect params = 28 * n", {"n": 3, "m": 9}, "remark"),
    ("total = 28 * n\nexpect params = total", {"n": 3}, "ok"),
    ("total = 28 * n\nexpect params = total + 1", {"n": 3}, "fault"),
    ("if n == 2 { expect params = 56 } else { expect params = 84 }", {"n": 3}, "ok"),
    ("if n == 2 { expect params = 56 } else { expect params = 85 }", {"n": 3}, "fault"),
]


@pytest.mark.parametrize(("text", "arguments", "outcome"), CHANGED)
def test_expected_totals_hold_for_the_parameters_they_mention(text, arguments, outcome):
    report = check("conv(n, 3)\n" + text, arguments)
    assert ("ok" if report.ok and not report.remarks else "remark" if report.ok else "fault") == outcome
    assert any("skipped" in r for r in report.remarks) == (outcome == "remark")


def test_another_input_skips_claims_and_expected_totals_with_a_remark():
    report = check("conv(8, 3) -> 8x14x14\nexpect macs = 1", inputs={"": Shape((3, 8, 8))})
    assert accepted(report)
    assert ["8x8" in r for r in report.remarks] == [True, True]


@pytest.mark.parametrize("arguments", [{"k": 1}, {"depth": 50}])
def test_an_unknown_parameter_is_rejected(arguments):
    report = check("relu", arguments)
    assert (codes(report), report.status) == (["unknown-setting"], 2)


KINDS = [
    ("flag = false", {"flag": "no"}, '`flag` must be true or false, not "no"'),
    ("flag = false", {"flag": 1}, "`flag` must be true or false, not 1"),
    ("count = 2", {"count": "many"}, '`count` must be a number, not "many"'),
    ("count = 2", {"count": True}, "`count` must be a number, not true"),
    ('version = "1.0"', {"version": 1.1}, None),
    ("width = 1.0", {"width": 2}, None),
    ("rows = [1]", {"rows": [2, 3]}, None),
]


@pytest.mark.parametrize(("parameter", "arguments", "message"), KINDS)
def test_a_setting_must_have_the_type_of_the_default(parameter, arguments, message):
    text = f"network Net({parameter})\ninput image: 3x16x16\n_ = {parameter.split()[0]}\nrelu\n"
    report = check_source(Source("test.net", text), Path(), arguments)
    assert ([d.message for d in report.diagnostics], report.status) == (
        ([message], 2) if message else ([], 0)
    )


SIZES = [
    (f"{2**63 - 1}", True),
    (f"-{2**63 - 1}", True),
    ("9.2e18", True),
    (f"{2**63}", False),
    ("9.3e18", False),
    ("1e400", False),
    ("9" * 41, False),
    ("range(100_000)", True),
    ("range(100_001)", False),
    ("[range(50_000), range(50_001)]", False),
]


@pytest.mark.parametrize(("text", "holds"), SIZES)
def test_numbers_and_lists_are_limited(text, holds):
    assert check(f"_x = {text}\nrelu").ok == holds
