"""The walls of the code: who imports whom, what stays unloaded, and what is public."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from places import HERE, SPECS
from torch import nn

import netspec
from netspec.build import build
from netspec.checker import check_source
from netspec.checker.naming import MODULE_WORDS
from netspec.convert.inputs import random_batch
from netspec.diagnostics import Source
from netspec.ops import OPS

PACKAGE = Path(netspec.__file__).parent
MODULES = sorted(p for p in PACKAGE.rglob("*.py") if "__pycache__" not in p.parts)

# Packages from outside, and the only places that may import them.
TORCH_ROOMS = (
    "build.py",
    "checkpoint/",
    "convert/",
    "weights.py",
    "datasets/",
    "evaluation/",
    "training/",
    "transforms/",
)
OUTSIDE = {
    "torch": (*TORCH_ROOMS, "ops/nn/"),
    "torchvision": TORCH_ROOMS,
    "sklearn": ("datasets/",),
    "numpy": ("datasets/", "transforms/", "evaluation/", "emit/onnx/", "frontends/onnx/"),
    "onnx": ("emit/onnx/", "frontends/onnx/"),
    "onnxruntime": ("convert/onnx.py",),
    "PIL": ("datasets/", "transforms/"),
    "safetensors": ("checkpoint/files.py", "datasets/packed.py"),
    "simplejpeg": ("datasets/", "transforms/"),
    "rich": ("cli/", "datasets/", "training/console.py"),
    "matplotlib": ("evaluation/plots.py", "evaluation/maps.py"),
    "lark": ("language/parser/",),
    "graphviz": ("emit/picture.py",),
    "networkx": ("graph.py",),
    "click": ("cli/", "__main__.py"),
    "yaml": ("zoo.py",),
    "pydantic": (
        "ops/",
        "checker/arguments.py",
        "checkpoint/content.py",
        "datasets/packed.py",
        "convert/reader.py",
        "frontends/onnx/reader.py",
        "recipe/",
        "zoo.py",
    ),
}
# What each part of netspec may import, beside itself. The order is that of the architecture: only leftwards.
TOOLS = {"errors", "diagnostics", "shape", "files", "plugins", "registry", "tables", "extras"}
SPECS_IN = TOOLS | {"library", "zoo", "language", "ops", "graph", "recipe", "memory"}
SPECS_OUT = SPECS_IN | {"frontends", "checker", "codes", "emit"}
INSIDE = {
    "errors": set(),
    "diagnostics": {"errors"},
    "shape": {"errors"},
    "plugins": {"errors"},
    "registry": {"diagnostics", "plugins"},
    "tables": {"diagnostics"},
    "extras": {"errors"},
    "files": {"errors"},
    "zoo": {"errors", "diagnostics"},
    "library": {"errors", "diagnostics", "zoo"},
    "language": {"errors", "diagnostics", "shape", "files", "library"},
    "ops": {"shape", "language", "registry"},
    "codes": {"errors", "diagnostics", "registry"},
    "graph": {"diagnostics", "extras", "ops", "shape"},
    "recipe": {"errors", "language", "registry"},
    "memory": {"errors", "graph", "recipe"},
    "frontends": TOOLS | {"language", "library", "ops"},
    "checker": SPECS_IN - {"files", "memory"} | {"datasets", "frontends"},
    "emit": SPECS_IN | {"checker", "codes", "datasets"},
    "build": SPECS_OUT,
    "weights": SPECS_OUT | {"checkpoint", "transforms"},
    "convert": SPECS_OUT | {"build", "network"},
    "checkpoint": SPECS_OUT,
    "transforms": {"errors", "files", "recipe", "registry"},
    "datasets": SPECS_OUT | {"transforms"},
    "evaluation": SPECS_OUT | {"build", "checkpoint", "datasets", "transforms", "weights"},
    "training": SPECS_OUT | {"build", "checkpoint", "datasets", "evaluation", "transforms", "weights"},
    "sweep": SPECS_OUT | {"checkpoint", "training"},
}
FREE = {"__init__", "__main__", "cli", "network"}
"""They put the parts together, and import what they need inside functions."""


def part(module: str) -> str:
    """The part of netspec that a module belongs to: `check` for `netspec.checker.naming`."""
    return module.split(".")[1] if "." in module else "__init__"


def imports(path: Path, inside_functions: bool = True) -> set[str]:
    """Every module that a file imports, those for type checking alone left out."""
    tree = ast.parse(path.read_text("utf-8"))
    skipped: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            skipped |= set(ast.walk(node))
        if isinstance(node, ast.FunctionDef) and not inside_functions:
            skipped |= set(ast.walk(node))
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import) and node not in skipped:
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node not in skipped:
            assert not node.level, "imports name their module in full"
            found |= {
                f"{node.module}.{a.name}" if node.module == "netspec" else node.module for a in node.names
            }
    return {str(f) for f in found}


def place(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


@pytest.mark.parametrize("path", MODULES, ids=place)
def test_third_party_packages_are_imported_only_where_allowed(path):
    for name in {m.split(".")[0] for m in imports(path)} & OUTSIDE.keys():
        assert place(path).startswith(OUTSIDE[name]), f"{place(path)} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=place)
def test_parts_import_only_the_parts_they_may(path):
    own = place(path).removesuffix(".py").split("/")[0]
    if own in FREE:
        return
    ours = {part(m) for m in imports(path) if m.split(".")[0] == "netspec"}
    assert ours - {own} <= INSIDE[own], f"{place(path)} imports {sorted(ours - {own} - INSIDE[own])}"


def test_nothing_imports_the_command_line():
    users = [place(p) for p in MODULES if any(m.startswith("netspec.cli") for m in imports(p))]
    assert [u for u in users if not u.startswith("cli/")] == ["__main__.py"]


def test_the_command_line_imports_inside_its_commands():
    files = [p for p in MODULES if place(p).startswith("cli/")]
    ours = {m for p in files for m in imports(p, inside_functions=False) if m.startswith("netspec")}
    assert {m for m in ours if not f"{m}.".startswith("netspec.cli.")} <= {"netspec.__version__"}


def test_every_part_is_in_the_import_table():
    assert {place(p).removesuffix(".py").split("/")[0] for p in MODULES} - FREE <= INSIDE.keys()


# What a fresh process loads

HEAVY = (
    "{'torch', 'torchvision', 'sklearn', 'numpy', 'PIL', 'simplejpeg', 'networkx', 'graphviz', 'rich', "
    "'matplotlib'}"
)
LOADED = f"; import sys; print(sorted({HEAVY} & {{*sys.modules}}))"
RUNS = [
    ("import netspec", "[]"),
    ("from netspec.cli import main; main(['check', SPEC], standalone_mode=False)", "[]"),
    ("from netspec.cli import main; main(['check', SPEC, '--format', 'json'], standalone_mode=False)", "[]"),
    ("from netspec.cli import main; main(['check', SPEC, '--data', 'mnist'], standalone_mode=False)", "[]"),
    ("from netspec.cli import main; main(['draw', SPEC, '-o', 'x.dot'], standalone_mode=False)", "[]"),
    ("from netspec.cli import main; main(['export', SPEC], standalone_mode=False)", "[]"),
    ("from netspec.cli import main; main(['fmt', '--check', SPEC], standalone_mode=False)", "[]"),
    ("import netspec; netspec.load(SPEC).source()", "[]"),
    ("from netspec.cli import main; main(['check', 'vgg11'], standalone_mode=False)", "[]"),
    ("from netspec.cli import main; main(['zoo'], standalone_mode=False)", "[]"),
    ("import rich", "['rich']"),
    ("import numpy", "['numpy']"),
]


@pytest.mark.parametrize(("code", "loaded"), RUNS)
def test_a_new_process_imports_nothing_heavy(tmp_path, code, loaded):
    """The last rows show that the test can fail."""
    code = code.replace("SPEC", repr(str(SPECS / "lenet.net")))
    if "main(" in code:
        before, call = code.split("; ")
        code = f"{before}\ntry: {call}\nexcept SystemExit: pass\n" + LOADED.removeprefix("; ")
    else:
        code += LOADED
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert run.stdout.splitlines()[-1] == loaded


# How large files are


def test_files_are_short():
    assert [f"{place(p)}: {n}" for p in MODULES if (n := len(p.read_text("utf-8").splitlines())) > 300] == []


@pytest.mark.parametrize("path", MODULES, ids=place)
def test_every_module_has_a_docstring(path):
    assert ast.get_docstring(ast.parse(path.read_text("utf-8")))


# Layer types

WRITTEN = "".join(p.read_text("utf-8") for p in HERE.rglob("*") if p.suffix in (".py", ".net"))
WRITTEN += "".join(p.read_text("utf-8") for p in SPECS.glob("*.net"))
HEADS = ["8x16x16", "8", "4x8", "8x16x16\nchannels_last", "8x16x16\npartition(4)", "8x4x8x8"]
ARGUMENTS = {
    **dict.fromkeys(("conv", "deconv"), "4, 3"),
    **dict.fromkeys(("maxpool", "avgpool", "groupnorm", "upsample", "channel_shuffle", "zeropad"), "2"),
    **dict.fromkeys(("linear", "partition", "attention", "relative_attention", "lstm", "gru"), "4"),
    **dict.fromkeys(("window_attention", "cosine_window_attention"), "4, shift=3"),
    "video_window_attention": "4, window=4",
    **dict.fromkeys(("adaptive_avgpool", "adaptive_maxpool"), "1"),
    "unpartition": "4, 16, 16",
    "stochastic_depth": "0.1",
    "slice": "2, 4",
    "rescale": "scale=[1] * 8, shift=[0] * 8",
    **dict.fromkeys(
        ("mean", "sum", "max", "min", "var", "std", "norm", "select", "flip", "glu", "equal"), "0"
    ),
    **dict.fromkeys(("pow", "pixel_shuffle", "pixel_unshuffle"), "2"),
    "permute": "[2, 0, 1]",
    "reshape": "16x8x16",
    "expand": "8x16x16",
    "embedding": "10, 4",
    "roll": "1, -1",
    "clamp": "min=0",
    "pad": "[1, 0, 2, 0]",
}
LAYERS = sorted(OPS.keys() - {"input"})


@pytest.mark.parametrize("keyword", LAYERS)
def test_every_op_is_documented_and_tested(keyword):
    op = OPS[keyword]
    assert op.__dict__.get("__doc__")
    assert op.kind
    assert re.search(rf"\b{keyword}\b", WRITTEN)


@pytest.mark.parametrize("keyword", LAYERS)
def test_every_op_uses_functions_that_torch_has(keyword):
    if OPS[keyword].kind in ("merge", "tensor") or OPS[keyword].arity() != (1, 1):
        return
    accepted = 0
    for head in HEADS:
        head = f"{head}, dtype=int64" if keyword == "embedding" else head
        text = f"network Net\ninput image: {head}\n{keyword}({ARGUMENTS.get(keyword, '')})"
        net = check_source(Source("test.net", text), Path()).net
        if net is None:
            continue
        accepted += 1
        result = build(net)(*random_batch(net, 2))
        assert tuple(result.shape) == (2, *net.nodes[-1].shape)
    assert accepted


def test_labels_cannot_replace_attributes_of_modules():
    ours = nn.Module()
    words = {*dir(ours), *dir(nn.Sequential()), *dir(nn.ModuleList()), *vars(ours)}
    assert {w for w in words if not w.startswith("_")} - MODULE_WORDS == set()
