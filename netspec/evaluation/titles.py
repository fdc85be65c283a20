"""Readable class names for data sets that name their classes by numbers."""

from __future__ import annotations

import re
from functools import cache

WORDNET = re.compile(r"n\d{8}")
"""A WordNet number, as in the names of ImageNet's folders."""


@cache
def class_titles(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of classes; if they are ImageNet's WordNet numbers, each is followed by its words.

    torchvision lists the words of ILSVRC 2012 in the order of the numbers.
    """
    if len(names) != 1000 or not all(WORDNET.fullmatch(name) for name in names):
        return names
    from torchvision.models import ResNet50_Weights

    words = dict(zip(sorted(names), ResNet50_Weights.DEFAULT.meta["categories"], strict=True))
    return tuple(f"{name} {words[name]}" for name in names)
