"""`netspec sweep`: the grid, runs in separate processes, continuing a sweep, and failures."""

from __future__ import annotations

import csv
import json
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import ClassVar

import pytest
from accepted import accepted
from click.testing import CliRunner, Result
from places import HERE

from netspec.checkpoint import lock_run
from netspec.cli import main
from netspec.cli.formats import sweep_csv, sweep_json, sweep_table
from netspec.errors import TrainError
from netspec.evaluation.load import load_checkpoint
from netspec.sweep import Point, combine, grid, split
from netspec.sweep import Result as RunResult

SPEC = """network Digits(classes = 3, pool = 2)
input image: 1x10x10
conv(4, 3); relu
maxpool(pool)
flatten; fc: linear(classes)
"""


def command(*arguments: object) -> Result:
    run = CliRunner().invoke(main, ["sweep", *map(str, arguments)])
    assert run.exception is None or isinstance(run.exception, SystemExit), run.exc_info
    return run


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("digits.net").write_text(SPEC)
    return tmp_path


def test_the_grid():
    points = grid(["a=1,2", "b=x", "c=[1, 2],[3]"], [0, 1])
    assert [(p.settings, p.seed) for p in points][:3] == [
        (("a=1", "b=x", "c=[1, 2]"), 0),
        (("a=1", "b=x", "c=[1, 2]"), 1),
        (("a=1", "b=x", "c=[3]"), 0),
    ]
    assert len(points) == len({p.folder for p in points}) == 8
    assert points[0].varying == ("a=1", "c=[1, 2]")
    assert all(set("/\\ []*?'\"") & set(p.folder) == set() for p in points)
    assert grid([], [None]) == [Point((), (), None)]


def test_folders_of_unusual_names_are_unique():
    odd = ["train.optimizer=sgd(0.1)", "train.optimizer=sgd[0.1]", "a=" + "x" * 300, "a=" + "x" * 301]
    names = {Point((o,), (o,), None).folder for o in odd}
    assert len(names) == 4
    assert max(map(len, names)) <= 100


@pytest.mark.parametrize("settings", [["a"], ["=1"], ["a=1,,2"], ["a="], ["a=1,1"], ["a=1", "a=2"]])
def test_invalid_settings(settings):
    with pytest.raises(TrainError) as error:
        grid(settings, [None])
    assert error.value.wrong_use


def test_split_ignores_commas_in_brackets():
    assert split("sgd(0.1,m=[1,2]),b") == ["sgd(0.1,m=[1,2])", "b"]
    assert split('"(",")"') == ['"("', '")"']
    assert split("(1,2") == ["(1,2"]


def test_a_sweep_is_continued(folder):
    line = ["digits.net", "--set", "pool=2,90", "--data", "digits", "--epochs", 1, "--device", "cpu"]
    first = command(*line, "--out", "out", "--seed", 5)
    assert first.exit_code == 1
    assert "pool=90,seed=5: failed with status 1: error" in first.stderr
    done = folder / "out" / "pool=2,seed=5"
    saved = load_checkpoint(done)
    assert saved.recipe.seed == 5
    assert dict(saved.net.arguments) == {"classes": 10, "pool": 2}
    stamp = (done / "checkpoint.pt").stat().st_mtime_ns
    again = command(*line, "--out", "out", "--seed", 5, "--format", "json")
    assert again.exit_code == 1
    assert "pool=2,seed=5: already finished" in again.stderr
    assert (done / "checkpoint.pt").stat().st_mtime_ns == stamp
    good, bad = json.loads(again.stdout)
    last = json.loads((done / "log.jsonl").read_text())["val"]["top1_error"]
    assert good["final_top1_error"] == {"mean": last, "deviation": None}
    assert good["parameters"] == saved.net.totals.params
    assert (bad["failed"], bad["runs"]) == (1, [])


class Trained:
    """A fake training process, which writes the files of a run, or fails without writing any."""

    status, started = 0, 0
    lines: ClassVar[list[list[str]]] = []

    def __init__(self, line: list[str], **files: object) -> None:
        type(self).started += 1
        self.lines.append(line)
        self.line = line

    def wait(self) -> int:
        folder = Path(self.line[-1])
        if not self.status:
            seed = int(re.findall(r"seed=(\d+)", folder.name)[-1])
            row = {"epoch": 1, "steps": 1, "val": {"top1_error": 0.1 * seed}}
            (folder / "log.jsonl").write_text(json.dumps(row) + "\n")
            from netspec import check
            from netspec.checkpoint import describe, load, save

            content = load(HERE / "golden" / "checkpoint" / "checkpoint.pt")
            about = describe(check("digits.net"), "digits.net")
            save(folder / "checkpoint.pt", content | {"about": about})
        return self.status


@pytest.fixture
def trained(monkeypatch) -> type[Trained]:
    kind = type("Kind", (Trained,), {"lines": []})
    monkeypatch.setattr(subprocess, "Popen", kind)
    return kind


def test_results_are_grouped_over_seeds(trained):
    run = command(
        "digits.net", "--set", "pool=2,3", "--seeds", 3, "--seed", 1, "--out", "o", "--format", "json"
    )
    assert accepted(run)
    found = json.loads(run.stdout)
    assert [r["settings"] for r in found] == [{"pool": "2"}, {"pool": "3"}]
    errors = [r["final_top1_error"] for r in found[0]["runs"]]
    assert errors == pytest.approx([0.1, 0.2, 0.3])
    assert found[0]["final_top1_error"]["mean"] == pytest.approx(statistics.mean(errors))
    assert found[0]["final_top1_error"]["deviation"] == pytest.approx(statistics.stdev(errors))
    assert trained.started == 6


def test_an_interrupted_run_is_resumed(trained, folder):
    line = ["digits.net", "--seeds", 2, "--out", "o"]
    trained.status = 130
    first = command(*line)
    assert (first.exit_code, trained.started) == (130, 1)
    assert "to continue the sweep" in first.stderr
    trained.status = 0
    (folder / "o" / "seed=0" / "checkpoint.pt").write_bytes(b"half")
    assert command(*line).exit_code == 0
    assert trained.started == 3
    assert trained.lines[1][-2:] == ["--resume", "o/seed=0"]
    assert command(*line).exit_code == 0
    assert trained.started == 3


def test_sigterm_also_ends_the_current_run(folder):
    line = ["digits.net", "--set", "pool=2,3", "--data", "digits", "--epochs", "2000", "--out", "o"]
    log, output = folder / "o" / "pool=2" / "log.jsonl", folder / "o" / "pool=2" / "output.txt"
    with subprocess.Popen([sys.executable, "-m", "netspec", "sweep", *line], cwd=folder) as sweep:
        while not log.exists():
            assert sweep.poll() is None
            time.sleep(0.1)
        sweep.terminate()
        assert sweep.wait(60) == 143
    assert "resume with: netspec train --resume o/pool=2" in output.read_text()
    assert not (folder / "o" / "pool=3").exists()
    with lock_run(folder / "o" / "pool=2", resume=True):
        pass  # no process holds it any more


def test_folders_of_other_runs_are_not_overwritten(trained, folder):
    line = ["digits.net", "--seed", 1, "--out", "o"]
    assert command(*line, "--epochs", 1).exit_code == 0
    other = command(*line, "--epochs", 2)
    assert (other.exit_code, "--epochs 1" in other.stderr) == (1, True)
    Path("digits.net").write_text(SPEC.replace("conv(4", "conv(5"))
    changed = command(*line, "--epochs", 1)
    assert (changed.exit_code, "the spec has changed" in changed.stderr) == (1, True)
    (folder / "p" / "seed=1").mkdir(parents=True)
    (folder / "p" / "seed=1" / "precious").write_text("mine")
    foreign = command(*line[:-1], "p")
    assert (foreign.exit_code, "does not belong to a sweep" in foreign.stderr) == (1, True)
    assert (folder / "p" / "seed=1" / "precious").exists()
    assert trained.started == 1


def test_a_finished_run_without_its_files_is_reported(trained, folder):
    line = ["digits.net", "--seed", 1, "--out", "o"]
    assert command(*line).exit_code == 0
    (folder / "o" / "seed=1" / "checkpoint.pt").write_bytes(b"")
    again = command(*line)
    assert again.exit_code == 1
    assert "remove" in again.stderr


WRONG_USE = [
    (["--set", "depth=1,2"], "no parameter `depth`"),
    (["--set", "pool"], "NAME=VALUE"),
    (["--epoch", "3"], "--epoch"),
    (["--epochs", "none"], "--epochs"),
    (["more"], "more"),
    (["--input", "3y3"], "an input shape must have 1 to 4 sizes"),
]


@pytest.mark.parametrize(("line", "message"), WRONG_USE)
def test_wrong_use_is_found_before_the_first_run(trained, line, message):
    run = command("digits.net", *line)
    assert (run.exit_code, trained.started, message in run.stderr) == (2, 0, True), run.output
    assert not Path("runs").exists()


def test_options_before_the_spec(trained):
    run = command("--epochs", 3, "digits.net")
    assert (run.exit_code, "before the options" in run.stderr) == (2, True)


def test_settings_of_the_recipe_are_passed_to_train_unchanged(trained, folder):
    setting = "train.optimizer=sgd(0.1, momentum=0.9),sgd(0.01)"
    command("digits.net", "--set", setting, "--seed", 1, "--out", "o")
    lines = [json.loads(p.read_text())["arguments"] for p in sorted((folder / "o").glob("*/sweep.json"))]
    assert sorted(line[2] for line in lines) == [
        "train.optimizer=sgd(0.01)",
        "train.optimizer=sgd(0.1, momentum=0.9)",
    ]


def test_tables():
    point = Point(("a=1", "b=2"), ("a=1",), 0)
    results = [RunResult(point, 1234, 0.5, 0.25, 60.0), RunResult(point, error="lost")]
    table = [combine(results)]
    cells = re.split(r" {2,}", sweep_table(table).splitlines()[2])
    assert cells == ["a=1", "1, 1 failed", "1,234", "50.00 %", "25.00 %", "1m00s"]
    [head, row] = csv.reader(sweep_csv(table).splitlines())
    assert dict(zip(head, row, strict=True))["best_top1_error"] == "0.25"
    assert row[:3] == ["1", "2", "0"]
    assert json.loads(sweep_json(table))[0]["failed"] == 1
