"""`assert` in specs, wrong values that are reported once, and the list of layer types."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

import netspec
from netspec.checker import check_source
from netspec.cli import main
from netspec.diagnostics import Source, render
from netspec.emit.manual.blocks import builtin_blocks
from netspec.language.formatter import format_source
from netspec.ops import OPS

HEAD = "network Net(depth = 20, wide = true)\ninput image: 3x32x32\n"


def check(body: str, **arguments: object) -> netspec.Report:
    return check_source(Source("net.net", HEAD + body), Path(), arguments)


ASSERTIONS = {
    "a count": ('assert (depth - 2) % 6 == 0 "depth must be 6n + 2"\nrepeat depth { relu }', {"depth": 21}),
    "a pair": ('assert depth > 30 or not wide "only deep nets are narrow"\nrelu', {}),
    "several names": ('assert depth < 9 and wide "too deep"\nrelu', {}),
    "in a block": ('block B(n) { assert n < 9 "n must be below 9"\nrepeat n { relu } }\nB(depth)', {}),
    "before a fault": ('assert depth == 18 "depth must be 18"\nconv({18: 64}[depth], 3)\nlinear(3)', {}),
}


@pytest.mark.parametrize(("body", "arguments"), ASSERTIONS.values(), ids=ASSERTIONS)
def test_a_false_assertion_is_the_only_fault(body, arguments):
    (found,) = check(body, **arguments).diagnostics
    assert (found.code, found.severity) == ("assertion", "error")
    assert found.message == body.split('"')[1]
    assert "depth = " in found.text or "n = " in found.text


def test_the_call_of_a_block_is_shown():
    (found,) = check('block B(n) { assert n < 9 "n must be below 9"\nrelu }\nB(20)').diagnostics
    assert "called here: B(20)" in render(found)


def test_true_assertions_add_nothing():
    plain, asserted = check("relu").require(), check('assert depth == 20 "no"\nrelu').require()
    assert plain.totals == asserted.totals
    assert [n.name for n in asserted.layers] == ["relu"]


@pytest.mark.parametrize("condition", ["depth", '"yes"', "[depth]", "none"])
def test_a_condition_is_true_or_false(condition):
    (found,) = check(f'assert {condition} "no"\nrelu').diagnostics
    assert found.code == "wrong-type"
    assert "must be true or false" in found.message


def test_the_formatter_writes_assertions():
    text = HEAD + '\nassert depth==20   "it\'s a \\ message"\nrelu\n'
    assert 'assert depth == 20 "it\'s a \\ message"\n' in format_source(Source("net.net", text))


IMPOSSIBLE = {
    "densenet_cifar": {"depth": 101},
    "resnet_cifar": {"depth": 21},
    "mnasnet": {"alpha": 0.0},
    "mobilenet_v2": {"width": -1.0},
    "vgg": {"depth": 12},
    "densenet": {"depth": 100},
    "convnext": {"size": "huge"},
    "efficientnet": {"model": "b9"},
    "squeezenet": {"version": "2.0"},
    "regnet": {"model": "z"},
}


@pytest.mark.parametrize(("family", "arguments"), IMPOSSIBLE.items(), ids=IMPOSSIBLE)
def test_impossible_arguments_of_families_are_one_fault(family, arguments):
    report = netspec.check(family, **arguments)
    assert [d.code for d in report.diagnostics] in (["assertion"], ["unknown-key"])


def test_a_wrong_key_is_reported_once_for_each_name():
    body = "a = {1: 2}[depth]\nb = {1: 2}[depth]\nfor i in [5, 6] { c = [1][i] }\nconv(a + b, 3)"
    assert [d.code for d in check(body).diagnostics] == ["unknown-key"] * 2


def ops(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["ops", *words])
    return result.exit_code, result.output


def test_all_layer_types_are_listed():
    status, text = ops()
    assert status == 0
    listed = {line.split()[0].partition("(")[0] for line in text.splitlines() if line.startswith("  ")}
    assert listed == {*OPS, *builtin_blocks()}
    assert max(map(len, text.splitlines())) <= 110


@pytest.mark.parametrize("name", OPS)
def test_a_layer_type_is_explained(name):
    status, text = ops(name)
    assert status == 0
    assert all(f"  {field}: " in text for field in OPS[name].model_fields)
    assert "    input x: " in text


@pytest.mark.parametrize("name", builtin_blocks())
def test_a_block_is_explained(name):
    status, text = ops(name)
    assert status == 0
    assert text.startswith(name)
    assert f'After `use "blocks/{builtin_blocks()[name].file}"`:' in text
    assert f"    block {name}" in text


@pytest.mark.parametrize(
    ("name", "help"), [("rnn", "recurrent"), ("fc", "`linear`"), ("zz", "`netspec ops`")]
)
def test_unknown_layer_types_are_wrong_use(name, help):
    status, text = ops(name)
    assert status == 2
    assert f"no layer type or built-in block named `{name}`" in text
    assert help in text
