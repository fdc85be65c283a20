"""Paths of the tests and the specs."""

from pathlib import Path

HERE = Path(__file__).parent
SPECS = HERE.parent / "specs"
