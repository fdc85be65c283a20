"""Recognizes lines of Python that were pasted into a spec."""

from __future__ import annotations

import re

CALL = r"\.(\w+)"
LAYERS = {
    "conv2d": "conv(8, 3)",
    "convtranspose2d": "deconv(8, 2, stride=2)",
    "linear": "linear(10)",
    "dense": "linear(10)",
    "batchnorm2d": "batchnorm",
    "batchnorm1d": "batchnorm",
    "layernorm": "layernorm",
    "maxpool2d": "maxpool(2)",
    "max_pool2d": "maxpool(2)",
    "avgpool2d": "avgpool(2)",
    "avg_pool2d": "avgpool(2)",
    "adaptiveavgpool2d": "adaptive_avgpool(1)",
    "adaptive_avg_pool2d": "adaptive_avgpool(1)",
    "cat": "concat(a, b)",
    **{name: name for name in ("relu", "gelu", "silu", "sigmoid", "tanh", "softmax", "dropout", "flatten")},
}
"""What a spec writes for the most common modules and functions, keyed by their names in lower case."""
PACKAGES = ("self", "nn", "F", "torch", "tf", "keras", "layers", "models")
"""Names before the first dot that mark a line as Python."""
LINE = rf"""\s*(?:
      (?:import|from|class|def|return)\s+\w
    | (?:[\w, ]+=\s*)?(?:{"|".join(PACKAGES)})\.\w+
    )"""


def is_python(line: str) -> bool:
    """Return True if a line with a syntax error looks like Python."""
    return re.match(LINE, line, re.VERBOSE) is not None


def spec_of(line: str) -> str:
    """Return a help line that says what a spec writes for the first layer in a line of Python."""
    found = next((LAYERS[c.lower()] for c in re.findall(CALL, line) if c.lower() in LAYERS), None)
    general = (
        "a spec lists layers one after another, such as `conv(8, 3); relu`, and does not state input sizes"
    )
    return (
        f"a spec writes `{found}`: input sizes are inferred, and layers follow each other"
        if found
        else general
    )
