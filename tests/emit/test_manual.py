"""docs/ops.md is what the classes say."""

from __future__ import annotations

import pytest
from places import HERE

from netspec.checker import check_source
from netspec.diagnostics import Source
from netspec.emit.manual import ops_manual
from netspec.emit.manual.ops import argument_text, example
from netspec.ops import OPS


def test_ops_are_documented():
    assert (HERE.parent / "docs" / "ops.md").read_text("utf-8") == ops_manual(), "`make docs` writes it anew"


def test_every_op_is_in_the_ops_manual():
    text = ops_manual()
    assert all(f"### `{name}(" in text for name in OPS)


@pytest.mark.parametrize("keyword", OPS)
def test_the_example_runs_and_shows_the_op(keyword):
    """Its claims hold, and it has at least one, so that a reader sees the shape."""
    text = example(OPS[keyword])
    report = check_source(Source("example.net", f"network Example\n{text}"), {})
    assert report.diagnostics == ()
    assert any(n.op.keyword == keyword for n in report.require().nodes)
    assert " -> " in text


@pytest.mark.parametrize("keyword", OPS)
def test_every_argument_is_documented(keyword):
    for name in OPS[keyword].model_fields:
        text = argument_text(OPS[keyword], name)
        assert text[0].isupper() or text[0] == "`", text
        assert text.endswith("."), text
