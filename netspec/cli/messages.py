"""Shows errors and log records as single sentences, with flags in place of parameters."""

from __future__ import annotations

import logging
import os
import re
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeGuard

import click

PARAMETER = re.compile(r"`([a-z_]+(?:\.[a-z_]+)*)(?:=([^`\n]*))?`")
"""A parameter of the Python API in a message, such as `root` or `epochs=30`."""
TRACEBACK = "NETSPEC_TRACEBACK"
"""The environment variable that, if it is 1, shows tracebacks of unexpected errors, like --traceback."""


class Command(click.Command):
    """A command that shows an error as one sentence and exits with status 1, or 2 for wrong use."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command and show its errors and log records."""
        from netspec.extras import needed_for

        flags = flags_of(self)
        with logging_shown(flags):
            try:
                with needed_for(f"netspec {ctx.info_name}"):
                    return super().invoke(ctx)
            except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
                raise
            except KeyboardInterrupt:
                click.echo("interrupted", err=True)
                ctx.exit(130)
            except Exception as error:
                if ctx.meta.get(TRACEBACK) or os.environ.get(TRACEBACK) == "1":
                    raise_unexpected(error)
                ctx.exit(show_error(error, flags))


def show_error(error: Exception, flags: Mapping[str, str]) -> int:
    """Print an error to standard error and return the exit status."""
    from netspec.diagnostics import SpecError, printable
    from netspec.errors import NetspecError
    from netspec.files import reason

    if names_file(error):
        text = f"{process()}error: {error.filename}: {reason(error)}"
    elif not isinstance(error, NetspecError):
        text = f"{process()}error: {unexpected(error)}"
    elif isinstance(error, SpecError):
        text = str(error)
    else:
        text = f"{process()}error: {with_flags(str(error), flags)}"
    click.echo(printable(text), err=True)
    return 2 if getattr(error, "wrong_use", False) else 1


def raise_unexpected(error: Exception) -> None:
    """Reraise an unexpected error, so that its traceback is shown; return if the error is expected."""
    from netspec.errors import NetspecError

    if not isinstance(error, NetspecError) and not names_file(error):
        raise error


def names_file(error: Exception) -> TypeGuard[OSError]:
    """Return True for an OSError that names a file: its message needs no traceback."""
    return isinstance(error, OSError) and error.filename is not None


def unexpected(error: Exception) -> str:
    """Describe an error that is not a `NetspecError`, with the line in netspec that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    place = next((f"{f.filename}:{f.lineno}" for f in reversed(frames) if "netspec" in f.filename), "")
    summary = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    located = f"{summary}, at {place}" if place else summary
    report = "please report it, with the output of the same command run with `netspec --traceback`"
    return f"netspec failed unexpectedly ({located}); this is a bug: {report}"


def flags_of(command: click.Command) -> Mapping[str, str]:
    """Return the longest flag of each option of a command, keyed by the Python API's parameters."""
    flags = {}
    for option in command.params:
        if isinstance(option, click.Option):
            flag = max(option.opts, key=len)
            flags[flag.lstrip("-").replace("-", "_")] = flag
    return flags


def with_flags(text: str, flags: Mapping[str, str]) -> str:
    """Return a message with the command's flags in place of the parameters that it names.

    >>> with_flags("lower `lr`, or set `classes=10`", {"lr": "--lr", "set": "--set"})
    'lower --lr, or use --set classes=10'
    """

    def flag(match: re.Match[str]) -> str:
        name, value = match[1], match[2]
        if name in flags:
            return flags[name] if value in (None, "True") else f"{flags[name]} {value}"
        if value is not None and "set" in flags:
            return f"--set {name}={value}"
        return match[0]

    return PARAMETER.sub(flag, text).replace("set --set ", "use --set ")


def process() -> str:
    """Return a prefix that names this process in messages under torchrun; it is empty for the first."""
    rank = os.environ.get("RANK", "0")
    return "" if rank == "0" else f"process {rank}: "


class Lines(logging.Handler):
    """A log handler that writes each record to standard error as one line."""

    def __init__(self, flags: Mapping[str, str]) -> None:
        super().__init__(logging.INFO)
        self.flags = flags

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; warnings start with `warning:`."""
        from netspec.diagnostics import printable

        text = with_flags(record.getMessage(), self.flags)
        prefix = "warning: " if record.levelno >= logging.WARNING else ""
        click.echo(f"{process()}{prefix}{printable(text)}", file=sys.stderr)


@contextmanager
def logging_shown(flags: Mapping[str, str]) -> Iterator[None]:
    """Show netspec's log records inside this context."""
    logger, handler = logging.getLogger("netspec"), Lines(flags)
    level, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate
