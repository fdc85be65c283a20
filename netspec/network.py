"""The Python API for a checked network: counts, drawings, compilation, and display in notebooks."""

from __future__ import annotations

import logging
from collections.abc import Container, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from netspec.checker import Report, check_file, check_source
from netspec.diagnostics import Source
from netspec.extras import needed_for
from netspec.graph import Net
from netspec.library import locate
from netspec.shape import Shape

if TYPE_CHECKING:
    from torch import nn

    from netspec.emit.dot.style import Direction
    from netspec.zoo import Card

Sizes: TypeAlias = tuple[int, ...] | Mapping[str, tuple[int, ...]]
"""A shape without the batch, such as `(3, 224, 224)`, or a mapping from input names to shapes."""
Weights: TypeAlias = str | Path | Mapping[str, Any]
"""The name of published weights, a file of weights, the folder of a run, or a state_dict."""
logger = logging.getLogger(__name__)


@dataclass(frozen=True, repr=False)
class Network:
    """A checked spec, ready to be counted, drawn, compiled and trained.

    `net` is its graph. `card` is its zoo card, if it was loaded by a zoo name. `report` is the result of its
    check, and `spec` is the name or path that was loaded.
    """

    net: Net
    card: Card | None = None
    report: Report | None = None
    spec: str = ""

    def source(self) -> str:
        """Return the network as PyTorch source, which imports only torch."""
        from netspec.emit.torch import source

        return source(self.net)

    def module(self, *, weights: Weights | None = None) -> nn.Module:
        """Return the network as an `nn.Module`, with newly initialized or given weights.

        `weights` is a name on the network's card, such as `IMAGENET1K_V2` (or `DEFAULT` for torchvision's
        default), a file of weights, the folder of a run, or a state_dict. torchvision downloads and caches
        published weights.

        Raises:
            MissingPackageError: torch is not installed.
            WeightsError: there are no such weights, they do not match, or they cannot be downloaded.
        """
        with needed_for("Network.module"):
            from netspec.build import build

        module = build(self.net)
        if weights is not None:
            from netspec.weights import load_weights

            load_weights(module, self.card, weights)
        return module

    def onnx(self, path: str | Path, *, weights: Weights | None = None) -> Path:
        """Write the network as an ONNX model for inference and return its path.

        `weights` is as in `module`; without it, the weights are random. The batch dimension is dynamic.

        Raises:
            ExportError: a layer has no counterpart in ONNX.
            FileError: the file cannot be written.
            MissingPackageError: torch or onnx is not installed.
            WeightsError: there are no such weights, or they do not match.
        """
        from netspec.emit.targets import TARGETS
        from netspec.files import write_file

        content = TARGETS["onnx"].write(self.net, state_arrays(self, weights))
        assert isinstance(content, bytes)
        write_file(Path(path), lambda file: file.write(content))
        return Path(path)

    def dot(self, *, direction: Direction = "TB", depth: int | None = None) -> str:
        """Return the network drawn in DOT, the language of Graphviz.

        `direction` is the direction of the data flow: TB (top to bottom), LR, BT or RL. Each block or group
        nested deeper than `depth` levels is drawn as a single box.
        """
        from netspec.emit.dot import dot

        return dot(self.net, direction=direction, depth=depth)

    def draw(self, path: str | Path, *, direction: Direction = "TB", depth: int | None = None) -> Path:
        """Draw the network to a .svg, .png, .pdf or .dot file, and return its path.

        Raises:
            PictureError: the suffix is unknown, Graphviz is missing, or the file cannot be written.
        """
        from netspec.emit.picture import write_picture

        write_picture(self.dot(direction=direction, depth=depth), Path(path))
        return Path(path)

    def table(self, *, depth: int | None = None, ops: bool = False) -> str:
        """Return the table of layers and totals that `netspec check` prints.

        Each block or group nested deeper than `depth` levels is one row. `ops` adds the counts of
        comparisons, additions, multiplications, divisions and exponentials.
        """
        from netspec.emit.formats import Options
        from netspec.emit.formats.table import network_table

        return network_table(self.net, Options(depth=depth, ops=ops))

    def to_dict(self) -> dict[str, object]:
        """Return the result of the check as plain values, as printed by `netspec check --format json`."""
        from netspec.emit.formats.json import as_dict

        report = self.report or Report(Source(self.spec or self.net.name, ""), self.net, ())
        return as_dict(report)

    def __repr__(self) -> str:
        totals = self.net.totals
        return f"<Network {self.net.name}: {totals.layers} layers, {totals.params:,} parameters>"

    def _repr_html_(self) -> str:
        """Return the table in HTML, for notebooks."""
        from netspec.emit import html

        return html.table(self.net)

    def _repr_mimebundle_(
        self, include: Container[str] | None = None, exclude: Container[str] | None = None
    ) -> dict[str, str]:
        """Return the network as text, as a table and, if Graphviz is installed, as a drawing."""
        from netspec.emit.html import media_types
        from netspec.emit.picture import render
        from netspec.errors import PictureError

        shown = {"text/plain": repr(self), "text/html": self._repr_html_()}
        with suppress(PictureError):  # without Graphviz, only the table is shown
            shown["image/svg+xml"] = render(self.dot(), "svg").decode()
        return media_types(shown, include, exclude)


def state_arrays(network: Network, weights: Weights | None) -> dict[str, Any]:
    """Return the state_dict of a network's module as NumPy arrays; see `Network.module`."""
    state = network.module(weights=weights).state_dict()
    if weights is None:
        logger.warning("no weights were given: those of the exported model are random")
    return {name: tensor.numpy() for name, tensor in state.items()}


def check(spec: str | Path, *, input: Sizes | None = None, **arguments: object) -> Report:
    """Check a spec. `spec` is a path, a zoo name, the name of a built-in spec, or the spec's text.

    Keyword arguments set the network's parameters. `input` is a shape without the batch that replaces the
    declared one; for several inputs, it maps their names to shapes. A string with a line break is the text of
    a spec, whose `use` statements name files in the current folder or below it.

    >>> check("network Tiny\\ninput image: 1x8x8\\nconv(2, 3)").net.totals.params
    20

    Raises:
        SpecError: the file cannot be read.
    """
    return load_report(spec, input, arguments)[0]


def load(spec: str | Path, *, input: Sizes | None = None, **arguments: object) -> Network:
    """Load a spec that has no errors. The arguments are those of `check`.

    Raises:
        SpecError: the file cannot be read or the spec has errors; the exception contains every diagnostic.
    """
    report, card = load_report(spec, input, arguments)
    return Network(report.require(), card, report, report.source.path if card is None else card.name)


def load_report(
    spec: str | Path, input: Sizes | None, arguments: Mapping[str, object]
) -> tuple[Report, Card | None]:
    """Return the report of a spec, and its card if `spec` is a zoo name."""
    if isinstance(input, str):
        raise TypeError(f"`input` must be a tuple of sizes, such as (3, 224, 224), not the string {input!r}")
    given = input if isinstance(input, Mapping) else {"": input} if input else {}
    shapes = {name: Shape(sizes) for name, sizes in given.items()}
    if isinstance(spec, str) and "\n" in spec:
        return check_source(Source("<text>", spec), Path(), dict(arguments), shapes), None
    found = locate(spec)
    return check_file(found.path, {**found.arguments, **arguments}, shapes), found.card
