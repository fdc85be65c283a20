"""The style of drawings; colour-blind readers can distinguish the colours of the kinds of layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from netspec.ops.base import Kind

Direction = Literal["TB", "LR", "BT", "RL"]
Attributes = Mapping[str, str | int | float]

PALETTE: Mapping[Kind, tuple[str, str]] = {
    "input": ("#ffffff", "#333333"),
    "conv": ("#c6dbef", "#3b6ea5"),
    "pool": ("#b8e2d4", "#2a8a6c"),
    "norm": ("#f5ecbf", "#9a8420"),
    "activation": ("#fbd3dc", "#b0556f"),
    "dense": ("#fbcfb5", "#b5592b"),
    "attention": ("#c5d4c0", "#4c6b45"),
    "dropout": ("#eeeeee", "#888888"),
    "merge": ("#e2e8a4", "#7b851c"),
    "reshape": ("#e8e8e8", "#777777"),
    "tensor": ("#ded3ec", "#74559e"),
}
"""Fill and outline colours: Paul Tol's light scheme (Colour Schemes, SRON 2021), paler to carry text."""

FOLDED = ("#dfe4ea", "#5a6672")
GROUNDS = ("#f8f8f8", "#f0f0f0", "#e8e8e8")
"""Background colours of groups, by nesting level."""

FONT, INK, FAINT = "Helvetica,Arial,sans-serif", "#1a1a1a", "#4d4d4d"
TITLE, BODY, SMALL = 12, 10, 9

GRAPH: Attributes = {
    "fontname": FONT,
    "fontcolor": INK,
    "fontsize": 16,
    "labelloc": "t",
    "nodesep": 0.3,
    "ranksep": 0.22,
    "pad": 0.25,
    "outputorder": "edgesfirst",
}
NODE: Attributes = {
    "fontname": FONT,
    "fontcolor": INK,
    "fontsize": BODY,
    "shape": "box",
    "style": "rounded,filled",
    "penwidth": 1.1,
    "margin": "0.14,0.07",
    "width": 2.1,
    "height": 0.35,
}
EDGE: Attributes = {
    "fontname": FONT,
    "fontcolor": FAINT,
    "fontsize": SMALL,
    "color": "#555555",
    "arrowsize": 0.6,
}

JOIN: Attributes = {"shape": "ellipse", "style": "filled", "margin": "0.03,0.02", "width": 0.3, "height": 0.3}
TENSOR: Attributes = {"margin": "0.13,0.05", "width": 0.5, "height": 0.25}
TERMINAL: Attributes = {"width": 0.9, "height": 0.3, "penwidth": 1.6}


def colours(pair: tuple[str, str]) -> Attributes:
    fill, line = pair
    return {"fillcolor": fill, "color": line}
