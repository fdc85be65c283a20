"""The fuzzer finds crashes, exceptions, hangs and excessive memory; its targets accept valid inputs."""

from __future__ import annotations

import mmap
import os
import random

import pytest

from fuzz import harness, specs
from fuzz.harness import Target, fuzz
from fuzz.targets import TARGETS


def crashes(content: bytes) -> None:
    os.abort()


def raises(content: bytes) -> None:
    raise KeyError("a bug")


def hangs(content: bytes) -> None:
    while True:
        pass


def allocates(content: bytes) -> None:
    """Write to 200 MiB of new pages; training in this process lets malloc reuse pages that it has kept."""
    memory = mmap.mmap(-1, 200 * 2**20)
    for page in range(0, len(memory), mmap.PAGESIZE):
        memory[page] = 1


def passes(content: bytes) -> None: ...


@pytest.mark.parametrize(
    ("run", "problem"),
    [
        (crashes, "crashes: the process ended with -6"),
        (raises, "KeyError: 'a bug'"),
        (hangs, "slow: over"),
        (allocates, "memory:"),
    ],
)
def test_a_failing_input_is_found_and_saved(run, problem, tmp_path, monkeypatch):
    monkeypatch.setattr(harness, "MEMORY", 100 * 2**20)
    if run is not hangs:  # A busy machine may take seconds to map that memory, which must not read as a hang.
        monkeypatch.setattr(harness, "SECONDS", 60.0)
    target = Target("spec", ".net", specs.make, run)
    ran, finds = fuzz(target, 1, tmp_path, most=2)
    assert ran == 2
    assert any(problem in find.problem for find in finds)
    assert any(path.suffix == ".net" for path in tmp_path.iterdir())


def test_a_passing_input_is_not_reported(tmp_path):
    ran, finds = fuzz(Target("spec", ".net", specs.make, passes), 1, tmp_path, most=20)
    assert ran == 20
    assert not finds


@pytest.mark.parametrize("name", TARGETS)
def test_the_same_seed_gives_the_same_input(name):
    target = TARGETS[name]
    assert target.make(random.Random("7")) == target.make(random.Random("7"))


@pytest.mark.parametrize(("name", "count"), [("checkpoint", 100), ("dataset", 500)])
def test_damaged_files_are_refused_or_used(name, count, tmp_path, monkeypatch):
    monkeypatch.setattr(harness, "SECONDS", 60.0)  # the machine may be busy
    ran, finds = fuzz(TARGETS[name], 1, tmp_path, most=count)
    assert ran == count
    assert [find.problem for find in finds] == []


def test_valid_specs_pass():
    for text in specs.corpus()[:10]:
        TARGETS["spec"].run(text.encode())
