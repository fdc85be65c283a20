"""The zoo: a card for each published network, with its spec, paper, published counts and weights."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from netspec.diagnostics import did_you_mean
from netspec.errors import ZooError

Percent: TypeAlias = Annotated[float, Field(ge=0, le=100)]
Url: TypeAlias = Annotated[str, Field(pattern=r"^https://\S+$")]
Word: TypeAlias = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Line: TypeAlias = Annotated[str, Field(pattern=r"^\S.*$")]
Three: TypeAlias = tuple[float, float, float]
Order: TypeAlias = Literal["name", "depth", "params", "macs", "top1", "year"]

IMAGENET = "ImageNet-1K validation"
MACS = "one multiply-accumulate of a convolution or matrix product, for one image"
"""The definition of a MAC in the zoo; torchvision rounds its counts to millions of MACs."""


class Part(BaseModel):
    """The base class of cards and their sections; the text below each field documents it."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Paper(Part):
    """The paper that published a network."""

    title: Line
    """The title."""
    authors: Line
    """The authors' last names, abbreviated."""
    year: Annotated[int, Field(ge=1980, le=2100)]
    """The year of its first publication."""
    url: Url
    """The web page of the paper."""
    figures: Line | None = None
    """The counts in the paper, if they differ: rounded, counted by other rules, or for another input size."""

    @property
    def short(self) -> str:
        """The authors and the year."""
        return f"{self.authors}, {self.year}"


class Published(Part):
    """The published counts of a network; the counts of its spec must agree with them."""

    source: Line
    """Where the counts come from."""
    params: PositiveInt
    """Trainable parameters, including those of auxiliary heads."""
    macs: PositiveInt
    """MACs for one image of shape `input`, without auxiliary heads."""
    input: tuple[PositiveInt, PositiveInt, PositiveInt]
    """Channels, height and width of the image."""


class Evaluation(Part):
    """The data and the preprocessing with which accuracies were measured."""

    resize: PositiveInt
    """The shorter side of an image after resizing, in pixels."""
    crop: PositiveInt
    """The side of the square crop, in pixels."""
    crops: Literal["centre crop", "ten crops"] = "centre crop"
    """The crops of each image. The predictions for ten crops are averaged."""
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    """The interpolation used for resizing."""
    mean: Three | None = (0.485, 0.456, 0.406)
    """The mean of each channel, for pixel values in [0, 1]; none if it is not published."""
    std: Three | None = (0.229, 0.224, 0.225)
    """The standard deviation of each channel, for pixel values in [0, 1]; none if it is not published."""
    data: Line = IMAGENET
    """The data set and its split."""


class Result(Part):
    """Published accuracies, and the weights that reach them, if published."""

    weights: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")] | None = None
    """The name of the weights in torchvision, as accepted by `module(weights=...)`."""
    top1: Percent | None = None
    """Top-1 accuracy in per cent; none if the weights are not for classification."""
    top5: Percent | None = None
    """Top-5 accuracy in per cent."""
    evaluation: Evaluation
    """The preprocessing that the weights expect, and with which the accuracies were measured."""
    origin: Line
    """Who trained the weights and how; without weights, the source of the accuracies."""
    license: Url | None = None
    """The licence of the weights, if it differs from torchvision's."""
    recipe: Url | None = None
    """A web page that describes how the weights were trained."""
    url: Url | None = None
    """The web address of the file of weights."""


class Card(Part):
    """The card of one published network; docs/zoo.md shows an example."""

    name: Word
    """The network's name on the command line and in `load`."""
    family: Word
    """The family of networks that it belongs to, such as resnet."""
    spec: Word
    """The name of its spec in `specs/`, without `.net`."""
    arguments: dict[str, bool | int | float | str]
    """The parameters of the spec that select this network."""
    depth: PositiveInt
    """The number of convolutions, linear and attention layers on the longest path to the main output."""
    torchvision: Word | None = None
    """The builder in `torchvision.models`, if one exists."""
    paper: Paper
    """The paper that published the network."""
    published: Published
    """The published counts."""
    results: tuple[Result, ...] = ()
    """The published accuracies and weights."""

    @property
    def top1(self) -> float | None:
        """The best published top-1 accuracy on ImageNet-1K."""
        here = [r.top1 for r in self.results if r.evaluation.data == IMAGENET and r.top1 is not None]
        return max(here, default=None)

    @property
    def side(self) -> int:
        """The side, in pixels, of the square images for which the published counts hold."""
        return self.published.input[1]


def folder() -> Path:
    """Return the folder of the cards: inside the installed package, or beside it in a checkout."""
    inside = Path(str(files("netspec"))) / "cards"
    return inside if inside.is_dir() else Path(str(files("netspec"))).parent / "zoo"


def names() -> list[str]:
    """Return all names in the zoo, without reading the cards."""
    return sorted(p.stem for p in folder().glob("*.yaml"))


def card(name: str) -> Card:
    """Return the card of a network. The case of the name does not matter.

    >>> card("alexnet_paper").arguments
    {'towers': 2}

    Raises:
        ZooError: the network is not in the zoo.
    """
    known, lower = names(), name.lower()
    if lower not in known:
        near = did_you_mean(lower, known) or "`netspec zoo` lists them"
        raise ZooError(f"the zoo has no network `{name}`: {near}")
    return read(folder() / f"{lower}.yaml")


def read(path: Path) -> Card:
    """Return the card in a YAML file. It is validated as JSON, so that lists can become tuples."""
    import yaml

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return Card.model_validate_json(json.dumps(yaml.load(path.read_text("utf-8"), loader)))


def select(
    *patterns: str,
    family: str | None = None,
    max_params: float | None = None,
    max_macs: float | None = None,
    sort: Order = "name",
) -> list[Card]:
    """Return the cards whose names match any of the patterns, such as `resnet*`, filtered and sorted.

    Raises:
        ZooError: no name matches one of the patterns, or the family is unknown.
    """
    known, chosen = names(), dict[str, None]()
    for pattern in patterns or ("*",):
        matches = [name for name in known if fnmatchcase(name, pattern.lower())]
        if not matches:
            near = did_you_mean(pattern.lower().strip("*"), known) or "`netspec zoo` lists them all"
            raise ZooError(f"the zoo has no network `{pattern}`: {near}")
        chosen |= dict.fromkeys(matches)
    found = [card(name) for name in chosen]
    if family is not None:
        require_family(family)
    found = [c for c in found if family in (None, c.family)]
    if max_params is not None:
        found = [c for c in found if c.published.params <= max_params]
    if max_macs is not None:
        found = [c for c in found if c.published.macs <= max_macs]
    return in_order(found, sort)


def require_family(family: str) -> None:
    """Raise `ZooError` if no card belongs to a family."""
    families = sorted({card(n).family for n in names()})
    if family not in families:
        near = did_you_mean(family, families) or f"expected one of {', '.join(families)}"
        raise ZooError(f"the zoo has no family `{family}`: {near}")


def in_order(cards: Iterable[Card], sort: Order) -> list[Card]:
    """Return cards sorted by `sort` (smallest, oldest or most accurate first), then by name."""

    def key(c: Card) -> float:
        return {
            "name": 0,
            "params": c.published.params,
            "macs": c.published.macs,
            "depth": c.depth,
            "top1": -(c.top1 or 0),
            "year": c.paper.year,
        }[sort]

    return sorted(cards, key=lambda c: (key(c), natural(c.name)))


def natural(name: str) -> list[tuple[int, str]]:
    """Return a sort key that orders names by the numbers in them: resnet18, resnet50, resnet101.

    >>> sorted(["resnet101", "resnet18"], key=natural)
    ['resnet18', 'resnet101']
    """
    return [(int(t), "") if t.isdigit() else (-1, t) for t in re.findall(r"\d+|\D+", name)]
