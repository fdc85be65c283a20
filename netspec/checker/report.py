"""The result of a check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from netspec.diagnostics import Diagnostic, Source, SpecError
from netspec.graph import Net
from netspec.plugins import Plugin
from netspec.recipe import Recipe
from netspec.shape import Shape

Inputs = Mapping[str, Shape]
"""Shapes that replace the declared ones, keyed by the names of inputs; `""` stands for the only input."""


@dataclass(frozen=True)
class Report:
    """The checked network, or None if there are errors, and all diagnostics in source order."""

    source: Source
    net: Net | None
    diagnostics: tuple[Diagnostic, ...]
    remarks: tuple[str, ...] = ()
    """Sentences about values that the check adapted and comparisons that it skipped."""
    network: str | None = None
    """The name of the network, if it could be read."""
    arguments: Mapping[str, object] = field(default_factory=dict)
    """The values of those network parameters that could be read."""
    used: tuple[Source, ...] = ()
    """The files that the spec names with `use`."""
    inputs: Inputs = field(default_factory=dict)
    """The shapes given in place of the declared ones."""
    plugins: tuple[Plugin, ...] = ()
    """The plug-ins whose layer types the network uses."""
    title: str = ""
    """The name that was given for the spec, such as `vgg16`; empty if a path was given."""

    @property
    def ok(self) -> bool:
        """Whether there are no errors."""
        return self.net is not None

    @property
    def recipe(self) -> Recipe | None:
        """The recipe from the network's `train` section, with defaults for missing entries."""
        return self.net.training if self.net else None

    @property
    def status(self) -> int:
        """The exit status of a command: 0 for success, 1 for errors in the spec, 2 for invalid settings."""
        wrong_use = any(d.code in ("unknown-setting", "wrong-setting") for d in self.diagnostics)
        return 2 if wrong_use else 0 if self.ok else 1

    def require(self) -> Net:
        """Return the network.

        Raises:
            SpecError: there are errors; the exception contains all of them.
        """
        if self.net is None:
            raise SpecError([d for d in self.diagnostics if d.severity == "error"])
        return self.net
