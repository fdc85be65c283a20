"""The fuzzer finds what it is there to find, and every target accepts a good input."""

from __future__ import annotations

import os
import random

import pytest

from fuzz import specs
from fuzz.harness import Target, fuzz
from fuzz.targets import TARGETS


def crash(content: bytes) -> None:
    os.abort()


def raises(content: bytes) -> None:
    raise KeyError("a bug")


def hangs(content: bytes) -> None:
    while True:
        pass


def eats(content: bytes) -> bytes:
    return b"x" * (700 * 2**20)


def fine(content: bytes) -> None: ...


@pytest.mark.parametrize(
    ("run", "problem"),
    [
        (crash, "crashes: the process ended with -6"),
        (raises, "KeyError: 'a bug'"),
        (hangs, "slow: over"),
        (eats, "memory:"),
    ],
)
def test_the_fuzzer_finds_it(run, problem, tmp_path):
    target = Target("spec", ".net", specs.make, run)
    ran, finds = fuzz(target, 1, tmp_path, most=2)
    assert ran == 2
    assert any(problem in find.problem for find in finds)
    assert any(path.suffix == ".net" for path in tmp_path.iterdir())


def test_what_is_fine_is_no_find(tmp_path):
    ran, finds = fuzz(Target("spec", ".net", specs.make, fine), 1, tmp_path, most=20)
    assert ran == 20
    assert not finds


@pytest.mark.parametrize("name", TARGETS)
def test_inputs_follow_from_their_seed(name):
    target = TARGETS[name]
    assert target.make(random.Random("7")) == target.make(random.Random("7"))


def test_good_specs_pass():
    for text in specs.corpus()[:10]:
        TARGETS["spec"].run(text.encode())
