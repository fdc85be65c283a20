"""`use`: blocks of other files, found beside or below the spec, and nowhere else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from accepted import accepted

from netspec.checker import Report, check_file

NET = "network Net\ninput image: 3x8x8\n{}\nB\n"

FINE = [
    ({"main.net": NET.format('use "b.net"'), "b.net": "block B { conv(4, 3) }"}, 112),
    ({"main.net": NET.format('use "lib/b.net"'), "lib/b.net": "block B { conv(4, 3) }"}, 112),
    ({"main.net": NET.format('use "./lib/../b.net"'), "lib/x": "", "b.net": "block B { conv(4, 3) }"}, 112),
    (
        {
            "main.net": NET.format('use "lib/b.net"'),
            "lib/b.net": 'use "c.net"\nblock B { C; C }',
            "lib/c.net": "block C { conv(3, 1) }",
        },
        24,
    ),
    (
        {
            "main.net": NET.format('use "lib/b.net"'),
            "lib/b.net": 'use "../c.net"\nblock B { C; C }',
            "c.net": "block C { conv(3, 1) }",
        },
        24,
    ),
    (
        {  # a diamond: two files that take the same third
            "main.net": NET.format('use "b.net"\nuse "c.net"\nC'),
            "b.net": 'use "d.net"\nblock B { D }',
            "c.net": 'use "d.net"\nblock C { D }',
            "d.net": "block D { conv(3, 1) }",
        },
        24,
    ),
    ({"main.net": NET.format('use "b.net"\nuse "b.net"'), "b.net": "block B { conv(3, 1) }"}, 12),
    ({"main.net": NET.format('use "b.net"'), "b.net": "w = 3\nblock B(c = w) { conv(c, 1) }"}, 12),
    ({"main.net": NET.format('use "b.net"'), "b.net": "default conv(bias=false)\nblock B { conv(3, 1) }"}, 9),
    (
        {"main.net": NET.format('default conv(bias=false)\nuse "b.net"'), "b.net": "block B { conv(3, 1) }"},
        12,
    ),
    ({"main.net": NET.format('use "b.net"'), "b.net": "block B { C }\nblock C { conv(3, 1) }"}, 12),
]


def make(folder: Path, files: dict[str, str]) -> Report:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return check_file(folder / "main.net")


@pytest.mark.parametrize(("files", "params"), FINE, ids=range(len(FINE)))
def test_blocks_of_other_files_are_used(tmp_path, files, params):
    report = make(tmp_path, files)
    assert not report.diagnostics
    assert report.require().totals.params == params


LEADS_OUT, ITSELF = "outside the folder", "uses itself"
FAULTS = [
    ({"main.net": NET.format('use "main.net"')}, ITSELF),
    ({"main.net": NET.format('use "b.net"'), "b.net": 'use "main.net"\nblock B { relu }'}, ITSELF),
    ({"main.net": NET.format('use "b.net"'), "b.net": 'use "./b.net"\nblock B { relu }'}, ITSELF),
    (
        {
            "main.net": NET.format('use "b.net"'),
            "b.net": 'use "lib/c.net"\nblock B { relu }',
            "lib/c.net": 'use "../b.net"',
        },
        ITSELF,
    ),
    ({"main.net": NET.format('use "../outside.net"')}, LEADS_OUT),
    ({"main.net": NET.format('use "/etc/hostname"')}, LEADS_OUT),
    ({"main.net": NET.format('use "lib/../../outside.net"')}, LEADS_OUT),
    ({"main.net": NET.format('use "lib/b.net"'), "lib/b.net": 'use "../../outside.net"'}, LEADS_OUT),
    ({"main.net": NET.format('use "none.net"')}, "does not exist"),
    ({"main.net": NET.format('use ""')}, "folder"),
    ({"main.net": NET.format('use "."')}, "is a folder"),
    ({"main.net": NET.format('use "~/b.net"')}, "does not exist"),
    ({"main.net": NET.format('use "$HOME/b.net"')}, "does not exist"),
    ({"main.net": NET.format('use "file:///etc/hostname"')}, "does not exist"),
    ({"main.net": NET.format('use "b.net"'), "b.net": ""}, "is empty"),
    ({"main.net": NET.format('use "b\0.net"')}, ""),
    ({"main.net": NET.format(f'use "{"b" * 300}.net"')}, ""),
    ({"main.net": NET.format(f'use "{"b/" * 3000}.net"')}, ""),
    ({"main.net": NET.format('use "b.net"'), "b.net": "relu\nblock B { relu }"}, "can contain only blocks"),
    (
        {"main.net": NET.format('use "b.net"'), "b.net": "network B\nblock B { relu }"},
        "can contain only blocks",
    ),
    ({"main.net": NET.format('use "b.net"'), "b.net": "block B { B }"}, "cannot contain itself"),
    ({"main.net": NET.format('use "b.net"'), "b.net": "block B { relu"}, ""),
    ({"main.net": NET.format('use "b.net"'), "b.net": "block B { conv(c, 1) }\nc = 1\nx = y"}, "`y`"),
]


@pytest.mark.parametrize(("files", "message"), FAULTS, ids=range(len(FAULTS)))
def test_invalid_files_are_rejected(tmp_path, files, message):
    (tmp_path / "outside.net").write_text("block B { relu }")
    report = make(tmp_path / "root", files)
    assert not report.ok
    assert any(message in d.message for d in report.diagnostics)


def test_an_error_in_a_used_file_is_shown_there_once(tmp_path):
    files = {"main.net": NET.format('use "b.net"\nB'), "b.net": "block B {\n  conv(4, kernal=3)\n}"}
    (fault,) = make(tmp_path, files).diagnostics
    assert (Path(fault.span.source.path).name, fault.span.line) == ("b.net", 2)
    assert [Path(x.span.source.path).name for x in fault.labels] == ["main.net"]


LINKS = [("b.net", "../outside.net"), ("lib", "..")]


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="links of files are POSIX's")
@pytest.mark.parametrize(("link", "target"), LINKS)
def test_a_link_out_of_the_folder_is_rejected(tmp_path, link, target):
    (tmp_path / "outside.net").write_text("block B { relu }")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / link).symlink_to(target)
    path = "lib/outside.net" if link == "lib" else link
    report = make(tmp_path / "root", {"main.net": NET.format(f'use "{path}"')})
    assert [d.code for d in report.diagnostics if LEADS_OUT in d.message] == ["bad-use"]


def test_a_link_inside_the_folder_is_followed(tmp_path):
    (tmp_path / "b.net").symlink_to("real.net")
    assert accepted(make(tmp_path, {"real.net": "block B { relu }", "main.net": NET.format('use "b.net"')}))


def test_a_link_to_itself_is_rejected(tmp_path):
    (tmp_path / "b.net").symlink_to("b.net")
    assert not make(tmp_path, {"main.net": NET.format('use "b.net"')}).ok


def test_a_cycle_through_a_link_is_found(tmp_path):
    (tmp_path / "b.net").symlink_to("main.net")
    report = make(tmp_path, {"main.net": NET.format('use "b.net"')})
    assert any(ITSELF in d.message for d in report.diagnostics)


def check_in_process(folder: Path, files: dict[str, str]) -> int:
    """The exit status of a check that may not end, or memory that may."""
    for name, text in files.items():
        (folder / name).write_text(text)
    command = [sys.executable, "-m", "netspec", "check", str(folder / "main.net")]
    run = subprocess.run(command, capture_output=True, text=True, timeout=10)
    assert "Traceback" not in run.stderr
    return run.returncode


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes are POSIX's")
def test_a_pipe_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "b.net")
    assert check_in_process(tmp_path, {"main.net": NET.format('use "b.net"')}) == 1


def test_a_long_chain_of_uses_terminates(tmp_path):
    files = {f"f{i}.net": f'use "f{i + 1}.net"' for i in range(2000)}
    files |= {"f2000.net": "block B { relu }", "main.net": NET.format('use "f0.net"')}
    assert check_in_process(tmp_path, files) in (0, 1)


def test_repeated_uses_of_one_file_terminate(tmp_path):
    """Each of 24 files takes the next one twice: 2**24 readings, if nothing remembers them."""
    files = {f"f{i}.net": f'use "f{i + 1}.net"\nuse "f{i + 1}.net"\n' for i in range(24)}
    files |= {"f24.net": "block B { relu }", "main.net": NET.format('use "f0.net"')}
    assert check_in_process(tmp_path, files) in (0, 1)
