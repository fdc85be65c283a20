"""The files that a spec takes with `use`: found below its folder, each read once, never in a circle."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from netspec import tree as t
from netspec.diagnostics import Diagnostic, SpecError
from netspec.evaluate import Fault
from netspec.parse import parse
from netspec.source import holds_file, inside, read

MOST_FILES = 64


@dataclass
class Files:
    """The files below `root`, by the path that messages call them; `main` is the spec itself."""

    root: Path
    main: t.File
    loaded: dict[str, t.File] = field(default_factory=dict)
    faults: list[Diagnostic] = field(default_factory=list)
    real: dict[str, Path] = field(default_factory=dict)
    used_by: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        name = self.main.source.path
        self.real[name] = self.root.resolve() / Path(name).name

    @property
    def all(self) -> tuple[t.File, ...]:
        return (self.main, *self.loaded.values())

    def load(self, use: t.Use) -> t.File:
        """Read the file that a `use` names, relative to the file that names it.

        Raises:
            Fault: it leads out of the folder, uses itself, or cannot be read.
        """
        user = use.span.source.path
        path = self.real[user].parent / use.path
        if Path(use.path).is_absolute() or not inside(self.root, path):
            name = use.path if len(use.path) <= 60 else f"{use.path[:57]}..."
            message = f'"{name}" leads out of the folder of the spec'
            raise Fault("bad-use", message, use.span, "a spec reads files beside it or below it alone")
        if path.resolve() in self.chain(user):
            raise Fault("bad-use", f'"{use.path}" uses itself, in the end', use.span)
        shown = str(Path(user).parent / use.path)
        if shown not in self.loaded:
            self.read(use, path, shown, user)
        return self.loaded[shown]

    def read(self, use: t.Use, path: Path, shown: str, user: str) -> None:
        if len(self.loaded) >= MOST_FILES:
            raise Fault("bad-use", f"more than {MOST_FILES} files are used", use.span)
        try:
            source = read(path, shown, regular_only=True)
        except SpecError as error:
            fault = error.diagnostics[0]
            help = fault.help if holds_file(path) else None  # names of whole specs are no help here
            raise Fault("bad-use", fault.message, use.span, help) from None
        self.real[shown], self.used_by[shown] = path.resolve(), user
        self.loaded[shown], faults = parse(source)
        self.faults += faults

    def chain(self, user: str | None) -> list[Path]:
        """The files that led to a `use`, the nearest first."""
        found = []
        while user is not None:
            found.append(self.real[user])
            user = self.used_by.get(user)
        return found
