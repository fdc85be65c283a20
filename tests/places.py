"""Where the tests and the specs lie."""

from pathlib import Path

HERE = Path(__file__).parent
SPECS = HERE.parent / "specs"
