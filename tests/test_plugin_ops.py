"""Layer types from plug-ins: their torch source, and the entry points that provide them."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import textwrap

import pytest
import torch
from accepted import accepted
from click.testing import CliRunner
from places import HERE

from netspec import check, plugins
from netspec.build import build
from netspec.checker import check_source
from netspec.cli import main
from netspec.diagnostics import Source
from netspec.emit.torch import source
from netspec.ops import OPS

SHIFT = textwrap.dedent(
    '''
    """An op that moves an image by whole pixels."""
    from typing import ClassVar

    from netspec.ops import Op
    from netspec.ops.base import code
    from netspec.shape import Shape


    class Shift(Op, keyword="shift"):
        """Roll an image `by` pixels to the right."""

        by: int = 1
        torch_source: ClassVar[str] = """
    import math
    import torch
    from torch import nn

    AXIS = int(math.sqrt(9))

    class Shift(nn.Module):
        def __init__(self, by):
            super().__init__()
            self.by = by

        def forward(self, x):
            return torch.roll(x, self.by, AXIS)
    """

        def infer(self, x: Shape) -> Shape:
            return x

        def torch_module(self, x: Shape):
            return code("Shift", self.by)
    '''
)
SPEC = "network {name}\ninput image: 1x4x4\nbody: {{ shift(2); relu }}\nshift -> 1x4x4\n"


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A package on the import path that offers `shift` by an entry point; forgotten after the test."""
    (tmp_path / "netspec_shift.py").write_text(SHIFT, "utf-8")
    info = tmp_path / "netspec_shift-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: netspec-shift\nVersion: 1.0\n", "utf-8")
    (info / "entry_points.txt").write_text("[netspec.ops]\nshift = netspec_shift:Shift\n", "utf-8")
    monkeypatch.setattr(OPS, "_members", dict(OPS._members))
    monkeypatch.setattr(plugins, "_loaded", {})
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    yield tmp_path
    sys.modules.pop("netspec_shift", None)


def net_of(name: str = "Net"):
    return check_source(Source("net.net", SPEC.format(name=name)), {}).require()


def test_an_installed_op_is_found_and_reported(installed):
    path = installed / "net.net"
    path.write_text(SPEC.format(name="Net"), "utf-8")
    run = CliRunner().invoke(main, ["check", str(path)])
    assert accepted(run)
    assert "shift from netspec-shift 1.0 is a plug-in" in run.stderr
    run = CliRunner().invoke(main, ["check", str(path), "--format", "json"])
    assert json.loads(run.stdout)["plugins"] == [
        {"group": "netspec.ops", "name": "shift", "distribution": "netspec-shift", "version": "1.0"}
    ]


@pytest.mark.parametrize("name", ["Net", "Shift"])
def test_the_module_of_a_plugin_op_runs(installed, name):
    x = torch.rand(2, 1, 4, 4)
    expected = torch.roll(torch.roll(x, 2, 3).relu(), 1, 3)
    assert torch.equal(build(net_of(name))(x), expected)


def test_the_exported_file_imports_only_torch(installed, tmp_path):
    (tmp_path / "alone").mkdir()
    (tmp_path / "alone" / "net.py").write_text(source(net_of()), "utf-8")
    code = (
        "import sys, torch, net; x = torch.rand(2, 1, 4, 4)\n"
        "assert torch.equal(net.Net()(x), torch.roll(torch.roll(x, 2, 3).relu(), 1, 3))\n"
        "print([m for m in sys.modules if m.startswith('netspec')])"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path / "alone", capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "[]"


def test_the_op_is_unknown_with_plugins_disabled(installed):
    with plugins.disabled():
        report = check_source(Source("net.net", SPEC.format(name="Net")), {})
    assert {d.code for d in report.diagnostics} == {"unknown-op"}
    assert report.plugins == ()


def test_a_block_may_have_the_name_of_a_plugin(installed):
    spec = "network Net\nblock shift { relu }\ninput image: 1x4x4\nshift\n"
    report = check_source(Source("net.net", spec), {})
    assert accepted(report)
    assert report.plugins == ()


def test_a_plugin_that_fails_to_import_is_named(installed):
    (installed / "netspec_shift.py").write_text("import no_such_module_at_all\n", "utf-8")
    with pytest.raises(plugins.PluginError, match=r"shift from netspec-shift 1\.0 cannot be imported"):
        net_of()


def test_torch_source_that_is_not_python_is_rejected(installed, monkeypatch):
    op = OPS.find("shift")
    monkeypatch.setattr(op, "torch_source", "class :")
    with pytest.raises(plugins.PluginError, match="`torch_source` of the op `shift` is not valid Python"):
        source(net_of())


def test_two_ops_cannot_define_the_same_name_differently(installed, monkeypatch):
    monkeypatch.setattr(OPS["relu"], "torch_source", "class Shift:\n    pass\n")
    with pytest.raises(plugins.PluginError, match="another op also defines `Shift`"):
        source(net_of())


def test_plugins_are_imported_only_for_unknown_names(installed, monkeypatch):
    asked = []
    monkeypatch.setattr(plugins, "_entry_points", lambda group, path: asked.append(group) or ())
    assert accepted(check("lenet"))
    assert asked == []
    assert not check(HERE / "cases" / "bad" / "unknown-op.net").ok
    assert asked
