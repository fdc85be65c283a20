"""The assertion that shows what was refused."""

from __future__ import annotations

import pytest
from accepted import accepted
from small import command

import netspec


def test_a_report_with_errors_shows_them():
    with pytest.raises(AssertionError, match=r"(?s)refused:.*unknown-op.*relv"):
        accepted(netspec.check("network Net\ninput image: 3x8x8\nrelv\n"))


def test_a_command_that_fails_shows_its_output():
    with pytest.raises(AssertionError, match=r"(?s)exit status 2.*dpth"):
        accepted(command("check", "vgg", "--set", "dpth=11"))
