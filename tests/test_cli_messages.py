"""How commands show errors: sentences with flags, exit statuses, log lines, and unexpected errors."""

from __future__ import annotations

import logging

import click
import pytest
from accepted import accepted
from click.testing import CliRunner, Result

from netspec.cli import main
from netspec.cli.messages import Command, flags_of, with_flags
from netspec.errors import DataError, NetspecError

FLAGS = {"root": "--root", "lr": "--lr", "ema": "--ema", "val_share": "--val-share", "set": "--set"}

# A message of the library, and the same for the command line.
REWRITTEN = {
    "name its folder with `root`": "name its folder with --root",
    "lower `lr`": "lower --lr",
    "set `val_share=0.2`": "set --val-share 0.2",
    "set `ema=True`": "set --ema",
    "set `classes=10`": "use --set classes=10",
    "set `train.normalize=imagenet`": "use --set train.normalize=imagenet",
    "there is no `roof`": "there is no `roof`",
    "`netspec zoo` lists them": "`netspec zoo` lists them",
}


@pytest.mark.parametrize(("text", "wanted"), REWRITTEN.items(), ids=REWRITTEN)
def test_parameters_become_flags(text: str, wanted: str) -> None:
    assert with_flags(text, FLAGS) == wanted


def test_parameters_are_unchanged_in_commands_without_set() -> None:
    assert with_flags("set `classes=10`", {"root": "--root"}) == "set `classes=10`"


def test_flags_are_those_of_the_command() -> None:
    flags = flags_of(main.commands["train"])
    assert flags["val_share"] == "--val-share"
    assert flags["set"] == "--set"
    assert flags_of(main.commands["draw"])["output"] == "--output"


def run(error: BaseException | None, *arguments: str, env: str = "0") -> Result:
    @click.command("fail", cls=Command)
    @click.option("--root")
    def fail(root: str | None) -> None:
        logging.getLogger("netspec.somewhere").info("reading `root`")
        logging.getLogger("netspec.somewhere").warning("old files")
        if error:
            raise error

    return CliRunner().invoke(fail, arguments, env={"NETSPEC_TRACEBACK": env})


def test_log_records_are_lines_on_standard_error() -> None:
    result = run(None)
    assert accepted(result)
    assert result.stdout == ""
    assert result.stderr == "reading --root\nwarning: old files\n"


@pytest.mark.parametrize(
    ("error", "status"), [(DataError("no `root`"), 1), (NetspecError("no `root`", wrong_use=True), 2)]
)
def test_errors_are_sentences(error: NetspecError, status: int) -> None:
    result = run(error)
    assert result.exit_code == status
    assert result.stderr.splitlines()[-1] == "error: no --root"


def test_terminal_escapes_do_not_reach_the_terminal() -> None:
    assert "\x1b" not in run(DataError("a\x1b[2Jb")).stderr


def test_an_unexpected_error_asks_for_a_report() -> None:
    result = run(ZeroDivisionError("division\nby zero"))
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()[2:]
    assert line.startswith("error: netspec failed unexpectedly (ZeroDivisionError: division by zero")
    assert "please report it" in line
    assert "Traceback" not in result.output


def test_an_unexpected_error_keeps_its_traceback_on_demand() -> None:
    assert isinstance(run(ZeroDivisionError(), env="1").exception, ZeroDivisionError)


def test_ctrl_c_exits_with_130() -> None:
    assert run(KeyboardInterrupt()).exit_code == 130


def test_the_traceback_option_works_for_every_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def fault(*arguments: object, **options: object) -> None:
        raise ZeroDivisionError("from inside")

    monkeypatch.setattr("netspec.zoo.select", fault)
    monkeypatch.setenv("NETSPEC_TRACEBACK", "0")
    assert "please report it" in CliRunner().invoke(main, ["zoo"]).stderr
    assert isinstance(CliRunner().invoke(main, ["--traceback", "zoo"]).exception, ZeroDivisionError)
