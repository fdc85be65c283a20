"""The plug-in in examples/ does what netspec's own ops, data sets and formats do."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from places import HERE
from torch.nn.functional import conv2d

PLUGIN = HERE.parent / "examples" / "netspec-shift"
SPEC = PLUGIN / "shift.net"


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A folder with the package and the entry points that an installer writes from its pyproject.toml."""
    folder = tmp_path_factory.mktemp("site")
    project = tomllib.loads((PLUGIN / "pyproject.toml").read_text("utf-8"))["project"]
    shutil.copytree(PLUGIN / "netspec_shift", folder / "netspec_shift")
    info = folder / f"netspec_shift-{project['version']}.dist-info"
    info.mkdir()
    head = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (info / "METADATA").write_text(head, "utf-8")
    groups = project["entry-points"].items()
    lines = [
        line
        for group, members in groups
        for line in (f"[{group}]", *(f"{k} = {v}" for k, v in members.items()))
    ]
    (info / "entry_points.txt").write_text("\n".join(lines), "utf-8")
    return folder


def netspec(site: Path, folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(site), str(HERE.parent)])
    return subprocess.run(
        [sys.executable, "-m", "netspec", *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )


def test_the_op_is_checked(installed, tmp_path):
    run = netspec(installed, tmp_path, "check", SPEC, "--format", "json")
    assert run.returncode == 0, run.stderr
    report = json.loads(run.stdout)
    assert [plugin["name"] for plugin in report["plugins"]] == ["shift"]


def test_a_distance_beyond_the_image_is_an_error(installed, tmp_path):
    (tmp_path / "far.net").write_text("network Far\ninput image: 5x8x9\nshift(8)\n", "utf-8")
    run = netspec(installed, tmp_path, "check", "far.net")
    assert run.returncode == 1
    assert "shift moves by 8 pixels, but the image is 8x9" in run.stderr


def test_the_format_prints_totals(installed, tmp_path):
    """Stem 20 + 20, two 1x1 convolutions 400 + 800, norms 40 + 80, fc 80 + 2."""
    run = netspec(installed, tmp_path, "check", SPEC, "--format", "totals")
    params = 40 + 400 + 800 + 40 + 80 + 82
    macs = 20 * 144 + 400 * 144 + 800 * 36 + 80
    assert run.stdout == f"ShiftNet\t{params}\t{macs}\n"


def test_the_exported_source_equals_the_layer_of_the_paper(installed, tmp_path):
    """The paper defines shift as a depthwise convolution whose kernels are zero but for a single one."""
    (tmp_path / "two.net").write_text("network Two\ninput image: 11x8x9\nshift(2)\n", "utf-8")
    run = netspec(installed, tmp_path, "export", "two.net", "-o", "two.py")
    assert run.returncode == 0, run.stderr
    source = (tmp_path / "two.py").read_text("utf-8")
    assert "netspec_shift" not in source
    namespace: dict[str, type[torch.nn.Module]] = {}
    exec(source, namespace)
    kernel = torch.zeros(11, 1, 5, 5)
    for channel in range(11):
        row, column = [(2, 4), (2, 0), (4, 2), (0, 2), (2, 2)][min(channel // 2, 4)]
        kernel[channel, 0, row, column] = 1
    x = torch.rand(3, 11, 8, 9)
    assert torch.equal(namespace["Two"]()(x), conv2d(x, kernel, padding=2, groups=11))


def test_the_data_set_trains(installed, tmp_path):
    run = netspec(installed, tmp_path, "train", SPEC, "--device", "cpu", "--out", "run")
    assert run.returncode == 0, run.stderr
    last = json.loads((tmp_path / "run" / "log.jsonl").read_text("utf-8").splitlines()[-1])
    assert last["val"]["top1_error"] < 0.1
    evaluated = netspec(installed, tmp_path, "eval", "run", "--format", "json")
    assert evaluated.returncode == 0, evaluated.stderr


def test_nothing_of_the_package_is_available_with_plugins_disabled(installed, tmp_path):
    run = netspec(installed, tmp_path, "--no-plugins", "check", SPEC)
    assert run.returncode == 1
    assert "shift" in run.stderr


@pytest.mark.skipif(find_spec("hatchling") is None, reason="hatchling is not installed: pip install '.[dev]'")
def test_pip_installs_the_package(tmp_path):
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
    ]
    subprocess.run([*pip, "--target", tmp_path / "site", PLUGIN], check=True, capture_output=True)
    run = netspec(tmp_path / "site", tmp_path, "check", SPEC, "--format", "totals")
    assert run.stdout.startswith("ShiftNet\t")
