"""Output formats: each is documented and tried, and rows that can be added up give the totals."""

from __future__ import annotations

import ast
import csv
import importlib
import io
import json
import re

import pytest
from click.testing import CliRunner
from places import SPECS

import netspec
from netspec import zoo
from netspec.cli import main
from netspec.emit import formats
from netspec.emit.cards import CARD_FORMATS, LISTINGS
from netspec.emit.formats import Format, Options
from netspec.emit.picture import PICTURES
from netspec.emit.targets import TARGETS
from netspec.errors import NetspecError
from netspec.network import state_arrays

SPEC = str(SPECS / "lenet.net")
# What the text of each format must hold for LeNet, and what reads it without an error.
TRIED = {
    "table": ("61,750 parameters", str),
    "json": ('"params": 61750', json.loads),
    "csv": ("c1,conv,", lambda text: list(csv.DictReader(io.StringIO(text)))),
    "markdown": ("| c1 | conv |", lambda text: re.fullmatch(r"\*\*LeNet.*", text, re.DOTALL)[0]),
    "sarif": ('"version": "2.1.0"', json.loads),
}
TRIED_PICTURES = {
    ".dot": b"digraph",
    ".gv": b"digraph",
    ".svg": b"<?xml",
    ".png": b"\x89PNG",
    ".pdf": b"%PDF",
}
TRIED_TARGETS = {"pytorch": "class LeNet(nn.Module)", "onnx": b"c1.weight"}


def run(*arguments: str):
    return CliRunner().invoke(main, list(arguments))


@pytest.mark.parametrize("name", formats.builtin())
def test_a_format_is_documented_and_works(name):
    module = importlib.import_module(f"netspec.emit.formats.{name}")
    assert module.__doc__
    assert isinstance(formats.find(name), Format)
    text, read = TRIED[name]
    output = run("check", SPEC, "--format", name).stdout
    assert text in output
    assert read(output)


def test_help_lists_every_format():
    assert all(name in run("check", "--help").output for name in formats.builtin())


@pytest.mark.parametrize("command", ["check lenet", "zoo list", "zoo show vgg11"])
def test_an_unknown_format_is_an_error(command):
    made = run(*command.split(), "--format", "xml")
    assert made.exit_code == 2
    assert "'xml' is not one of" in made.stderr
    with pytest.raises(NetspecError, match="there is no output format `xml`: choose from csv, json"):
        formats.find("xml")


def test_an_installed_format_is_found(tmp_path, monkeypatch):
    (tmp_path / "shout.py").write_text(
        "from netspec.emit.formats import Format\n"
        "SHOUT = Format(lambda reports, options: '!'.join(r.network for r in reports) + '!')\n"
    )
    info = tmp_path / "netspec_shout-2.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: netspec-shout\nVersion: 2.0\n")
    (info / "entry_points.txt").write_text("[netspec.formats]\nshout = shout:SHOUT\n")
    monkeypatch.setattr(formats.PLUGINS, "_members", {})
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "shout" in run("check", "--help").output
    assert run("check", SPEC, "--format", "shout").stdout == "LeNet!\n"


@pytest.mark.parametrize("ending", PICTURES)
def test_a_picture_format_works(ending, graphviz):
    assert PICTURES[ending]("digraph { a }").startswith(TRIED_PICTURES[ending])


@pytest.mark.parametrize("name", TARGETS)
def test_an_export_target_works(name):
    network, target = netspec.load("lenet"), TARGETS[name]
    written = target.write(network.net, state_arrays(network, None) if target.weighted else {})
    assert TRIED_TARGETS[name] in written
    assert isinstance(written, bytes) == target.weighted


@pytest.mark.parametrize("name", LISTINGS)
def test_a_zoo_listing_works(name):
    assert LISTINGS[name].__doc__
    assert "138,357,544" in run("zoo", "vgg16", "--format", name).stdout.replace("138357544", "138,357,544")


@pytest.mark.parametrize("name", CARD_FORMATS)
def test_a_card_format_works(name):
    assert "IMAGENET1K_V1" in run("zoo", "show", "vgg16", "--format", name).stdout


# Sums

SUMS = {
    "params": lambda t: t.params,
    "buffers": lambda t: t.buffers,
    "MACs": lambda t: t.macs,
    "activation": lambda t: t.activations,
    "bytes": lambda t: 4 * (t.params + t.buffers),
    "additions": lambda t: t.cost.additions,
    "comparisons": lambda t: t.cost.comparisons,
}


@pytest.mark.parametrize("name", zoo.names())
def test_the_rows_add_up_to_the_totals(name):
    """For each network of the zoo, unfolded and folded; the header of Markdown has the same columns."""
    report = netspec.check(name)
    totals = report.require().totals
    for depth in (None, 1, 2):
        text = formats.find("csv").write([report], Options(ops=True, depth=depth))
        rows = list(csv.DictReader(io.StringIO(text)))
        assert {k: sum(int(r[k]) for r in rows) for k in SUMS} == {
            k: total(totals) for k, total in SUMS.items()
        }
        assert sum(float(r["share"]) for r in rows) == pytest.approx(1)
        assert len({r["name"] for r in rows}) == len(rows)
        assert depth or len(rows) == totals.layers
    head = next(
        line for line in formats.find("markdown").write([report], Options()).splitlines() if "|" in line
    )
    assert [c.strip() for c in head.strip("|").split("|")] == [*rows[0]][:-5]


def test_csv_has_input_and_output_shapes():
    rows = list(
        csv.DictReader(io.StringIO(run("check", "resnet18", "--format", "csv", "--depth", "2").stdout))
    )
    block = next(r for r in rows if r["name"] == "layer2.0")
    assert (block["kind"], block["input"], block["output"]) == ("block", "64x56x56", "128x28x28")
    join = next(
        r
        for r in csv.DictReader(io.StringIO(run("check", "resnet18", "--format", "csv").stdout))
        if r["op"] == "add"
    )
    assert join["input"] == "64x56x56 64x56x56"


def test_emit_writes_tables_only_with_netspec_tables():
    """`netspec.tables` is the one writer of CSV."""
    package = SPECS.parent / "netspec" / "emit"
    for path in package.rglob("*.py"):
        names = {
            a.name
            for n in ast.walk(ast.parse(path.read_text()))
            if isinstance(n, ast.Import)
            for a in n.names
        }
        assert "csv" not in names, path
