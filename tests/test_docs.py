"""The documentation is correct: its specs have no errors, and the README's table is the output of `check`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from accepted import accepted
from places import HERE

from netspec import check, zoo
from netspec.checker import check_source
from netspec.datasets.info import dataset_info, params_sentence
from netspec.diagnostics import Source
from netspec.emit.formats.table import network_table
from netspec.language.settings import read_setting
from netspec.recipe.reading import PARTS
from netspec.sweep import grid

ROOT = HERE.parent


def blocks(path: Path) -> list[str]:
    return re.findall(r"^```[a-z]*\n(.*?)^```", path.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def test_the_example_in_the_language_reference_has_no_errors():
    spec = next(b for b in blocks(ROOT / "docs" / "language.md") if b.startswith("network"))
    report = check_source(Source("small.net", spec), ROOT)
    assert not report.diagnostics
    assert accepted(report)


def test_the_card_in_the_documentation_equals_that_of_the_zoo(tmp_path):
    """The documentation leaves out some weights."""
    shown = next(b for b in blocks(ROOT / "docs" / "zoo.md") if b.startswith("name"))
    (tmp_path / "card.yaml").write_text(shown, "utf-8")
    card, whole = zoo.read(tmp_path / "card.yaml"), zoo.card("resnet50")
    assert card.model_copy(update={"results": whole.results}) == whole
    assert set(card.results) <= set(whole.results)


SWEEPS = re.findall(r"netspec sweep (\S+) (.*?)[`\n]", (ROOT / "docs" / "experiments.md").read_text("utf-8"))


@pytest.mark.parametrize(("spec", "options"), SWEEPS, ids=str)
def test_the_experiments_in_the_documentation_are_valid_sweeps(spec, options):
    settings = re.findall(r"--set (\S+)", options)
    for point in grid(settings, [None]):
        report = check(ROOT / spec, **dict(read_setting(s) for s in point.settings))
        assert accepted(report)


def test_the_ratio_in_the_documentation_is_that_of_check():
    net = check(ROOT / "specs" / "alexnet.net").require()
    assert params_sentence(net, dataset_info("imagenet")) in (ROOT / "docs" / "experiments.md").read_text(
        "utf-8"
    )


def test_the_readme_shows_the_spec_and_the_table_of_alexnet():
    spec = (ROOT / "specs" / "alexnet.net").read_text("utf-8")
    shown = blocks(ROOT / "README.md")
    excerpt = next(b for b in shown if b.startswith("network AlexNet"))
    assert excerpt.strip() in spec
    net = check(ROOT / "specs" / "alexnet.net").require()
    table = next(b for b in shown if "netspec check" in b and "conv1" in b)
    assert network_table(net) in table


def entries(heading: str) -> list[str]:
    """The first column of the table under a heading of the data's document."""
    section = (ROOT / "docs" / "data.md").read_text("utf-8").split(f"## {heading}\n")[1].split("\n## ")[0]
    cells = [
        row.split(" | ")[0] for row in section.splitlines() if row.startswith("| `") and row[3:5] != "--"
    ]
    return [entry for cell in cells for entry in re.findall(r"`(.*?)`", cell)]


def checked(lines: str) -> None:
    text = f"network Net\ninput image: 3x8x8\nflatten\nlinear(4)\ntrain {{\n{lines}\n}}\n"
    report = check_source(Source("test.net", text), ROOT)
    assert accepted(report)


def test_every_name_in_the_documentation_of_images_is_known():
    augment = entries("Augmentation")
    assert {entry.split("(")[0] for entry in augment} == PARTS["augment"].keys()
    assert {entry.split("(")[0] for entry in entries("Normalization")} == PARTS["normalize"].keys()
    for entry in augment:
        checked(f"  augment: [{entry}]")
    for entry in entries("Normalization"):
        checked(f"  normalize: {entry}")
    for entry in entries("Data sets"):
        name = entry.replace("[:CLASSES]", ":10")
        checked(f'  data: "{name}"')
    checked(blocks(ROOT / "docs" / "data.md")[0].split("{", 1)[1].rsplit("}", 1)[0].replace("227", "8"))


def test_the_architecture_names_every_part():
    package = ROOT / "netspec"
    parts = {f"{p.name}/" for p in package.iterdir() if (p / "__init__.py").exists() or any(p.glob("*.py"))}
    parts |= {p.name for p in package.glob("*.py")}
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    layout = page.split("## Layout")[1].split("Outside the package")[0]
    assert set(re.findall(r"`([\w.]+(?:\.py|/))`", layout)) == parts


def test_links_are_valid():
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")):
        for link in re.findall(r"\]\(([^)#]+)", page.read_text("utf-8")):
            assert link.startswith("http") or (page.parent / link).exists(), f"{page.name}: {link}"
