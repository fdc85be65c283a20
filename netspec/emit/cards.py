"""Formats zoo cards: a list of cards in several formats, or one card in full."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence

from netspec.emit.summary import human
from netspec.language.values import spell
from netspec.tables import align, comma_separated, markdown
from netspec.zoo import MACS, Card, Evaluation, Result

COLUMNS = ("name", "paper", "input", "depth", "params", "MACs", "top-1")
FIRST_NUMBER = 3


def cells(card: Card) -> list[str]:
    """Return the text of each cell in a card's row."""
    published = card.published
    accuracy = "" if card.top1 is None else f"{card.top1:.3f}"
    about = [card.name, card.paper.short, times(published.input)]
    return [*about, str(card.depth), f"{published.params:,}", human(published.macs), accuracy]


def table_list(cards: Sequence[Card]) -> str:
    """Return cards as a table aligned for a terminal, with a note on its columns."""
    return align(COLUMNS, map(cells, cards), words=FIRST_NUMBER) + "\n\n" + note(cards)


def markdown_list(cards: Sequence[Card]) -> str:
    """Return cards as a Markdown table, with a note on its columns."""
    return markdown(COLUMNS, map(cells, cards), words=FIRST_NUMBER) + "\n\n" + note(cards)


def csv_list(cards: Sequence[Card]) -> str:
    """Return cards as CSV, one row for each card, with plain numbers."""
    head = ["name", "family", "depth", "params", "macs", "top1", "input", "year", "authors", "title"]
    return comma_separated(head, [csv_cells(c) for c in cards])


def csv_cells(card: Card) -> list[object]:
    """Return the values of a card's CSV row."""
    paper, published = card.paper, card.published
    figures = [published.params, published.macs, "" if card.top1 is None else card.top1]
    return [
        card.name,
        card.family,
        card.depth,
        *figures,
        times(published.input),
        paper.year,
        paper.authors,
        paper.title,
    ]


def json_list(cards: Sequence[Card]) -> str:
    """Return cards as a JSON list of objects, with the fields of the cards' files."""
    return json.dumps([c.model_dump(mode="json") for c in cards], indent=2, ensure_ascii=False)


LISTINGS: Mapping[str, Callable[[Sequence[Card]], str]] = {
    "table": table_list,
    "json": json_list,
    "csv": csv_list,
    "markdown": markdown_list,
}
"""The formats of `netspec zoo list`."""


def note(cards: Sequence[Card]) -> str:
    """Return the note below a list: the number of networks and the units of the columns."""
    networks = f"{len(cards)} network{'s' * (len(cards) != 1)}"
    accuracy = (
        "top-1 is the accuracy of the best published weights on ImageNet-1K in %, some of it on larger images"
    )
    return f"{networks}; a MAC is {MACS}; {accuracy}"


def card_text(card: Card) -> str:
    """Return a card for a terminal: its paper, its counts, and its weights with their preprocessing."""
    settings = ", ".join(f"{k}={spell(v)}" for k, v in card.arguments.items())
    published = card.published
    counts = f"{published.params:,} parameters, {human(published.macs)} MACs at {times(published.input)}"
    facts = [
        ("paper", f"{card.paper.short}: {card.paper.title}"),
        ("", card.paper.url),
        ("spec", f"specs/{card.spec}.net" + (f" with {settings}" if settings else "")),
        ("figures", f"{counts} ({published.source})"),
        ("paper says", card.paper.figures or ""),
        ("builder", f"torchvision.models.{card.torchvision}" if card.torchvision else ""),
        ("card", f"zoo/{card.name}.yaml"),
    ]
    return "\n\n".join(["\n".join([card.name, *listed(facts)]), *map(result, card.results)])


def card_json(card: Card) -> str:
    """Return a card as a JSON object with the fields of its file."""
    return json.dumps(card.model_dump(mode="json"), indent=2, ensure_ascii=False)


CARD_FORMATS: Mapping[str, Callable[[Card], str]] = {"text": card_text, "json": card_json}
"""The formats of `netspec zoo show`."""


def result(r: Result) -> str:
    """Return one published result as a paragraph: its weights, accuracies and preprocessing."""
    accuracies = [f"{v:.3f} % top-{k}" for k, v in ((1, r.top1), (5, r.top5)) if v is not None]
    facts = [
        ("accuracy", f"{' and '.join(accuracies)} on {r.evaluation.data}" if accuracies else ""),
        ("images", images(r.evaluation)),
        ("origin", r.origin),
        ("licence", r.license or ""),
        ("recipe", r.recipe or ""),
        ("file", r.url or ""),
    ]
    return "\n".join([r.weights or "published result", *listed(facts)])


def images(e: Evaluation) -> str:
    """Describe the preprocessing of images in one line."""
    parts = [f"short side to {e.resize}, {e.interpolation}", f"{e.crops} of {e.crop}x{e.crop}"]
    scale = [f"{n} {' '.join(f'{v:.4g}' for v in vs)}" for n, vs in (("mean", e.mean), ("std", e.std)) if vs]
    return "; ".join([*parts, ", ".join(scale) or "mean and std not published"])


def listed(facts: Iterable[tuple[str, str]]) -> list[str]:
    """Return a line for each fact, leaving out facts without text."""
    return [f"  {name:<8}  {text}" for name, text in facts if text]


def times(shape: Iterable[int]) -> str:
    return "x".join(map(str, shape))
