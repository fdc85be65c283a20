"""Every diagnostic code is documented, with an example that gives it and a corrected one that does not."""

from __future__ import annotations

import ast
import json
import re

import pytest
from click.testing import CliRunner
from places import HERE

from netspec.checker import check_file
from netspec.cli import main
from netspec.codes import CODES
from netspec.datasets.info import dataset_info, with_data_warnings
from netspec.diagnostics import Diagnostic, SpecError
from netspec.emit.manual import diagnostics_manual

SOURCES = [p for p in (HERE.parent / "netspec").rglob("*.py") if not {"codes", "recipe"} & {*p.parts}]


def checked(tmp_path, text, arguments, data) -> tuple[Diagnostic, ...]:
    (tmp_path / "net.net").write_text(text, "utf-8")
    try:
        report = check_file(tmp_path / "net.net", arguments)
    except SpecError as error:
        return error.diagnostics
    return (with_data_warnings(report, dataset_info(data)) if data else report).diagnostics


@pytest.mark.parametrize("code", CODES)
def test_the_example_gives_the_code_and_the_corrected_example_does_not(tmp_path, code):
    e = CODES[code]
    found = checked(tmp_path, e.failing() if e.example else "", e.arguments, e.data)
    assert {(d.code, d.severity) for d in found} == {(code, e.severity)}
    assert checked(tmp_path, e.mended(), e.mended_arguments, e.data) == ()


@pytest.mark.parametrize("code", CODES)
def test_the_explanation_is_complete(code):
    e = CODES[code]
    assert e.title[0].isupper()
    assert not e.title.endswith(".")
    assert e.text.endswith(".")


def test_every_code_in_the_sources_is_explained():
    """Codes stand in calls such as `Diagnostic(code, ...)`, or as a text that is a code."""
    used = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                used |= {node.value} & CODES.keys()
            if isinstance(node, ast.Call):
                name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                place = {
                    "Diagnostic": 0,
                    "Fault": 0,
                    "Exhausted": 0,
                    "error": 0,
                    "ShapeError": 1,
                    "require": 2,
                }.get(name)
                if place is not None and len(node.args) > place:
                    argument = node.args[place]
                    if isinstance(argument, ast.Constant) and re.fullmatch(
                        r"[a-z]+(-[a-z]+)*", str(argument.value)
                    ):
                        used.add(argument.value)
    assert used == CODES.keys()


def test_codes_are_documented():
    text = (HERE.parent / "docs" / "diagnostics.md").read_text("utf-8")
    assert text == diagnostics_manual(), "`make docs` writes it anew"


def test_explain():
    run = CliRunner().invoke(main, ["explain", "shape-mismatch"])
    assert run.exit_code == 0
    assert CODES["shape-mismatch"].text in " ".join(run.stdout.split())
    assert "conv(8, 3, padding=1) -> 8x32x32" in run.stdout
    run = CliRunner().invoke(main, ["explain", "shape-missmatch"])
    assert run.exit_code == 2
    assert "did you mean `shape-mismatch`?" in run.stderr
    assert all(code in CliRunner().invoke(main, ["explain"]).stdout for code in CODES)


def test_sarif_rules_include_the_explanation():
    run = CliRunner().invoke(
        main, ["check", str(HERE / "cases" / "bad" / "wrong-arity.net"), "--format", "sarif"]
    )
    (rule,) = json.loads(run.stdout)["runs"][0]["tool"]["driver"]["rules"]
    e = CODES["wrong-arity"]
    assert rule["id"] == e.code
    assert rule["name"] == "WrongArity"
    assert rule["shortDescription"] == {"text": f"{e.title}."}
    assert rule["fullDescription"] == {"text": e.text}
    assert "    add(a, a)" in rule["help"]["text"]
    assert e.mend in rule["help"]["markdown"]
    assert rule["helpUri"].endswith("docs/diagnostics.md#wrong-arity")
    assert rule["defaultConfiguration"] == {"level": "error"}
