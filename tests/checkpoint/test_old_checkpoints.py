"""An earlier version's checkpoint, after one of two epochs, is evaluated and resumed with its results."""

from __future__ import annotations

import json
import shutil

import pytest
from places import HERE

from netspec.checkpoint import read_log
from netspec.evaluation import Run, evaluate
from netspec.training import resume

OLD = HERE / "golden" / "checkpoint"
FIRST, SECOND = (json.loads(line) for line in (OLD / "log.jsonl").read_text().splitlines())
LAST = {"loss": 1.4818927166327625, "top1_error": 0.47887323943661975}
"""The score of its last weights, as that version's `netspec eval` printed it."""


@pytest.mark.parametrize(("ema", "expected"), [(False, LAST), (True, FIRST["val"])], ids=["last", "averaged"])
def test_it_is_evaluated_as_before(ema, expected):
    score = evaluate(OLD / "checkpoint.pt", device="cpu", ema=ema).score
    assert score.loss == pytest.approx(expected["loss"], rel=1e-4)
    assert score.top1_error == pytest.approx(expected["top1_error"], abs=1 / 355)


def test_it_resumes_to_the_same_second_epoch(tmp_path):
    shutil.copytree(OLD, tmp_path / "run")
    run = resume(tmp_path / "run", device="cpu")
    assert (run.epochs, run.steps) == (2, 44)
    row = read_log(tmp_path / "run")[-1]
    assert row["lr"] == pytest.approx(SECOND["lr"])
    assert row["loss"] == pytest.approx(SECOND["loss"], rel=1e-3)
    assert row["val"]["loss"] == pytest.approx(SECOND["val"]["loss"], rel=1e-3)


def test_its_record_is_read():
    run = Run.open(OLD)
    assert (run.epochs, run.recipe.epochs, len(run.history)) == (1, 2, 2)
    assert run.best
    assert run.best.loss == FIRST["val"]["loss"]
