"""Every snippet of the documentation: Python runs, commands parse, output is what commands print."""

from __future__ import annotations

import importlib
import re
import shlex
from pathlib import Path

import click
import pytest
import torch
import torchvision
from click.testing import CliRunner
from places import HERE

from netspec.cli import main
from netspec.ops import OPS
from netspec.recipe.optimizers import OPTIMIZERS

ROOT = HERE.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
NAME = re.compile(r"`(netspec(?:\.\w+)+)(?:\(.*?\))?`")


def fences(page: Path) -> list[tuple[str, str]]:
    """The language and the text of each fenced block of a page."""
    return FENCE.findall(page.read_text("utf-8"))


def title(value: object) -> str:
    return value.name if isinstance(value, Path) else str(value)


@pytest.fixture
def offline(monkeypatch):
    """Let torchvision's builders serve as their own published weights, so that nothing is downloaded."""

    def fresh(weights: torchvision.models.WeightsEnum, **options: object) -> dict[str, torch.Tensor]:
        builder = type(weights).__name__.removesuffix("_Weights").lower()
        state: dict[str, torch.Tensor] = torchvision.models.get_model(builder).state_dict()
        return state

    monkeypatch.setattr(torchvision.models.WeightsEnum, "get_state_dict", fresh)


SCRIPTS = [page for page in PAGES if any(language == "python" for language, _ in fences(page))]


@pytest.mark.parametrize("page", SCRIPTS, ids=title)
def test_python_runs(page, tmp_path, monkeypatch, offline):
    """The blocks of a page run in order, in one namespace and an empty folder; registries are restored."""
    monkeypatch.chdir(tmp_path)
    for registry in (OPS, OPTIMIZERS):
        monkeypatch.setattr(registry, "_members", dict(registry))
    namespace: dict[str, object] = {"__name__": "__main__"}
    for language, text in fences(page):
        if language == "python":
            exec(compile(text, str(page), "exec"), namespace)


COMMANDS = [
    (page, line.removeprefix("$ "))
    for page in PAGES
    for _, text in fences(page)
    for line in text.replace("\\\n", " ").splitlines()
    if line.removeprefix("$ ").startswith("netspec ")
]
COMMANDS += [
    (page, line)
    for page in PAGES
    for line in re.findall(r"`(netspec [^`\n]+)`", FENCE.sub("", page.read_text("utf-8")))
]


@pytest.mark.parametrize(("page", "line"), COMMANDS, ids=title)
def test_commands_parse(page, line):
    """Arguments are not looked at, but for the values that an option can have."""
    name, *arguments = shlex.split(line, comments=True)[1:]
    command = main.commands[name]
    if isinstance(command, click.Group) and arguments and arguments[0] in command.commands:
        name, *arguments = arguments
        command = command.commands[name]
    if not arguments and any(p.required for p in command.params):
        return  # a sentence names the command alone
    context = command.make_context(name, arguments, parent=click.Context(main, **main.context_settings))
    assert context.params.keys() == {p.name for p in command.params if p.expose_value}


SHOWN = [
    (page, text)
    for page in PAGES
    for _, text in fences(page)
    if re.match(r"\$ netspec (check|draw|export|fmt|explain|ops|zoo)\b", text)
]


@pytest.mark.parametrize(("page", "text"), SHOWN, ids=title)
def test_shown_output_is_real(page, text, monkeypatch):
    """A line of dots stands for lines that are left out."""
    monkeypatch.chdir(ROOT)
    line, _, shown = text.partition("\n")
    run = CliRunner().invoke(main, shlex.split(line)[2:])
    rest = run.output
    for part in re.split(r"^\.\.\.\n", shown, flags=re.MULTILINE):
        assert part in rest
        rest = rest.partition(part)[2] if part else rest


NAMES = sorted({(page, name) for page in PAGES for name in NAME.findall(page.read_text("utf-8"))})


@pytest.mark.parametrize(("page", "name"), NAMES, ids=title)
def test_names_exist(page, name):
    """Names of netspec's own modules, classes and functions, between backticks."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        for attribute in parts[count:]:
            found = getattr(found, attribute)
        return
    pytest.fail(f"there is no {name}")


def test_snippets_are_found():
    assert SCRIPTS
    assert SHOWN
    assert {page.name for page, _ in COMMANDS} >= {
        "README.md",
        "training.md",
        "evaluate.md",
        "experiments.md",
    }
