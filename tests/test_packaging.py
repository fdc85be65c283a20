"""The contents of the package, and the commands that work with only some dependencies installed."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest
from places import HERE, SPECS

import netspec
from netspec.extras import EXTRAS, MissingPackageError, needed_for

ROOT = HERE.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
IMPORTED_AS = {"pillow": "PIL", "scikit-learn": "sklearn", "pyyaml": "yaml"}


def packages(requirements: list[str]) -> set[str]:
    """The names under which requirements are imported, those of netspec itself left out."""
    names = {re.split(r"[^\w-]", requirement)[0] for requirement in requirements} - {"netspec"}
    return {IMPORTED_AS.get(name, name) for name in names}


LIGHT = packages(PROJECT["dependencies"])
OPTIONAL = PROJECT["optional-dependencies"]


def test_every_optional_package_has_its_extra():
    extras = ("train", "graph", "onnx", "tensorboard")
    declared = {package: extra for extra in extras for package in packages(OPTIONAL[extra])}
    assert declared == EXTRAS


def test_the_extra_all_includes_every_other_extra():
    assert set(re.findall(r"[\w]+", OPTIONAL["all"][0])) == {"netspec", *OPTIONAL} - {"all", "dev"}


def test_every_imported_package_is_declared():
    trees = [ast.parse(p.read_text("utf-8")) for p in Path(netspec.__file__).parent.rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    imported = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
    foreign = {name.split(".")[0] for name in imported} - sys.stdlib_module_names
    foreign -= {"netspec", "pydantic_core"}  # pydantic pins its core, and re-exports not all of it
    assert foreign <= LIGHT | EXTRAS.keys()
    assert foreign >= LIGHT


# The light installation: every package of an extra is hidden from a fresh process.

HIDDEN = f"import sys; sys.modules.update(dict.fromkeys({sorted(EXTRAS)}))\n"
COMMAND = HIDDEN + "from netspec.__main__ import run; sys.argv[0] = 'netspec'; run()"


def light(code: str, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=folder, capture_output=True, text=True
    )


@pytest.mark.parametrize(
    "line",
    [
        "check vgg16",
        "check lenet --data mnist --format json",
        "draw lenet -o lenet.dot",
        "export lenet -o lenet.py",
        f"fmt --check {SPECS / 'lenet.net'}",
        "zoo --family vgg",
        "zoo show vgg16",
    ],
)
def test_commands_on_specs_work_without_extras(line, tmp_path):
    run = light(COMMAND, *line.split(), folder=tmp_path)
    assert (run.returncode, run.stderr) == (0, "")


@pytest.mark.parametrize(
    "line",
    [
        "train lenet --data digits",
        "eval runs/lenet",
        "predict runs/lenet cat.jpg",
        "plot runs/lenet -o curves.svg",
        "sweep lenet --set width=1,2 --data digits",
        "prepare --data imagenet --root . --out photos",
    ],
)
def test_training_commands_name_the_missing_extra(line, tmp_path):
    run = light(COMMAND, *line.split(), folder=tmp_path)
    assert (run.returncode, run.stdout) == (1, "")
    assert re.fullmatch(
        rf"error: netspec {line.split()[0]} needs \w+: pip install 'netspec\[train\]'\n", run.stderr
    )


def test_network_module_names_the_missing_extra(tmp_path):
    run = light(HIDDEN + "import netspec; netspec.load('lenet').module()", folder=tmp_path)
    said = run.stderr.splitlines()[-1].split(": ", 1)
    assert said == [
        "netspec.extras.MissingPackageError",
        "Network.module needs torch: pip install 'netspec[train]'",
    ]


def test_other_import_errors_are_unchanged():
    with pytest.raises(ModuleNotFoundError, match="netspec_of_nowhere"), needed_for("training"):
        import netspec_of_nowhere  # noqa: F401


def test_digraph_without_networkx_names_the_missing_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "networkx", None)
    with pytest.raises(MissingPackageError, match=r"networkx: pip install 'netspec\[graph\]'"):
        netspec.load("lenet").net.digraph()


@pytest.mark.skipif(find_spec("hatchling") is None, reason="hatchling is not installed: pip install '.[dev]'")
def test_the_wheel_contains_the_data_files_of_the_checkout(tmp_path):
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    names = set(zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist())
    for folder, place in (("netspec", ""), ("specs", "netspec/"), ("recipes", "netspec/")):
        files = [p for p in (ROOT / folder).rglob("*") if p.is_file() and "__pycache__" not in p.parts]
        assert {place + p.relative_to(ROOT).as_posix() for p in files} <= names
    assert {f"netspec/cards/{p.name}" for p in (ROOT / "zoo").iterdir()} <= names
    assert "netspec/py.typed" in names
