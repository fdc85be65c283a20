"""netspec: networks as short specs that are checked, counted, drawn, compiled to PyTorch, and trained.

>>> vgg = load("vgg", depth=16)
>>> f"{vgg.net.totals.params:,} parameters, {vgg.net.totals.macs / 1e9:.2f} GMACs"
'138,357,544 parameters, 15.47 GMACs'
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from netspec.checker import Report, check_file
from netspec.diagnostics import Diagnostic, SpecError
from netspec.graph import Net
from netspec.library import Found, locate
from netspec.shape import Shape

if TYPE_CHECKING:
    from torch import nn

    from netspec.emit.dot.style import Direction
    from netspec.zoo import Card

__version__ = "0.1.0"
__all__ = ["Diagnostic", "Net", "Network", "Report", "SpecError", "check", "load"]

Sizes: TypeAlias = tuple[int, ...] | Mapping[str, tuple[int, ...]]
"""A shape without the batch, such as `(3, 224, 224)`, or one for each input by its name."""


@dataclass(frozen=True)
class Network:
    """A checked spec, ready to be compiled, drawn or read.

    `net` is its typed graph; `card` is what the zoo tells of it, where it was loaded by a name of the zoo.
    """

    net: Net
    card: Card | None = None

    def source(self) -> str:
        """The PyTorch source that `netspec export --to pytorch` writes."""
        from netspec.emit.torch import source

        return source(self.net)

    def module(self, *, weights: str | None = None) -> nn.Module:
        """The network as an `nn.Module` with fresh or published weights; imports torch.

        `weights` is a name from its card, such as `IMAGENET1K_V2`, or `DEFAULT` for torchvision's choice
        among them. torchvision downloads and keeps them.

        Raises:
            WeightsError: there are no such weights for this network, they do not fit, or cannot be fetched.
        """
        from netspec.build.compile import build

        module = build(self.net)
        if weights is not None:
            from netspec.build.weights import load_weights

            load_weights(module, self.card, weights)
        return module

    def dot(self, *, direction: Direction = "TB", depth: int | None = None) -> str:
        """The network's picture in Graphviz's language, as `netspec draw` writes it."""
        from netspec.emit.dot import dot

        return dot(self.net, direction=direction, depth=depth)


def check(spec: str | Path, *, input: Sizes | None = None, **arguments: object) -> Report:
    """Check a spec, given by its path, a name of the zoo or a built-in spec; keywords set its parameters.

    `input` replaces the declared shape of the input, without the batch; a mapping does so by name.

    Raises:
        SpecError: the file cannot be read.
    """
    return examine(locate(spec), input, arguments)


def load(spec: str | Path, *, input: Sizes | None = None, **arguments: object) -> Network:
    """Load a spec as `check` does, and refuse one with faults.

    Raises:
        SpecError: the file cannot be read or the spec has faults; the exception holds every diagnostic.
    """
    found = locate(spec)
    return Network(examine(found, input, arguments).require(), found.card)


def examine(found: Found, input: Sizes | None, arguments: Mapping[str, object]) -> Report:
    """Check a spec that was found; `arguments` win over those of its card."""
    if isinstance(input, str):
        raise TypeError(f"`input` is a tuple of sizes, such as (3, 224, 224), not the text {input!r}")
    given = input if isinstance(input, Mapping) else {"": input} if input else {}
    shapes = {name: Shape(sizes) for name, sizes in given.items()}
    return check_file(found.path, {**found.arguments, **arguments}, shapes)
