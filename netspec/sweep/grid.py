"""The grid of a sweep: every combination of the values of its settings."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from netspec.errors import TrainError

BRACKETS = {"(": ")", "[": "]", "{": "}"}
MAX_FOLDER = 100
"""Characters in the name of a folder."""


@dataclass(frozen=True)
class Point:
    """One combination: its settings as `name=value`, those of them that vary, and the seed, if any."""

    settings: tuple[str, ...]
    varying: tuple[str, ...]
    seed: int | None

    @property
    def label(self) -> str:
        """The settings that distinguish it from the others of its sweep."""
        return ", ".join(self.varying) or "default"

    @property
    def folder(self) -> str:
        """A name for its folder, different for every combination.

        >>> Point(("pool=2", "lrn=true"), ("pool=2",), 1).folder
        'pool=2,seed=1'
        """
        seed = () if self.seed is None else (f"seed={self.seed}",)
        name = ",".join((*self.varying, *seed)) or "run"
        safe = re.sub(r"[^A-Za-z0-9._=,+-]+", "_", name)
        if safe == name and len(name) <= MAX_FOLDER:
            return name
        return f"{safe[: MAX_FOLDER - 9]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def grid(settings: Sequence[str], seeds: Sequence[int | None]) -> list[Point]:
    """Every combination of the values of settings such as `name=first,second`, each with every seed.

    The last setting varies fastest, and the seed within it.

    Raises:
        TrainError: a setting has another form, or is given twice.
    """
    axes = []
    for setting in settings:
        name, equals, values = setting.partition("=")
        name = name.strip()
        if not equals or not name:
            raise TrainError(f"a setting must be NAME=VALUE,VALUE..., found {setting!r}", wrong_use=True)
        choices = [value.strip() for value in split(values)]
        if not all(choices) or len(set(choices)) < len(choices):
            message = f"the setting {setting} has an empty value, or a value twice"
            raise TrainError(f"{message}: give each value once, separated by commas", wrong_use=True)
        axes.append((name, choices))
    names = [name for name, _ in axes]
    if len(set(names)) < len(names):
        twice = next(n for n in names if names.count(n) > 1)
        message = f"{twice} is set twice"
        raise TrainError(f"{message}: give all its values in one setting, as in {twice}=1,2", wrong_use=True)
    return list(_points(axes, seeds))


def _points(axes: Sequence[tuple[str, list[str]]], seeds: Sequence[int | None]) -> Iterator[Point]:
    for values in product(*(choices for _, choices in axes)):
        settings = [f"{name}={value}" for (name, _), value in zip(axes, values, strict=True)]
        varying = [s for s, (_, choices) in zip(settings, axes, strict=True) if len(choices) > 1]
        for seed in seeds:
            yield Point(tuple(settings), tuple(varying), seed)


def split(text: str) -> list[str]:
    """Split a text at the commas outside brackets and quotes.

    >>> split('sgd(0.1, momentum=0.9), adam(1e-3)'), split('[3, 5],"a,b"')
    (['sgd(0.1, momentum=0.9)', ' adam(1e-3)'], ['[3, 5]', '"a,b"'])
    """
    parts, expected, quoted = [""], [], False
    for character in text:
        quoted ^= character == '"'
        if not quoted and character in BRACKETS:
            expected.append(BRACKETS[character])
        elif not quoted and expected and character == expected[-1]:
            expected.pop()
        if character == "," and not expected and not quoted:
            parts.append("")
        else:
            parts[-1] += character
    return parts
