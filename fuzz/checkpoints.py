"""Damaged checkpoints, which are evaluated, used for predictions, plotted and resumed."""

from __future__ import annotations

import functools
import io
import math
import random
import shutil
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fuzz.damage import damage

RUN = Path(__file__).parent.parent / "tests" / "golden" / "checkpoint"
"""A run on scikit-learn's digits with averaged weights, stopped after one of two epochs."""


@functools.cache
def _original() -> bytes:
    return (RUN / "checkpoint.pt").read_bytes()


IMPORTS = ("netspec.training", "netspec.evaluation.plots", "sklearn.datasets")
"""The modules that take a long time to import."""


def make(draw: random.Random) -> bytes:
    """Return a checkpoint with changed entries or changed bytes."""
    import torch

    if draw.random() < 0.2:
        return damage(draw, _original())
    content = torch.load(io.BytesIO(_original()), weights_only=True)
    for _ in range(draw.choice([1, 1, 1, 2, 4])):
        _change(draw, content)
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save(content, out)
    return out.getvalue()


def _change(draw: random.Random, content: dict[Any, Any]) -> None:
    """Change one entry at any depth."""
    place: Any = content
    while True:
        key = draw.choice(list(place) if isinstance(place, dict) else list(range(len(place))))
        inner = place[key]
        nested = isinstance(inner, dict | list) and len(inner) > 0
        if not nested or draw.random() < 0.25:
            break
        place = inner
    match draw.randrange(5):
        case 0:
            del place[key]
        case 1 if isinstance(place, dict):
            place[draw.choice(["", "x", "\x1b[31m", "a" * 3000, 7, -1, None])] = place.pop(key)
        case 2:
            other = content[draw.choice(list(content))] if content else None
            place[key] = other
        case _:
            place[key] = _other(draw, inner)


def _other(draw: random.Random, value: object) -> object:
    """Return a value of the same or another kind."""
    import torch

    if isinstance(value, torch.Tensor) and draw.random() < 0.8:
        return draw.choice(TENSORS)(value)
    if isinstance(value, str) and value and draw.random() < 0.5:
        place = draw.randrange(len(value))
        new = draw.choice(["", "\n", "9" * 30, "(", "\x1b", "\u202e", "é"])
        return value[:place] + new + value[place + 1 :]
    return draw.choice(PLAIN)


TENSORS: list[Callable[[Any], Any]] = [
    lambda t: t.flatten()[:1],
    lambda t: t.flatten(),
    lambda t: t.double(),
    lambda t: t.half(),
    lambda t: t.long(),
    lambda t: t.bool(),
    lambda t: t * 1j,
    lambda t: t.to_sparse(),
    lambda t: t.to("meta"),
    lambda t: t * math.nan,
    lambda t: t * math.inf,
    lambda t: -t.abs() - 1e30,
    lambda t: t.new_zeros(1).as_strided(t.shape, [0] * t.dim()),
    lambda t: t.new_zeros(1).as_strided([10**6, 10**6], [0, 0]),
    lambda t: t.new_zeros(0),
    lambda t: t.new_zeros(3, 70, 70),
    lambda t: t.T if t.dim() == 2 else t.unsqueeze(0),
]


def _deep() -> list[Any]:
    value: list[Any] = []
    for _ in range(400):
        value = [value]
    return value


PLAIN: list[object] = [
    None, True, False, 0, -1, 1, 2, 7, 10**6, 10**18, 10**40, -(10**40),
    0.0, -0.0, 0.5, 1e-320, 1e300, math.nan, math.inf, -math.inf,
    "", "x", "auto", "digits", "synthetic", "\x1b]0;x\x07", "a" * 10**5, "\ud800", b"x",
    (), (1,), (1, 2, 3), [], [1], [None], {}, {"x": 1}, {1: {}}, _deep(),
]  # fmt: skip


def run(content: bytes) -> None:
    """Open a checkpoint with every command; each may reject it with a `NetspecError`."""
    from PIL import Image

    from netspec.errors import NetspecError
    from netspec.evaluation import Run, evaluate, predict
    from netspec.training import Callback, resume

    class StopAtOnce(Callback):
        def on_start(self, state: Any) -> None:
            state.stop()

    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        shutil.copy(RUN / "log.jsonl", place)
        (place / "checkpoint.pt").write_bytes(content)
        Image.new("L", (8, 8), 90).save(place / "a.png")
        for use in (
            lambda: predict(place, [place / "a.png"], device="cpu"),
            lambda: predict(place, [place / "a.png"], device="cpu", ema=True),
            lambda: evaluate(place, device="cpu"),
            lambda: Run.open(place).plot(place / "curves.svg"),
            lambda: resume(place, device="cpu", workers=0, callbacks=[StopAtOnce()]),
        ):
            try:
                use()
            except NetspecError as error:
                text = str(error)
                assert text
                assert len(text) < 1000, f"a message of {len(text)} characters"
