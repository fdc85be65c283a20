"""A syntax tree is checked whoever made it: by a frontend for a file's ending, or by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from netspec.checker import check_file, check_source, check_tree
from netspec.diagnostics import Diagnostic, Source, Span
from netspec.frontends import FRONTENDS, frontend_for
from netspec.language import ast as t
from netspec.language.parser import parse
from netspec.memory import recipe_of

SPEC = "network Net\ninput image: 3x8x8\nconv(4, 3)\nflatten; linear(10)\ntrain { batch: 7 }\n"


def test_a_tree_gives_what_its_text_gives():
    source = Source("net.net", SPEC)
    tree, syntax = parse(source)
    assert check_tree(tree, {}, syntax=syntax) == check_source(source, {})


def test_a_tree_made_by_hand_is_checked():
    source = Source("layers.txt", "Net image relu tanh")
    at = [Span(source, *place) for place in ((0, 3), (4, 9), (10, 14), (15, 19))]
    size = t.Size(at[1], tuple(t.Literal(at[1], n, str(n)) for n in (3, 8, 8)))
    statements = (
        t.Network(at[0], "Net", (), None),
        t.Input(at[1], "image", size),
        *(t.Layer(s, None, t.Apply(s, s.text, ()), (), None) for s in at[2:]),
    )
    whole = Span(source, 0, len(source.text))
    net = check_tree(t.File(whole, t.Body(whole, statements), ()), {}).require()
    assert [n.name for n in net.nodes] == ["image", "relu", "tanh"]
    assert net.nodes[2].span.text == "tanh"


def test_what_a_frontend_reports_is_in_the_report():
    source = Source("net.net", SPEC)
    fault = Diagnostic("syntax", "this is not so", Span(source, 0, 7))
    report = check_tree(parse(source)[0], {}, syntax=[fault])
    assert not report.ok
    assert report.diagnostics == (fault,)


def test_a_frontend_reads_the_files_of_its_ending(tmp_path, monkeypatch):
    monkeypatch.setattr(FRONTENDS, "_members", dict(FRONTENDS))
    FRONTENDS.add(".upper", lambda source: parse(Source(source.path, source.text.lower())))
    (tmp_path / "net.upper").write_text("NETWORK net\nINPUT image: 3X8X8\nRELU\n")
    assert check_file(tmp_path / "net.upper").ok
    assert frontend_for("net.UPPER") is FRONTENDS[".upper"]
    assert frontend_for("<stdin>") is FRONTENDS[".net"]


def test_the_recipe_is_parsed_once(monkeypatch):
    report = check_source(Source("net.net", SPEC), Path())
    assert report.recipe is report.require().training
    assert recipe_of(report.require()) is report.recipe
    assert report.recipe.batch == 7


@pytest.mark.parametrize("text", ["network Net\ninput image: 3x8x8\nrelv\n", "network Net\n"])
def test_a_faulty_spec_has_no_recipe(text):
    assert check_source(Source("net.net", text), {}).recipe is None
