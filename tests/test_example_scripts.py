"""The scripts in examples/ run, and print what is published elsewhere."""

from __future__ import annotations

import runpy
import sys

import pytest
from image_files import photo
from places import HERE
from small import PHOTOS

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


def test_fine_tune(run, tmp_path):
    """Red and blue photos are separated by a small network without published weights."""
    for name, colour in (("red", (220, 30, 30)), ("blue", (30, 30, 220))):
        for number in range(20):
            path = tmp_path / "photos" / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            photo(path, (colour[0] - number, colour[1], colour[2] - number), size=(20, 20))
    (tmp_path / "small.net").write_text(PHOTOS, "utf-8")
    options = ["--network", "small.net", "--weights", "none", "--epochs", "8", "--lr", "0.01"]
    output = run("fine_tune.py", "photos", *options, "--predict", "photos/red")
    assert "0.0% of 8 validation images are misclassified" in output
    assert output.count("('red', ") == 20
