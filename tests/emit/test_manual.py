"""docs/ops.md is what the classes say."""

from __future__ import annotations

from places import HERE

from netspec.emit.manual import manual
from netspec.ops import OPS


def test_ops_are_documented():
    assert (HERE.parent / "docs" / "ops.md").read_text("utf-8") == manual(), "`make ops` writes it anew"


def test_every_op_is_in_the_manual():
    text = manual()
    assert all(f"### `{name}(" in text for name in OPS if name != "input")
