"""The grid of a sweep: every combination of the values that settings are given."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from netspec.errors import TrainError

CLOSING = {"(": ")", "[": "]", "{": "}"}
LONGEST = 100
"""Characters of a folder's name."""


@dataclass(frozen=True)
class Point:
    """One combination: `name=value` texts as `--set` takes them, those that vary, and the seed if any."""

    settings: tuple[str, ...]
    varying: tuple[str, ...]
    seed: int | None

    @property
    def label(self) -> str:
        """What sets it apart from the others of its sweep."""
        return ", ".join(self.varying) or "as it is"

    @property
    def folder(self) -> str:
        """A name for its folder, unlike that of every other combination.

        >>> Point(("pool=2", "lrn=true"), ("pool=2",), 1).folder
        'pool=2,seed=1'
        """
        seed = () if self.seed is None else (f"seed={self.seed}",)
        name = ",".join((*self.varying, *seed)) or "run"
        plain = re.sub(r"[^A-Za-z0-9._=,+-]+", "_", name)
        if plain == name and len(name) <= LONGEST:
            return name
        return f"{plain[: LONGEST - 9]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def grid(settings: Sequence[str], seeds: Sequence[int | None]) -> list[Point]:
    """Every combination of the values of `name=first,second` settings, each with every seed.

    The last setting changes fastest, and seeds within it.

    Raises:
        TrainError: a setting is not of that form, or is given twice.
    """
    axes = []
    for setting in settings:
        name, equals, values = setting.partition("=")
        name = name.strip()
        if not equals or not name:
            raise TrainError(f"--set takes NAME=VALUE,VALUE..., not {setting!r}", wrong_use=True)
        choices = [value.strip() for value in split(values)]
        if not all(choices) or len(set(choices)) < len(choices):
            message = f"--set {setting} has an empty value, or one twice"
            raise TrainError(f"{message}: name each value once, with commas between", wrong_use=True)
        axes.append((name, choices))
    names = [name for name, _ in axes]
    if len(set(names)) < len(names):
        twice = next(n for n in names if names.count(n) > 1)
        message = f"{twice} is set twice: give its values in one --set, as in --set {twice}=1,2"
        raise TrainError(message, wrong_use=True)
    return list(_points(axes, seeds))


def _points(axes: Sequence[tuple[str, list[str]]], seeds: Sequence[int | None]) -> Iterator[Point]:
    for values in product(*(choices for _, choices in axes)):
        chosen = [f"{name}={value}" for (name, _), value in zip(axes, values, strict=True)]
        varying = [c for c, (_, choices) in zip(chosen, axes, strict=True) if len(choices) > 1]
        for seed in seeds:
            yield Point(tuple(chosen), tuple(varying), seed)


def split(text: str) -> list[str]:
    """The parts between commas that stand outside brackets and quotes.

    >>> split('sgd(0.1, momentum=0.9), adam(1e-3)'), split('[3, 5],"a,b"')
    (['sgd(0.1, momentum=0.9)', ' adam(1e-3)'], ['[3, 5]', '"a,b"'])
    """
    parts, waiting, quoted = [""], [], False
    for character in text:
        quoted ^= character == '"'
        if not quoted and character in CLOSING:
            waiting.append(CLOSING[character])
        elif not quoted and waiting and character == waiting[-1]:
            waiting.pop()
        if character == "," and not waiting and not quoted:
            parts.append("")
        else:
            parts[-1] += character
    return parts
