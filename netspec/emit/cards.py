"""Cards of the zoo to text: a list in each format, or one card in full."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence

from netspec.emit.table import human
from netspec.language.values import spell
from netspec.zoo import MACS, Card, Evaluation, Result

COLUMNS = ("name", "params", "MACs", "top-1", "input", "paper")
NUMBERS = ("params", "MACs", "top-1")


def listing(cards: Sequence[Card], form: str) -> str:
    """Cards as a list: `table` and `markdown` for people, `json` and `csv` for machines."""
    match form:
        case "json":
            return json.dumps([c.model_dump(mode="json") for c in cards], indent=2, ensure_ascii=False)
        case "csv":
            return comma_separated(cards)
        case "markdown":
            return markdown(cards)
    return text(cards)


def cells(card: Card) -> list[str]:
    """The texts of one row."""
    published = card.published
    counts = [f"{published.params:,}", human(published.macs), "" if card.top1 is None else f"{card.top1:.3f}"]
    return [card.name, *counts, times(published.input), card.paper.short]


def text(cards: Sequence[Card]) -> str:
    """A table aligned for a terminal."""
    body = [cells(c) for c in cards]
    widths = [max(len(r[k]) for r in [list(COLUMNS), *body]) for k in range(len(COLUMNS))]

    def line(texts: Sequence[str]) -> str:
        columns = zip(COLUMNS, texts, widths, strict=True)
        return "  ".join(t.rjust(w) if c in NUMBERS else t.ljust(w) for c, t, w in columns).rstrip()

    rule = "  ".join("-" * w for w in widths)
    return "\n".join([line(COLUMNS), rule, *map(line, body), "", *notes(cards)])


def markdown(cards: Sequence[Card]) -> str:
    """A table in Markdown."""
    rule = ["---:" if c in NUMBERS else "---" for c in COLUMNS]
    lines = ["| " + " | ".join(r) + " |" for r in [COLUMNS, rule, *map(cells, cards)]]
    return "\n".join([*lines, "", *notes(cards)])


def comma_separated(cards: Sequence[Card]) -> str:
    """A row for each card with plain numbers."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["name", "family", "params", "macs", "top1", "input", "year", "authors", "title"])
    for c in cards:
        figures = [c.published.params, c.published.macs, "" if c.top1 is None else c.top1]
        about = [c.paper.year, c.paper.authors, c.paper.title]
        writer.writerow([c.name, c.family, *figures, times(c.published.input), *about])
    return out.getvalue().rstrip("\n")


def notes(cards: Sequence[Card]) -> list[str]:
    """What the columns mean."""
    networks = f"{len(cards)} network{'s' * (len(cards) != 1)}"
    return [
        f"{networks}; a MAC is {MACS}; top-1 in per cent on ImageNet-1K, of the best published weights, "
        "some of them at a larger input"
    ]


def as_json(card: Card) -> str:
    """One card for machines, with the fields of its file."""
    return json.dumps(card.model_dump(mode="json"), indent=2, ensure_ascii=False)


def full(card: Card) -> str:
    """One card for people, each of its weights with how it wants its images."""
    settings = ", ".join(f"{k}={spell(v)}" for k, v in card.arguments.items())
    published = card.published
    facts = [
        ("paper", f"{card.paper.short}: {card.paper.title}"),
        ("", card.paper.url),
        ("spec", f"specs/{card.spec}.net" + (f" with {settings}" if settings else "")),
        (
            "figures",
            f"{published.params:,} parameters, {human(published.macs)} MACs at {times(published.input)}",
        ),
        ("builder", f"torchvision.models.{card.torchvision}" if card.torchvision else ""),
        ("card", f"zoo/{card.name}.yaml"),
    ]
    return "\n\n".join(["\n".join([card.name, *rows(facts)]), *map(result, card.results)])


def result(r: Result) -> str:
    """Accuracies and weights in a paragraph."""
    accuracies = [f"{v:.3f} % top-{k}" for k, v in ((1, r.top1), (5, r.top5)) if v is not None]
    facts = [
        ("accuracy", f"{' and '.join(accuracies)} on {r.evaluation.data}" if accuracies else ""),
        ("images", images(r.evaluation)),
        ("origin", r.origin),
        ("licence", r.license or ""),
        ("recipe", r.recipe or ""),
        ("file", r.url or ""),
    ]
    return "\n".join([r.weights or "published result", *rows(facts)])


def images(e: Evaluation) -> str:
    """How images are prepared, in one line."""
    parts = [f"short side to {e.resize}, {e.interpolation}", f"{e.crops} of {e.crop}x{e.crop}"]
    scale = [f"{n} {' '.join(f'{v:.4g}' for v in vs)}" for n, vs in (("mean", e.mean), ("std", e.std)) if vs]
    return "; ".join([*parts, ", ".join(scale) or "mean and std not published"])


def rows(facts: Sequence[tuple[str, str]]) -> list[str]:
    """Facts below one another; those without text are left out."""
    return [f"  {name:<8}  {text}" for name, text in facts if text]


def times(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))
