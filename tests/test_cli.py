"""The command line: every command and option, exit statuses, and the contract of its JSON."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result
from places import HERE

import netspec
from netspec.cli import main

OK = HERE / "cases" / "ok"
RESNET = str(OK / "resnet.net")
FINE = "network Net(n = 2, classes = 10)\ninput image: 3x16x16\nconv(4, n)\nflatten\nfc: linear(classes)\n"
FAULTY = "network Net\ninput image: 3x16x16\nconv(4, 3) -> 4x1x1\nrelv\n"
WARNED = "network Net(n = 2)\ninput image: 3x16x16\nrelu\n"


def netspec_(*arguments: object, **options: object) -> Result:
    run = CliRunner().invoke(main, [str(a) for a in arguments], **options)
    assert run.exception is None or isinstance(run.exception, SystemExit), run.exc_info
    return run


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder to work in, with a spec of each sort."""
    monkeypatch.chdir(tmp_path)
    for name, text in (("fine", FINE), ("faulty", FAULTY), ("warned", WARNED)):
        Path(f"{name}.net").write_text(text)
    return tmp_path


STATUSES = [
    ("check fine.net", 0),
    ("check faulty.net", 1),
    ("check warned.net", 0),
    ("check warned.net --strict", 1),
    ("check fine.net --strict", 0),
    ("check fine.net faulty.net", 1),
    ("check fine.net warned.net alexnet_paper", 0),
    ("check none.net", 1),
    ("check alexnet_paper", 0),
    ("check lenet --set caffe=true", 0),
    ("check vgg --set depth=19 --set norm=true", 0),
    ("check alexnet_paper --input 3x224x224", 0),
    ("check alexnet_paper --input 3x2x2", 1),
    ("check alexnet_paper --input 3x0x2", 2),
    ("check alexnet_paper --input axb", 2),
    ("check vgg --set depth=12", 1),
    ("check vgg --set dpth=11", 2),
    ("check vgg --set depth", 2),
    ("check vgg --set depth=", 2),
    ("check fine.net --batch 0", 2),
    ("check fine.net --batch x", 2),
    ("check fine.net --depth 0", 2),
    ("check fine.net --format xml", 2),
    ("check fine.net --nonsense", 2),
    ("check", 2),
    ("", 2),
    ("nonsense", 2),
    ("--help", 0),
    ("--version", 0),
    ("check -h", 0),
    ("draw fine.net", 2),
    ("draw fine.net -o net.dot", 0),
    ("draw fine.net -o net.dot --direction LR --depth 0 --set n=3 --input 3x20x20", 0),
    ("draw fine.net -o net.dot --direction XX", 2),
    ("draw fine.net -o net.xyz", 2),
    ("draw fine.net -o none/net.dot", 1),
    ("draw faulty.net -o net.dot", 1),
    ("draw none.net -o net.dot", 1),
    ("export fine.net", 0),
    ("export fine.net --to pytorch -o net.py", 0),
    ("export fine.net --to keras", 2),
    ("export fine.net -o none/net.py", 1),
    ("export faulty.net -o net.py", 1),
    ("fmt fine.net", 0),
    ("fmt", 2),
    ("fmt none.net", 1),
    ("fmt .", 1),
    ("train", 2),
    ("train faulty.net --data digits", 1),
    ("train fine.net", 2),
    ("train fine.net --data nonsense", 2),
    ("train fine.net --data imagenet", 2),
    ("train fine.net --data imagenet --root none", 1),
    ("train fine.net --data folder:none", 1),
    ("train fine.net --data digits", 1),
    ("train fine.net --data digits --epochs 0", 2),
    ("train fine.net --data digits --lr x", 2),
    ("train fine.net --data digits --val-share 1", 2),
]


@pytest.mark.parametrize(("line", "status"), STATUSES)
def test_exit_status(line, status):
    run = netspec_(*line.split())
    assert run.exit_code == status
    assert status == 0 or run.stderr or run.stdout
    assert not Path("net.py").exists() or status == 0


# The JSON is a contract: keys and types.

TEXT, WHOLE, LIST, TABLE = str, int, list, dict
TOP = {"spec": TEXT, "network": TEXT, "ok": bool, "arguments": TABLE, "convention": TEXT, "inputs": LIST}
TOP |= {"outputs": LIST, "totals": TABLE, "layers": LIST, "diagnostics": LIST}
TOTALS = dict.fromkeys(["layers", "params", "macs", "trainable", "buffers", "activations"], WHOLE)
KINDS = ["comparisons", "additions", "divisions", "exponentials"]
LAYER = {"name": TEXT, "op": TEXT, "inputs": LIST, "shape": LIST, "params": WHOLE, "macs": WHOLE}
LAYER |= {"training_only": bool}
OPERATIONS = ("macs", "comparisons", "additions", "multiplications", "divisions", "exponentials")
PLACE = dict.fromkeys(["line", "column", "end_line", "end_column"], WHOLE)
DIAGNOSTIC = {"severity": TEXT, "code": TEXT, "message": TEXT, "file": TEXT, "notes": LIST, **PLACE}


def has(value: dict, keys: dict) -> bool:
    return all(type(value[k]) is kind for k, kind in keys.items())


def as_json(*arguments: object) -> dict:
    return json.loads(netspec_("check", "--format", "json", *arguments).stdout)


@pytest.mark.parametrize("spec", [*sorted(OK.glob("*.net")), "alexnet_paper", "lenet", "vgg"], ids=str)
def test_json_of_a_network(spec):
    made = as_json(spec)
    assert has(made, TOP)
    assert made["ok"] is True
    assert has(made["totals"], TOTALS | dict.fromkeys(KINDS, WHOLE))
    assert made["inputs"]
    assert made["outputs"]
    for value in made["inputs"] + made["outputs"]:
        assert has(value, {"name": TEXT, "shape": LIST})
    names = {v["name"] for v in made["inputs"]}
    for layer in made["layers"]:
        assert has(layer, LAYER | dict.fromkeys(KINDS, WHOLE))
        assert all(type(n) is int for n in layer["shape"])
        assert names.issuperset(layer["inputs"])
        names.add(layer["name"])
    assert len(made["layers"]) == made["totals"]["layers"]
    for count in ("params", "macs", *KINDS):
        aside = count in OPERATIONS
        counted = [x[count] for x in made["layers"] if not (aside and x["training_only"])]
        assert sum(counted) == made["totals"][count]


def test_json_names_are_state_dict_paths():
    made = as_json(RESNET, "--set", "depth=18")
    with torch.device("meta"):
        state = netspec.load(RESNET, depth=18).module().state_dict()
    paths = [f"{x['name']}.{t}" for x in made["layers"] for t in x["tensors"]]
    assert sorted(paths) == sorted(state)
    assert made["arguments"] == {"depth": 18, "classes": 1000}


def test_json_of_errors():
    made = as_json("faulty.net")
    assert (made["ok"], made["network"], made["totals"], made["layers"]) == (False, "Net", None, [])
    assert all(has(d, DIAGNOSTIC) for d in made["diagnostics"])
    assert [(d["code"], d["line"], d["column"]) for d in made["diagnostics"]] == [
        ("shape-mismatch", 3, 15),
        ("unknown-op", 4, 1),
    ]
    assert made["diagnostics"][1]["help"] == "did you mean `relu` or `relu6`?"
    assert made["diagnostics"][1]["end_column"] == 5


def test_json_of_several_specs_is_a_list():
    assert [r["ok"] for r in as_json("fine.net", "faulty.net", "warned.net")] == [True, False, True]


def test_json_of_an_unreadable_file():
    assert [d["code"] for d in as_json("none.net")["diagnostics"]] == ["unreadable-file"]


def test_sarif():
    made = json.loads(netspec_("check", "--format", "sarif", "faulty.net", "warned.net", "fine.net").stdout)
    (run,) = made["runs"]
    assert made["version"] == "2.1.0"
    assert made["$schema"].endswith(".json")
    assert run["tool"]["driver"]["name"] == "netspec"
    rules = {r["id"] for r in run["tool"]["driver"]["rules"]}
    assert len(run["results"]) == 3
    for result in run["results"]:
        assert result["ruleId"] in rules
        assert result["level"] in ("error", "warning", "note", "none")
        assert result["message"]["text"]
        for place in [*result["locations"], *result.get("relatedLocations", ())]:
            physical = place["physicalLocation"]
            region = physical["region"]
            assert physical["artifactLocation"]["uri"].endswith(".net")
            assert 1 <= region["startLine"] <= region["endLine"]
            assert region["startColumn"] >= 1
            assert (region["startLine"], region["startColumn"]) <= (region["endLine"], region["endColumn"])


def test_csv():
    rows = list(csv.DictReader(io.StringIO(netspec_("check", "--format", "csv", "--ops", "fine.net").stdout)))
    assert [r["name"] for r in rows] == ["conv", "flatten", "fc"]
    assert [(r["output"], r["params"], r["MACs"]) for r in rows] == [
        ("4x15x15", "52", "10800"),
        ("900", "0", "0"),
        ("10", "9010", "9000"),
    ]
    assert rows[0].keys() >= {"comparisons", "additions", "divisions", "exponentials"}


def test_csv_of_several_specs_names_each_spec():
    text = netspec_("check", "--format", "csv", "fine.net", "warned.net").stdout
    assert [r["spec"] for r in csv.DictReader(io.StringIO(text))] == ["fine.net"] * 3 + ["warned.net"]


def test_markdown():
    lines = netspec_("check", "--format", "markdown", "fine.net").stdout.splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert {line.count("|") for line in table} == {table[0].count("|")}
    assert len(table) == 2 + 3


# The table

TABLES = [
    (
        "check alexnet_paper --set towers=1",
        ["62,378,344 parameters", "1,135,256,096 MACs", "96x55x55", "about", "GB to train"],
    ),
    ("check alexnet_paper", ["60,965,224 parameters", "724,406,816 MACs"]),
    ("check alexnet_paper --explain", ["(227 + 2*0 - 11)/4 + 1 = 55", "256*6*6 = 9216", "37,748,736"]),
    (
        "check alexnet_paper --input 3x224x224 --explain",
        ["54.25, rounded down to 54", "227 would give 55 exactly"],
    ),
    ("check fine.net --ops", ["comparisons", "exponentials"]),
    ("check fine.net --batch 7", ["batch 7"]),
    ("check fine.net --set n=3", ["4x14x14", "n=3"]),
    ("check fine.net --input 3x8x8", ["4x7x7"]),
    ("check fine.net faulty.net", ["fine.net: ok", "faulty.net: 2 errors"]),
    ("check warned.net", ["warned.net: 1 warning"]),
    (f"check {RESNET} --depth 1", ["layer4", "25,557,032 parameters"]),
]


@pytest.mark.parametrize(("line", "texts"), TABLES)
def test_table_contains(line, texts):
    shown = netspec_(*line.split()).stdout
    assert [t for t in texts if t not in shown] == []


def test_depth_folds():
    counts = [len(netspec_("check", RESNET, "--depth", d).stdout.splitlines()) for d in (1, 2, 3)]
    whole = len(netspec_("check", RESNET).stdout.splitlines())
    assert counts[0] < counts[1] < counts[2] <= whole


def test_diagnostics_go_to_standard_error():
    run = netspec_("check", "faulty.net")
    assert run.stderr.startswith("error[shape-mismatch]")
    assert "help: did you mean `relu`" in run.stderr
    assert "error[" not in run.stdout


# Draw, export


def test_export_writes_what_it_prints():
    text = netspec_("export", "fine.net").stdout
    assert netspec_("export", "fine.net", "-o", "net.py").exit_code == 0
    assert Path("net.py").read_text() == text == netspec.load("fine.net").source()


def test_drawing_dot_needs_no_graphviz(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert netspec_("draw", "fine.net", "-o", "net.dot").exit_code == 0
    assert Path("net.dot").read_text().startswith("digraph")
    run = netspec_("draw", "fine.net", "-o", "net.svg")
    assert (run.exit_code, Path("net.svg").exists()) == (1, False)
    assert "apt-get install graphviz" in run.stderr


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz's program `dot` is not installed")
@pytest.mark.parametrize(("suffix", "start"), [("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_draw_makes_pictures(suffix, start):
    assert netspec_("draw", "fine.net", "-o", f"net.{suffix}").exit_code == 0
    assert Path(f"net.{suffix}").read_bytes().startswith(start)


def test_a_folder_does_not_hide_a_builtin_spec():
    Path("vgg").mkdir()
    assert netspec_("check", "vgg").exit_code == 0
