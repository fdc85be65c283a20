"""The scripts in examples/ run, and print what is published elsewhere."""

from __future__ import annotations

import runpy
import sys

import pytest
from places import HERE

EXAMPLES = HERE.parent / "examples"


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Run a script in an empty folder, and return what it prints."""

    def call(name: str, *arguments: str) -> str:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return str(capsys.readouterr().out)

    return call


def test_compare_networks(run):
    """torchvision publishes these figures, and MobileNetV2 is the smaller one."""
    rows = [line.split() for line in run("compare_networks.py", "resnet18", "mobilenet_v2").splitlines()[1:]]
    assert [row[:3] for row in rows] == [
        ["mobilenet_v2", "3,504,872", "0.30"],
        ["resnet18", "11,689,512", "1.81"],
    ]


@pytest.mark.parametrize(("name", "depth"), [("googlenet", 22), ("resnet50", 50), ("densenet121", 121)])
def test_network_depth(run, name, depth):
    """The depth that the papers give these networks, in their names for two of them."""
    assert f"is {depth} layers deep" in run("network_depth.py", name)


def test_draw_sketch(run, tmp_path):
    assert "57,162 parameters" in run("draw_sketch.py", "sketch.dot")
    assert (tmp_path / "sketch.dot").read_text("utf-8").startswith('digraph "Sketch"')


def test_every_script_is_tested():
    text = (HERE / "test_example_scripts.py").read_text("utf-8")
    assert all(f'run("{path.name}"' in text for path in EXAMPLES.glob("*.py"))
