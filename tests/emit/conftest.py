"""Fixtures for tests of drawings, which use Graphviz if it is installed."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def graphviz() -> None:
    """Skip a test where the program `dot` is missing."""
    if shutil.which("dot") is None:
        pytest.skip("Graphviz's program `dot` is not installed")


@pytest.fixture
def parsed(graphviz: None) -> Callable[[str], dict[str, Any]]:
    """Let Graphviz read DOT text, and give its nodes and edges as it understood them."""

    def parse(text: str) -> dict[str, Any]:
        run = subprocess.run(["dot", "-Tjson"], input=text.encode(), capture_output=True, check=True)
        assert run.stderr == b""
        return dict(json.loads(run.stdout))

    return parse
