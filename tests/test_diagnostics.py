"""Every kind of fault, as a user sees it: cases/bad/NAME.net gives golden/bad/NAME.txt."""

from __future__ import annotations

import pytest
from accepted import accepted
from places import HERE

from netspec import check
from netspec.checker import check_file
from netspec.diagnostics import Diagnostic, Label, Source, Span, SpecError, render

BAD = sorted((HERE / "cases" / "bad").glob("*.net"))
WARNED = {"unused-layer", "unused-name"}
"""Cases that are fine but for warnings."""


@pytest.mark.parametrize("path", BAD, ids=lambda p: p.stem)
def test_diagnostics_match_the_golden_file(path, golden):
    report = check_file(path, shown=path.name)
    golden(f"bad/{path.stem}.txt", "\n\n".join(render(d) for d in report.diagnostics) + "\n")
    assert report.ok == (path.stem in WARNED)
    assert report.diagnostics


@pytest.mark.parametrize("path", BAD, ids=lambda p: p.stem)
def test_every_diagnostic_lies_within_its_file(path):
    for d in check_file(path).diagnostics:
        for span in (d.span, *(label.span for label in d.labels)):
            assert 0 <= span.start <= span.end <= len(span.source.text)
        assert d.message == d.message.strip()
        assert not d.message.endswith(".")


UNREADABLE = [
    ("missing.net", None, "does not exist"),
    ("empty.net", b"", "is empty"),
    ("blank.net", b" \n\n", "is empty"),
    ("latin.net", b"network Net\n# caf\xe9\n", "is not UTF-8 text: invalid byte 0xe9 in line 2"),
]


@pytest.mark.parametrize(("name", "content", "message"), UNREADABLE, ids=[u[0] for u in UNREADABLE])
def test_unreadable_file(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(SpecError, match=message):
        check(tmp_path / name)


def test_a_folder_is_rejected(tmp_path):
    with pytest.raises(SpecError, match="is a folder"):
        check(tmp_path)


def test_windows_line_endings_and_a_byte_order_mark_are_accepted(tmp_path):
    text = "\ufeffnetwork Net\r\ninput image: 3x8x8\r\nflatten -> 192\r\nfc: linear(10)\r\n"
    (tmp_path / "net.net").write_bytes(text.encode())
    assert accepted(check(tmp_path / "net.net"))


def test_render_marks_every_place():
    source = Source("a.net", "one two\nthree\tfour\n")
    label = Label(Span(source, 14, 18), "second")
    shown = render(
        Diagnostic("code", "it is so", Span(source, 4, 7), labels=(label,), notes=("n",), help="h")
    )
    assert shown.splitlines() == [
        "error[code]: it is so",
        " --> a.net:1:5",
        "  |",
        "1 | one two",
        "  |     ^^^",
        "2 | three\tfour",
        "  |      \t---- second",
        "  |",
        "  = note: n",
        "  = help: h",
    ]
