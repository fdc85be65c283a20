"""The registry of data sets: every row is complete, documented and can be opened; others can add rows."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torchvision
from places import HERE

from netspec import plugins
from netspec.datasets import registry
from netspec.datasets.info import dataset_info, markdown_table
from netspec.datasets.registry import DATASETS, DataSet, Request, TorchvisionSet, open_data
from netspec.errors import DataError
from netspec.registry import resolve

# The test file that opens each data set; a row without one fails.
TESTED = {
    "test_in_memory.py": ["mnist", "digits"],
    "test_torchvision_sets.py": [
        *("fashion-mnist", "kmnist", "cifar10", "cifar100", "svhn", "stl10", "usps", "imagenet", "synthetic"),
        *("emnist-balanced", "emnist-byclass", "emnist-bymerge", "emnist-digits", "emnist-letters"),
        *("emnist-mnist", "food101", "flowers102", "oxford-iiit-pet", "imagenette", "gtsrb", "dtd"),
        *("fgvc-aircraft", "country211", "eurosat"),
    ],
    "test_image_folder.py": ["folder"],
    "test_prepare.py": ["prepared"],
    "test_webdataset.py": ["shards"],
}


def faults(row: DataSet) -> list[str]:
    """The missing parts of a row."""
    counts = (row.classes, row.channels, row.train_images, row.val_images)
    found = []
    if not re.fullmatch(r"[a-z][a-z0-9-]*", row.name):
        found.append("name")
    if not row.contents:
        found.append("contents")
    if not callable(row.opener) and not getattr(resolve(row.opener), "__doc__", None):
        found.append("opener")
    if row.form not in ("", ":PATH", "[:CLASSES]"):
        found.append("form")
    if not row.form and not all(counts):
        found.append("counts")
    if isinstance(row, TorchvisionSet) and not hasattr(torchvision.datasets, row.torchvision):
        found.append("torchvision")
    return found


@pytest.mark.parametrize("name", DATASETS)
def test_every_row_is_complete_and_has_a_test(name):
    assert faults(DATASETS[name]) == []
    file = next(file for file, names in TESTED.items() if name in names)
    assert re.search(rf"""["']{name}[:"']""", (HERE / "datasets" / file).read_text("utf-8"))


INCOMPLETE = {
    "no contents": ({"contents": ""}, ["contents"]),
    "no counts": ({"classes": None}, ["counts"]),
    "a name with a space": ({"name": "my set"}, ["name"]),
    "no such class of torchvision": ({"torchvision": "Cifar11"}, ["torchvision"]),
}


@pytest.mark.parametrize(("fields", "missing"), INCOMPLETE.values(), ids=INCOMPLETE)
def test_an_incomplete_row_fails(fields, missing):
    assert faults(replace(DATASETS["cifar10"], **fields)) == missing
    with pytest.raises(AttributeError):
        faults(replace(DATASETS["cifar10"], opener="netspec.datasets.image_folder:open_nothing"))


def test_the_document_lists_every_row(request):
    path = HERE.parent / "docs" / "data.md"
    before, rest = path.read_text("utf-8").split(" -->\n", 1)
    _, after = rest.split("<!-- end -->", 1)
    text = f"{before} -->\n{markdown_table()}\n<!-- end -->{after}"
    if request.config.getoption("--bless"):
        path.write_text(text, "utf-8")
    assert path.read_text("utf-8") == text, "pytest --bless rewrites the table"


def open_stripes(row: DataSet, request: Request):
    """The opener of a data set from another package."""
    return open_data(f"synthetic:{row.classes}")


def test_an_installed_package_adds_a_data_set(monkeypatch):
    row = DataSet("stripes", "stripes", open_stripes, classes=3, channels=1, train_images=8, val_images=2)
    monkeypatch.setattr(plugins, "load", lambda group: [("stripes", row)] if group == DATASETS.group else [])
    monkeypatch.setattr(DATASETS, "_members", dict(DATASETS))
    assert faults(row) == []
    assert open_data("stripes").class_names == ("0", "1", "2")
    assert dataset_info("stripes").train_images == 8


ROOTS = [
    ("imagenet", None, "cannot be downloaded: name its folder with `root`"),
    ("digits", Path("x"), "digits does not take `root`, but x was given"),
]


@pytest.mark.parametrize(("name", "root", "message"), ROOTS)
def test_root_is_required_or_rejected(name, root, message):
    with pytest.raises(DataError, match=message) as caught:
        open_data(name, root)
    assert caught.value.wrong_use


def test_paths_become_absolute():
    assert registry.located("shards:x") == f"shards:{Path.cwd() / 'x'}"
    assert registry.located("synthetic:5") == "synthetic:5"
