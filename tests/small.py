"""Small networks, and the command line that trains them, for tests of what is done with trained ones."""

from __future__ import annotations

from click.testing import CliRunner, Result

from netspec.cli import main

DIGITS = "network Digits(classes = 3)\ninput image: 1x10x10\nconv(4, 3); relu\nflatten; fc: linear(classes)\n"
PHOTOS = DIGITS.replace("1x10x10", "3x16x16") + "train { resize: 18; batch: 4; augment: [flip, lighting]}\n"


def command(*arguments: object) -> Result:
    run = CliRunner().invoke(main, [*map(str, arguments)])
    assert run.exception is None or isinstance(run.exception, SystemExit), run.exc_info
    return run
