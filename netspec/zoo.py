"""The zoo: a card for each published network, with its spec, its paper, its figures and its weights."""

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
Order: TypeAlias = Literal["name", "params", "macs", "top1", "year"]

IMAGENET = "ImageNet-1K validation"
MACS = "one multiply-accumulate of a convolution or matrix product, for one image"
"""What published MACs count; torchvision rounds them to a million."""


class Part(BaseModel):
    """A part of a card; a string below a field says what it holds."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Paper(Part):
    """Where a network was published."""

    title: Line
    """Its title."""
    authors: Line
    """Its authors by their last names, in short."""
    year: Annotated[int, Field(ge=1980, le=2100)]
    """The year in which it was first public."""
    url: Url
    """Where it can be read."""

    @property
    def short(self) -> str:
        """Authors and year."""
        return f"{self.authors}, {self.year}"


class Published(Part):
    """The figures of the network, published where somebody did in full; a spec is held against them."""

    params: PositiveInt
    """Trainable numbers, those of auxiliary heads among them."""
    macs: PositiveInt
    """MACs at `input`, auxiliary heads left out; see `MACS`."""
    input: tuple[PositiveInt, PositiveInt, PositiveInt]
    """Channels, height and width of one image."""


class Evaluation(Part):
    """How images are prepared and looked at to reach the accuracies beside it."""

    resize: PositiveInt
    """The short side of an image in pixels, before the crop."""
    crop: PositiveInt
    """The side of the square that is cut out."""
    crops: Literal["centre crop", "ten crops"] = "centre crop"
    """Which squares are cut; of ten, the predictions are averaged."""
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    """How pixels are found in resizing."""
    mean: Three | None = (0.485, 0.456, 0.406)
    """What is taken from each channel of values from 0 to 1; none where it is not published."""
    std: Three | None = (0.229, 0.224, 0.225)
    """What each channel is divided by then; none where it is not published."""
    data: Line = IMAGENET
    """The images."""


class Result(Part):
    """Accuracies, and the weights that reach them where those are published."""

    weights: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")] | None = None
    """The name by which `module(weights=...)` takes them, torchvision's own."""
    top1: Percent | None = None
    """Top-1 accuracy in per cent; none where the weights cannot classify."""
    top5: Percent | None = None
    """Top-5 accuracy in per cent."""
    evaluation: Evaluation
    """How the accuracies were measured, and how the weights want their images."""
    origin: Line
    """Who trained the weights and how, or where the figures stand."""
    license: Url | None = None
    """The licence of the weights, where they have one of their own."""
    recipe: Url | None = None
    """Where their training is described."""
    url: Url | None = None
    """The file of the weights."""


class Card(Part):
    """One published network; docs/zoo.md shows a card."""

    name: Word
    """The name that commands take."""
    family: Word
    """What it is a member of."""
    spec: Word
    """The stem of its file in `specs/`."""
    arguments: dict[str, bool | int | float | str]
    """The parameters that make the spec this member."""
    torchvision: Word | None = None
    """The builder in `torchvision.models`, where there is one."""
    paper: Paper
    """Where it was published."""
    published: Published
    """Its figures."""
    results: tuple[Result, ...] = ()
    """Its accuracies and weights."""

    @property
    def top1(self) -> float | None:
        """The best published top-1 accuracy on ImageNet-1K."""
        here = [r.top1 for r in self.results if r.evaluation.data == IMAGENET and r.top1 is not None]
        return max(here, default=None)

    @property
    def side(self) -> int:
        """The side of the square images that the published figures are for."""
        return self.published.input[1]


def folder() -> Path:
    """Where the cards lie: inside the wheel, or beside the package in a checkout."""
    inside = Path(str(files("netspec"))) / "cards"
    return inside if inside.is_dir() else Path(str(files("netspec"))).parent / "zoo"


def names() -> list[str]:
    """Every name in the zoo, without reading a card."""
    return sorted(p.stem for p in folder().glob("*.yaml"))


def card(name: str) -> Card:
    """Read one card.

    >>> card("alexnet_paper").arguments
    {'towers': 2}

    Raises:
        ZooError: the zoo has no such network.
    """
    known = names()
    if name not in known:
        near = did_you_mean(name, known) or "`netspec zoo` lists them"
        raise ZooError(f"the zoo has no network `{name}`: {near}")
    return read(folder() / f"{name}.yaml")


def read(path: Path) -> Card:
    """Read a file as a card; YAML's values are taken as JSON's are, so that a list can be a tuple."""
    import yaml

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return Card.model_validate_json(json.dumps(yaml.load(path.read_text("utf-8"), loader)))


def select(
    pattern: str = "*", family: str | None = None, max_params: float | None = None, sort: Order = "name"
) -> list[Card]:
    """The cards whose names match a pattern such as `resnet*`, filtered and sorted.

    Raises:
        ZooError: no name matches the pattern, or there is no such family.
    """
    found = [card(n) for n in names() if fnmatchcase(n, pattern)]
    if not found:
        near = did_you_mean(pattern.strip("*"), names()) or "`netspec zoo` lists them all"
        raise ZooError(f"no network of the zoo is called `{pattern}`: {near}")
    if family is not None:
        require_family(family)
    found = [c for c in found if family in (None, c.family)]
    if max_params is not None:
        found = [c for c in found if c.published.params <= max_params]
    return in_order(found, sort)


def require_family(family: str) -> None:
    """Refuse a family that no card belongs to."""
    families = sorted({card(n).family for n in names()})
    if family not in families:
        near = did_you_mean(family, families) or f"there are {', '.join(families)}"
        raise ZooError(f"the zoo has no family `{family}`: {near}")


def in_order(cards: Iterable[Card], sort: Order) -> list[Card]:
    """Sort cards: the smallest, the oldest and the most accurate first; names settle ties."""

    def key(c: Card) -> float:
        return {
            "name": 0,
            "params": c.published.params,
            "macs": c.published.macs,
            "top1": -(c.top1 or 0),
            "year": c.paper.year,
        }[sort]

    return sorted(cards, key=lambda c: (key(c), natural(c.name)))


def natural(name: str) -> list[tuple[int, str]]:
    """Names in the order that people count: resnet18, resnet50, resnet101.

    >>> sorted(["resnet101", "resnet18"], key=natural)
    ['resnet18', 'resnet101']
    """
    return [(int(t), "") if t.isdigit() else (-1, t) for t in re.findall(r"\d+|\D+", name)]
