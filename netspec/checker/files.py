"""Reads the files named by `use`, each once; they must lie in the folder of the spec or below it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from os.path import normpath
from pathlib import Path
from typing import TypeAlias

from netspec.diagnostics import Diagnostic, Source, SpecError
from netspec.language import ast as t
from netspec.language.names import Fault
from netspec.language.parser import parse
from netspec.library import file_exists, inside, read, refusal

MOST_FILES = 64

Root: TypeAlias = Path | Mapping[str, str]
"""The folder for files named by `use`, or a mapping from their paths to their texts."""


@dataclass
class Files:
    """The files named by `use`, keyed by their paths as shown in messages.

    `root` is the folder of the spec, and `main` the spec itself.
    """

    root: Path
    main: t.File
    loaded: dict[str, t.File] = field(default_factory=dict)
    faults: list[Diagnostic] = field(default_factory=list)
    real: dict[str, Path] = field(default_factory=dict)
    used_by: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        name = self.main.source.path
        self.real[name] = self.resolved(self.root) / Path(name).name

    @property
    def all(self) -> tuple[t.File, ...]:
        return (self.main, *self.loaded.values())

    def load(self, use: t.Use) -> t.File:
        """Return the parsed file that a `use` statement names, relative to the file with the statement.

        Raises:
            Fault: the file lies outside the folder of the spec, uses itself, or cannot be read.
        """
        user = use.span.source.path
        path = self.real[user].parent / use.path
        if Path(use.path).is_absolute() or not self.holds(path):
            name = use.path if len(use.path) <= 60 else f"{use.path[:57]}..."
            message = f'"{name}" is outside the folder of the spec'
            raise Fault("bad-use", message, use.span, "a spec can only use files in its folder or below it")
        if self.resolved(path) in self.chain(user):
            raise Fault("bad-use", f'"{use.path}" uses itself, directly or through other files', use.span)
        shown = str(Path(user).parent / use.path)
        if shown not in self.loaded:
            self.read(use, path, shown, user)
        return self.loaded[shown]

    def read(self, use: t.Use, path: Path, shown: str, user: str) -> None:
        if len(self.loaded) >= MOST_FILES:
            raise Fault("bad-use", f"a spec can use at most {MOST_FILES} files", use.span)
        try:
            source = self.source(path, shown)
        except SpecError as error:
            fault = error.diagnostics[0]
            help = fault.help if file_exists(path) else None  # for a missing file, it suggests built-in specs
            raise Fault("bad-use", fault.message, use.span, help) from None
        self.real[shown], self.used_by[shown] = self.resolved(path), user
        self.loaded[shown], faults = parse(source)
        self.faults += faults

    def holds(self, path: Path) -> bool:
        """Return True if a path lies in the folder of the spec or below it."""
        return inside(self.root, path)

    def resolved(self, path: Path) -> Path:
        """Return the path with symbolic links resolved."""
        return path.resolve()

    def source(self, path: Path, shown: str) -> Source:
        """Read a file; raises SpecError if it cannot be read."""
        return read(path, shown, regular_only=True)

    def chain(self, user: str | None) -> list[Path]:
        """Return the file `user`, the file that uses it, and so on up to the spec."""
        found = []
        while user is not None:
            found.append(self.real[user])
            user = self.used_by.get(user)
        return found


@dataclass
class Remembered(Files):
    """Files named by `use` whose texts are in a mapping keyed by path; nothing is read from the disk."""

    texts: Mapping[str, str] = field(default_factory=dict)

    def holds(self, path: Path) -> bool:
        return not self.resolved(path).as_posix().startswith("..")

    def resolved(self, path: Path) -> Path:
        return Path(normpath(path))

    def source(self, path: Path, shown: str) -> Source:
        name = Path(shown).as_posix()
        if name not in self.texts:
            raise refusal(shown, f"there is no text for {shown}", None)
        return Source(shown, self.texts[name])


def files_of(root: Root, main: t.File) -> Files:
    """Return the files that `use` can name: those below a folder, or those of a mapping."""
    return Files(root, main) if isinstance(root, Path) else Remembered(Path(), main, texts=root)
