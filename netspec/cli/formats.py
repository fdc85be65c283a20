"""The output formats of `eval`, `predict` and `sweep`: functions that return text, keyed by format name."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from netspec.evaluation.evaluation import Evaluation
    from netspec.evaluation.metrics import Score
    from netspec.evaluation.prediction import Prediction
    from netspec.sweep import Row


# eval


def evaluation_table(evaluation: Evaluation, per_class: bool, confusions: bool) -> str:
    """Return aligned tables of the models and, on request, of the classes and the worst confusions."""
    from netspec.evaluation.metrics import has_top5
    from netspec.tables import align

    images = f"{evaluation.score.images:,} images ({evaluation.subset})"
    rows = [_score_row(str(m.path), m.weights, m.score) for m in evaluation.models]
    if evaluation.ensemble:
        rows.append(_score_row(f"ensemble of {len(rows)}", "mean of probabilities", evaluation.ensemble))
    head = ["network", "weights", "loss", "top-1 accuracy", "top-1 error", "top-5 accuracy", "top-5 error"]
    if not has_top5(len(evaluation.class_names)):
        head, rows = head[:-2], [row[:-2] for row in rows]
    parts = [f"{evaluation.data}: {images}, {evaluation.view}", align(head, rows, words=2)]
    if per_class:
        parts.append(_class_table(evaluation))
    if confusions:
        parts.append(_confusion_table(evaluation))
    return "\n\n".join(parts)


def evaluation_json(evaluation: Evaluation, per_class: bool, confusions: bool) -> str:
    """Return the results as JSON; errors are fractions from 0 to 1."""
    names = evaluation.class_names
    content: dict[str, Any] = {
        "data": evaluation.data,
        "crops": evaluation.crops,
        "networks": [
            {"network": str(m.path), "weights": m.weights, **_score_dict(m.score)} for m in evaluation.models
        ],
    }
    if evaluation.ensemble:
        content["ensemble"] = _score_dict(evaluation.ensemble)
    if per_class:
        content["classes"] = [
            asdict(c)
            | {
                "label": names[c.label],
                "confused_with": None if c.confused_with is None else names[c.confused_with],
            }
            for c in evaluation.per_class
        ]
    if confusions:
        content["confusions"] = [
            asdict(c) | {"true": names[c.true], "predicted": names[c.predicted]}
            for c in evaluation.worst_confusions()
        ]
    return json.dumps(content, indent=2)


def _score_dict(score: Score) -> dict[str, object]:
    accuracies = {"top1_accuracy": 1 - score.top1_error, "top5_accuracy": 1 - score.top5_error}
    return asdict(score) | accuracies


def _score_row(name: str, weights: str, score: Score) -> list[str]:
    from netspec.tables import percent

    errors = (score.top1_error, score.top5_error)
    return [name, weights, f"{score.loss:.4f}", *(percent(s) for e in errors for s in (1 - e, e))]


def _class_table(evaluation: Evaluation) -> str:
    from netspec.datasets.info import class_titles
    from netspec.evaluation.metrics import has_top5
    from netspec.tables import align, percent

    names = class_titles(evaluation.class_names)
    rows = [
        [
            names[c.label],
            "" if c.confused_with is None else f"{names[c.confused_with]} ({c.times:,})",
            f"{c.images:,}",
            percent(c.top1_error),
            percent(c.top5_error),
        ]
        for c in evaluation.per_class
    ]
    head = ["class", "most confused with", "images", "top-1 error", "top-5 error"]
    shown = len(head) if has_top5(len(names)) else len(head) - 1
    return align(head[:shown], [row[:shown] for row in rows], words=2)


def _confusion_table(evaluation: Evaluation) -> str:
    from netspec.datasets.info import class_titles
    from netspec.tables import align, percent

    names = class_titles(evaluation.class_names)
    rows = [
        [names[c.true], names[c.predicted], f"{c.count:,}", percent(c.share)]
        for c in evaluation.worst_confusions()
    ]
    if not rows:
        return "every image is classified correctly"
    return align(["class", "predicted as", "images", "of its images"], rows, words=2)


EVALUATION_FORMATS: Mapping[str, Callable[[Evaluation, bool, bool], str]] = {
    "table": evaluation_table,
    "json": evaluation_json,
}


# predict


def predictions_table(predictions: Sequence[Prediction]) -> str:
    """Return an aligned table with a row for each image and class."""
    from netspec.tables import align, percent

    rows = [
        ["" if rank else str(p.path), name, percent(probability)]
        for p in predictions
        for rank, (name, probability) in enumerate(p.classes)
    ]
    return align(["image", "class", "probability"], rows, words=2) if rows else ""


def predictions_json(predictions: Sequence[Prediction]) -> str:
    """Return a JSON list with an object for each image; unreadable images have `error`, not `classes`."""
    content = [
        {"image": str(p.path), "error": p.error}
        if p.error
        else {"image": str(p.path), "classes": [{"class": n, "probability": v} for n, v in p.classes]}
        for p in predictions
    ]
    return json.dumps(content, indent=2)


def predictions_csv(predictions: Sequence[Prediction]) -> str:
    """Return CSV with a row for each image and class."""
    from netspec.tables import comma_separated

    rows = [
        [str(p.path), rank, name, f"{probability:.6g}"]
        for p in predictions
        for rank, (name, probability) in enumerate(p.classes, 1)
    ]
    return comma_separated(["image", "rank", "class", "probability"], rows)


PREDICTION_FORMATS: Mapping[str, Callable[[Sequence[Prediction]], str]] = {
    "table": predictions_table,
    "json": predictions_json,
    "csv": predictions_csv,
}


# sweep


def sweep_table(rows: Sequence[Row]) -> str:
    """Return an aligned table of means, with standard deviations over seeds."""
    from statistics import mean

    from netspec.tables import align
    from netspec.training.console import duration

    lines = []
    for row in rows:
        count = f"{len(row.results)}" + (f", {row.failed} failed" if row.failed else "")
        if not row.results:
            lines.append([row.label, count, "", "", "", ""])
            continue
        errors = [_mean_percent([getattr(r, name) for r in row.results]) for name in ("final", "best")]
        seconds = duration(mean(r.seconds for r in row.results))
        lines.append([row.label, count, f"{row.results[0].params:,}", *errors, seconds])
    head = ["settings", "runs", "parameters", "final top-1 error", "best top-1 error", "time"]
    return align(head, lines)


def sweep_json(rows: Sequence[Row]) -> str:
    """Return the result of every run as JSON; errors are fractions from 0 to 1."""
    content = [
        {
            "settings": dict(s.split("=", 1) for s in row.settings),
            "parameters": row.results[0].params if row.results else None,
            "failed": row.failed,
            "final_top1_error": _mean_dict([r.final for r in row.results]),
            "best_top1_error": _mean_dict([r.best for r in row.results]),
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
        for row in rows
    ]
    return json.dumps(content, indent=2)


def sweep_csv(rows: Sequence[Row]) -> str:
    """Return CSV with a row for each finished run."""
    from netspec.tables import comma_separated

    names = [s.partition("=")[0] for s in rows[0].settings]
    lines = [
        [
            *(s.partition("=")[2] for s in row.settings),
            *(r.point.seed, r.params, r.final, r.best, round(r.seconds, 3), r.point.folder),
        ]
        for row in rows
        for r in row.results
    ]
    head = ["seed", "parameters", "final_top1_error", "best_top1_error", "seconds", "folder"]
    return comma_separated([*names, *head], lines)


def _mean_and_deviation(values: Sequence[float]) -> tuple[float, float | None]:
    """Return the mean and the sample standard deviation, which is None for a single value."""
    from statistics import mean, stdev

    return mean(values), stdev(values) if len(values) > 1 else None


def _mean_percent(values: Sequence[float]) -> str:
    mean, deviation = _mean_and_deviation([100 * v for v in values])
    return f"{mean:.2f} %" if deviation is None else f"{mean:.2f} ± {deviation:.2f} %"


def _mean_dict(values: Sequence[float]) -> dict[str, float | None] | None:
    return dict(zip(("mean", "deviation"), _mean_and_deviation(values), strict=True)) if values else None


SWEEP_FORMATS: Mapping[str, Callable[[Sequence[Row]], str]] = {
    "table": sweep_table,
    "json": sweep_json,
    "csv": sweep_csv,
}
