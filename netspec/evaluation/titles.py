"""The names of classes for people, where a data set names them by numbers."""

from __future__ import annotations

import re
from functools import cache

WORDNET = re.compile(r"n\d{8}")
"""A WordNet number, by which ImageNet's folders are named."""


@cache
def class_titles(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of classes; ImageNet's thousand WordNet numbers are followed by their words.

    torchvision lists the words of ILSVRC 2012 in the order of the numbers.
    """
    if len(names) != 1000 or not all(WORDNET.fullmatch(name) for name in names):
        return names
    from torchvision.models import ResNet50_Weights

    words = dict(zip(sorted(names), ResNet50_Weights.DEFAULT.meta["categories"], strict=True))
    return tuple(f"{name} {words[name]}" for name in names)
