"""What `netspec sweep` prints: a row for each combination, over its seeds."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

from netspec.checker import Report
from netspec.emit.reports import show_diagnostics
from netspec.errors import TrainError
from netspec.sweep.grid import Point, grid
from netspec.sweep.runs import Interrupted, Result, run_all
from netspec.tables import align
from netspec.training.progress import duration

TROUBLE = (TrainError,)
"""What can be wrong for a reason the user can mend."""
RECIPE = "train."
"""How settings begin that change the recipe, and not a parameter of the network."""


@dataclass(frozen=True)
class Row:
    """One combination and the results of its runs, one for each seed, those that failed left out."""

    settings: tuple[str, ...]
    label: str
    results: tuple[Result, ...]
    failed: int


def sweep(
    spec: str,
    options: Sequence[str],
    *,
    settings: Sequence[str],
    seeds: int | None,
    seed: int | None,
    out: Path | None,
    form: str,
    check: Callable[[Sequence[str]], Report],
    say: Callable[[str], object],
    warn: Callable[[str], object],
) -> int:
    """Train every combination, show the table, and give the exit status: 1 where a run failed.

    `check` checks the spec with settings; `say` hears the table, `warn` how the runs go.

    Raises:
        TrainError: settings are not of the form of a grid, or a folder cannot be used.
    """
    first = seed or 0
    chosen = [seed] if seeds is None else list(range(first, first + seeds))
    points = grid(settings, chosen)

    def checked(point: Point) -> Report:
        return check([s for s in point.settings if not s.startswith(RECIPE)])

    for point in points:
        if (report := checked(point)).status == 2:
            show_diagnostics(report)
            return 2
    folder = out or Path("runs") / f"{Path(spec).stem}-sweep"
    try:
        results = run_all(spec, points, options, folder, checked, warn)
    except Interrupted as interrupt:
        warn(f"interrupted: the same command goes on where {folder} ends")
        return 128 + interrupt.signal
    say(FORMS[form](rows(results)))
    return 1 if any(r.fault for r in results) else 0


def rows(results: Sequence[Result]) -> list[Row]:
    """The results, put together over seeds, in the order of the grid."""
    together: dict[tuple[str, ...], list[Result]] = {}
    for result in results:
        together.setdefault(result.point.settings, []).append(result)
    return [
        Row(settings, own[0].point.label, tuple(good), len(own) - len(good))
        for settings, own in together.items()
        for good in [[r for r in own if not r.fault]]
    ]


def spread(values: Sequence[float]) -> tuple[float, float | None]:
    """The mean and the deviation of a sample, none of a single value."""
    return mean(values), stdev(values) if len(values) > 1 else None


def as_text(table: Sequence[Row]) -> str:
    """A table for people: means, with deviations over seeds."""
    lines = []
    for row in table:
        count = f"{len(row.results)}" + (f", {row.failed} failed" if row.failed else "")
        if not row.results:
            lines.append([row.label, count, "", "", "", ""])
            continue
        errors = [_percents([getattr(r, name) for r in row.results]) for name in ("final", "best")]
        time = duration(mean(r.seconds for r in row.results))
        lines.append([row.label, count, f"{row.results[0].params:,}", *errors, time])
    head = ["settings", "runs", "parameters", "final top-1 error", "best top-1 error", "time"]
    return align(head, lines)


def _percents(values: Sequence[float]) -> str:
    middle, deviation = spread([100 * v for v in values])
    return f"{middle:.2f} %" if deviation is None else f"{middle:.2f} ± {deviation:.2f} %"


def as_json(table: Sequence[Row]) -> str:
    """Everything, run by run; errors are shares from 0 to 1."""
    content = [
        {
            "settings": dict(s.split("=", 1) for s in row.settings),
            "parameters": row.results[0].params if row.results else None,
            "failed": row.failed,
            "final_top1_error": _figures([r.final for r in row.results]),
            "best_top1_error": _figures([r.best for r in row.results]),
            "runs": [
                {
                    "folder": r.point.folder,
                    "seed": r.point.seed,
                    "final_top1_error": r.final,
                    "best_top1_error": r.best,
                    "seconds": r.seconds,
                }
                for r in row.results
            ],
        }
        for row in table
    ]
    return json.dumps(content, indent=2)


def _figures(values: Sequence[float]) -> dict[str, float | None] | None:
    return dict(zip(("mean", "deviation"), spread(values), strict=True)) if values else None


def as_csv(table: Sequence[Row]) -> str:
    """A row for each run that was finished."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [s.partition("=")[0] for s in table[0].settings]
    writer.writerow(
        [*names, "seed", "parameters", "final_top1_error", "best_top1_error", "seconds", "folder"]
    )
    for row in table:
        values = [s.partition("=")[2] for s in row.settings]
        for r in row.results:
            figures = [r.params, r.final, r.best, round(r.seconds, 3)]
            writer.writerow([*values, r.point.seed, *figures, r.point.folder])
    return text.getvalue().rstrip("\n")


FORMS: Mapping[str, Callable[[Sequence[Row]], str]] = {"table": as_text, "json": as_json, "csv": as_csv}
