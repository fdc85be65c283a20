"""Logs: the same rows in both formats, no row repeated after resuming, and errors for full disks."""

from __future__ import annotations

import csv
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from netspec.checkpoint import read_log
from netspec.errors import TrainError
from netspec.evaluation.metrics import Score
from netspec.training.callbacks import EpochReport, RunLog, TensorBoard


def report(epoch: int, loss: float = 1.0) -> EpochReport:
    score = Score(images=50, loss=loss + 1, top1_error=0.5, top5_error=0.25)
    return EpochReport(
        epoch=epoch,
        lr=0.1 / epoch,
        loss=loss / epoch,
        accuracy=0.5,
        val=score,
        improved=True,
        images_per_second=99.5,
        seconds=2.0,
    )


def at(out: Path, step: int = 0) -> Any:
    """The part of a run's state that the log reads."""
    return SimpleNamespace(out=out, step=step)


def write(out: Path, reports: list[EpochReport], step: int = 0) -> None:
    """Log epochs of ten steps, as a run does that resumes after `step` steps."""
    state, callbacks = at(out, step), (RunLog(), TensorBoard())
    for callback in callbacks:
        callback.on_start(state)
    for each in reports:
        state.step += 10
        for callback in callbacks:
            callback.on_epoch_end(state, each)
    for callback in callbacks:
        callback.close()


def table(out: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((out / "log.csv").read_text().splitlines()))


def test_jsonl_and_csv_have_the_same_rows(tmp_path):
    write(tmp_path, [report(epoch) for epoch in (1, 2, 3)])
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert rows == read_log(tmp_path)
    assert [r["steps"] for r in rows] == [10, 20, 30]
    assert [float(r["val_loss"]) for r in table(tmp_path)] == [r["val"]["loss"] for r in rows]
    assert [r["lr"] for r in table(tmp_path)] == [str(r["lr"]) for r in rows]
    assert {p.name for p in tmp_path.iterdir()} == {"log.csv", "log.jsonl", "tensorboard"}


def test_resuming_drops_rows_after_the_checkpoint(tmp_path):
    write(tmp_path, [report(epoch) for epoch in (1, 2, 3)])
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"epoch": 4, "ste')  # killed while writing
    write(tmp_path, [report(3, loss=7.0)], step=20)
    for rows in (read_log(tmp_path), table(tmp_path)):
        assert [int(r["epoch"]) for r in rows] == [1, 2, 3]
    assert read_log(tmp_path)[-1]["val"]["loss"] == 8.0
    assert values(tmp_path, "loss/validation") == [(10, 2.0), (20, 2.0), (30, 8.0)]


def values(out: Path, tag: str) -> list[tuple[int, float]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(out / "tensorboard"))
    events.Reload()
    return [(e.step, e.value) for e in events.Scalars(tag)]


def test_tensorboard_can_read_the_events(tmp_path):
    board, state = TensorBoard(), at(tmp_path)
    board.on_start(state)
    for epoch in (1, 2):
        state.step += 10
        board.on_epoch_end(state, report(epoch))
        assert len(values(tmp_path, "loss/train")) == epoch  # before the run ends
    board.close()
    assert values(tmp_path, "error/top-1") == [(10, 0.5), (20, 0.5)]
    assert values(tmp_path, "learning rate") == [(10, pytest.approx(0.1)), (20, pytest.approx(0.05))]


def test_a_missing_tensorboard_is_wrong_use(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(TrainError, match=r"netspec\[tensorboard\]") as error:
        TensorBoard().on_start(at(tmp_path))
    assert error.value.wrong_use
    assert not list(tmp_path.iterdir())


def test_a_damaged_log_does_not_prevent_resuming(tmp_path):
    (tmp_path / "log.jsonl").write_bytes(
        b'{"epoch": 1, "steps": 5}\n\xff\xfe\n[1]\n{"epoch": 2, "steps": 10}\n'
    )
    with pytest.raises(TrainError, match="line 2"):
        read_log(tmp_path)
    RunLog().on_start(at(tmp_path, step=10))
    assert [r["epoch"] for r in read_log(tmp_path)] == [1, 2]


def test_columns_that_only_later_rows_have(tmp_path):
    (tmp_path / "log.jsonl").write_text('{"epoch": 1, "steps": 5}\n')
    write(tmp_path, [report(2)], step=5)
    assert [r["val_loss"] for r in table(tmp_path)] == ["", "2.0"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full to stand for a full disk")
@pytest.mark.parametrize("name", ["log.jsonl", "log.csv"])
def test_a_full_disk_is_an_error(tmp_path, name):
    log, state = RunLog(), at(tmp_path)
    log.on_start(state)
    (tmp_path / name).symlink_to("/dev/full")
    with pytest.raises(TrainError, match="no space left on device"):
        log.on_epoch_end(state, report(1))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(TrainError, match="cannot be written"):
        TensorBoard().on_start(at(tmp_path))
