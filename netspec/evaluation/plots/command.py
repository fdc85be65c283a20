"""`netspec plot`: which picture is asked for, and of what."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from netspec.errors import DataError, TrainError
from netspec.evaluation.plots.curves import draw_curves
from netspec.evaluation.plots.maps import draw_features, draw_filters
from netspec.evaluation.published import open_network

TROUBLE = (TrainError, DataError)
"""What can be wrong for a reason the user can mend."""


def plot(
    runs: Sequence[str],
    output: Path,
    *,
    filters: bool,
    features: Path | None,
    layer: str | None,
    ema: bool,
    weights: str | None,
) -> str:
    """Draw the curves of runs, or the filters or feature maps of one network, and say what was drawn.

    Raises:
        TrainError: there is no such run, options contradict each other, or the file cannot be written.
    """
    if filters and features:
        raise TrainError("--filters and --features are two pictures: ask for one at a time", wrong_use=True)
    if layer and not features:
        raise TrainError("--layer says what to draw of an image: name one with --features", wrong_use=True)
    if not filters and not features:
        if ema or weights:
            message = "curves are drawn of a run's log, which no weights change"
            raise TrainError(f"{message}: leave --ema and --weights out", wrong_use=True)
        draw_curves([_folder(run) for run in runs], output)
        return f"{output}: {len(runs)} run{'s' * (len(runs) != 1)}"
    if len(runs) != 1:
        raise TrainError(f"--filters and --features draw one network, not {len(runs)}", wrong_use=True)
    saved = open_network(runs[0], weights, ema=ema)
    drawn = draw_filters(saved, output) if features is None else draw_features(saved, features, layer, output)
    return f"{output}: {drawn}"


def _folder(run: str) -> Path:
    """The folder of a run, which a file in it names too."""
    path = Path(run)
    return path.parent if path.is_file() else path
