"""`netspec check --data`: parameters per image, and warnings if the data do not fit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from accepted import accepted
from click.testing import CliRunner, Result
from places import SPECS

import netspec
from netspec.cli import main
from netspec.datasets.info import dataset_info
from netspec.datasets.registry import open_data


def check(*arguments: object) -> Result:
    run = CliRunner().invoke(main, ["check", *map(str, arguments)])
    assert run.exception is None or isinstance(run.exception, SystemExit), run.exc_info
    return run


def test_alexnet_on_imagenet():
    """Krizhevsky et al. (2012): 60 million parameters and 1.2 million images."""
    run = check(SPECS / "alexnet.net", "--data", "imagenet")
    assert accepted(run)
    assert "62,378,344 / 1,281,167 = 48.7 parameters per image" in run.stdout
    assert not run.stderr
    found = json.loads(check(SPECS / "alexnet.net", "--data", "imagenet", "--format", "json").stdout)
    assert found["data"]["params_per_image"] == 62_378_344 / 1_281_167
    assert "data" not in json.loads(check(SPECS / "alexnet.net", "--format", "json").stdout)


def test_misfits_are_warnings_with_a_position():
    line = [SPECS / "lenet.net", "--data", "cifar100", "--format", "json"]
    found = json.loads(check(*line).stdout)["diagnostics"]
    assert [(d["code"], d["severity"]) for d in found] == [
        ("data-channels", "warning"),
        ("data-classes", "warning"),
    ]
    assert found[0]["help"] == "set `input=3x32x32`"
    assert "`classes=100`" in found[1]["help"]
    assert "help: use --set classes=100" in check(*line[:-2]).stderr
    text = (SPECS / "lenet.net").read_text().splitlines()
    assert text[found[1]["line"] - 1].strip() == "f7: linear(classes)"
    assert check(*line, "--strict").exit_code == 1
    fitting = check(*line[:-2], "--set", "classes=100", "--input", "3x32x32", "--strict")
    assert (fitting.exit_code, "data-" in fitting.stderr) == (0, False)


def test_more_outputs_than_classes_give_a_warning(tmp_path):
    (tmp_path / "a.net").write_text("network A\ninput image: 1x8x8\nflatten; linear(12)\n")
    run = check(tmp_path / "a.net", "--data", "digits")
    assert (run.exit_code, "digits has 10 classes, but the output of linear is 12" in run.stderr) == (0, True)
    (tmp_path / "a.net").write_text("network A\ninput image: 1x8x8\nconv(10, 3)\n")
    assert "but the output of conv is 10x6x6" in check(tmp_path / "a.net", "--data", "digits").stderr


def test_counts_equal_those_of_training(data_root):
    mnist, digits = open_data("mnist", data_root / "mnist"), open_data("digits")
    for data in (mnist, digits):
        known = dataset_info(data.name)
        assert known.train_images == data.train_images
        assert known.classes == len(data.class_names)
        assert known.channels == data.channels


@pytest.fixture
def tree(tmp_path) -> Path:
    for part, count in (("cats", 7), ("dogs", 1), ("owls/inner", 11)):
        (tmp_path / "set" / part).mkdir(parents=True)
        for number in range(count):
            (tmp_path / "set" / part / f"{number}.JPG").touch()
    (tmp_path / "set" / "cats" / "notes.txt").touch()
    (tmp_path / "set" / "cats" / ".hidden.jpg").touch()
    (tmp_path / "set" / ".git").mkdir()
    return tmp_path / "set"


def test_folders_are_counted_as_in_training(tree, tmp_path):
    found, data = dataset_info(f"folder:{tree}"), open_data(f"folder:{tree}")
    assert (found.train_images, found.classes) == (data.train_images, len(data.class_names)) == (16, 3)
    (tmp_path / "both").mkdir()
    (tmp_path / "both" / "train").symlink_to(tree)
    (tmp_path / "both" / "val").symlink_to(tree)
    assert dataset_info(f"folder:{tmp_path / 'both'}").train_images == 19


def test_sets_that_cannot_be_counted(tree, tmp_path):
    refused = [
        ("imagenett", 2, "did you mean `imagenette` or `imagenet`"),
        ("folder:", 2, "folder: has no path: write folder:PATH"),
        ("shards:x", 2, "images of shards:x cannot be counted without reading them"),
        (f"folder:{tmp_path / 'gone'}", 1, "gone"),
        (f"folder:{tree / 'cats'}", 1, "no class folders"),
    ]
    (tree / "empty").mkdir()
    refused.append((f"folder:{tree}", 1, "empty holds no images"))
    for name, status, message in refused:
        run = check("lenet", "--data", name)
        assert (run.exit_code, message in run.stderr, run.stdout) == (status, True, ""), run.output


def test_a_spec_with_errors_has_no_parameters_per_image(tmp_path):
    (tmp_path / "a.net").write_text("network A\ninput image: 1x8x8\nflaten\n")
    run = check(tmp_path / "a.net", "--data", "digits")
    assert (run.exit_code, "for each" in run.output) == (1, False)


@pytest.mark.parametrize("form", ["markdown", "csv", "sarif"])
def test_other_formats(form):
    run = check("lenet", "--data", "cifar10", "--format", form)
    assert accepted(run)
    assert ("parameters per image" in run.stdout) == (form == "markdown")
    assert "data-channels" in run.output


def test_parameters_per_image():
    report = netspec.check("googlenet")
    ratio = dataset_info("imagenet").params_per_image(report.require())
    assert ratio == report.require().totals.params / 1_281_167
