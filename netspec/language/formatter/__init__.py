"""Formats specs in a uniform style; comments, blank lines and groups on one line are kept."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from netspec.diagnostics import Source, SpecError, printable, render
from netspec.errors import FileError
from netspec.files import write_text
from netspec.language import ast as t
from netspec.language.formatter.lines import Formatter
from netspec.language.parser import parse
from netspec.library import builtin_names, read


def format_source(source: Source) -> str:
    """Return the formatted text of a spec.

    Raises:
        SpecError: the text has syntax errors.
    """
    tree, faults = parse(source)
    if faults:
        raise SpecError(faults)
    return Formatter(tree).text()


def format_tree(tree: t.File) -> str:
    """Return text that parses to an equal tree. The tree must not contain `Broken` nodes."""
    return Formatter(tree).text()


def format_files(paths: Sequence[str], only_check: bool, say: Callable[..., None]) -> int:
    """Format files in place (`-`: standard input to standard output) and return the exit status."""
    status = 0
    for name in paths:
        if not Path(name).suffix and name in builtin_names():
            say(f"error: fmt takes files, such as {name}.net, not the names of built-in specs", err=True)
            status = max(status, 2)
            continue
        try:
            source = Source("<stdin>", sys.stdin.read()) if name == "-" else read(Path(name))
            text = format_source(source)
            if name == "-" and not only_check:
                say(text, nl=False)
            elif text != source.text:
                say(f"{name} {'would change' if only_check else 'formatted'}")
                status = max(status, int(only_check))
                if not only_check:
                    write_text(Path(name), text)
        except SpecError as error:
            say("\n\n".join(printable(render(d)) for d in error.diagnostics), err=True)
            status = max(status, 1)
        except FileError as error:
            say(f"error: {error}", err=True)
            status = max(status, 1)
    return status
