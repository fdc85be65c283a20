"""Finds and reads specs, by path or by name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from netspec.diagnostics import Diagnostic, Source, Span, SpecError, did_you_mean

if TYPE_CHECKING:
    from netspec.zoo import Card

LARGEST = 2 * 2**20
"""The maximum size of a spec in bytes."""


@dataclass(frozen=True)
class Found:
    """The path of a spec. `card` is its zoo card if it was found by a zoo name."""

    path: Path
    card: Card | None = None

    @property
    def arguments(self) -> Mapping[str, object]:
        """The parameters that the card sets; the user's arguments override them."""
        return self.card.arguments if self.card else {}


def builtin_folder() -> Path:
    """Return the folder of the built-in specs: inside the installed package, or beside it in a checkout."""
    inside = Path(str(files("netspec"))) / "specs"
    return inside if inside.is_dir() else Path(str(files("netspec"))).parent / "specs"


def recipe_names() -> list[str]:
    """Return the names of the built-in recipes."""
    return sorted(path.stem for path in (builtin_folder().parent / "recipes").glob("*.net"))


def builtin_names() -> list[str]:
    """Return the names of the built-in specs."""
    return sorted(p.stem for p in builtin_folder().glob("*.net"))


def locate(spec: str | Path) -> Found:
    """Find a spec: an existing file; otherwise, by name, a zoo network; otherwise a built-in spec."""
    path, name = Path(spec), str(spec)
    if file_exists(path) or path.name != name or path.suffix:
        return Found(path)
    from netspec import zoo

    lower = name.lower()
    if lower in zoo.names():
        card = zoo.card(lower)
        return Found(builtin_folder() / f"{card.spec}.net", card)
    return Found(builtin_folder() / f"{lower}.net" if lower in builtin_names() else path)


def locate_recipe(recipe: str) -> Path:
    """Return the path of a recipe: an existing file, otherwise the built-in recipe with this name.

    Raises:
        SpecError: neither exists.
    """
    path = Path(recipe)
    if file_exists(path) or path.name != recipe or path.suffix:
        return path
    folder, known = builtin_folder().parent / "recipes", recipe_names()
    if recipe not in known:
        help = did_you_mean(recipe, known) or f"expected the path of a file, or one of {', '.join(known)}"
        raise refusal(recipe, f"unknown recipe {recipe}", help)
    return folder / f"{recipe}.net"


def near(name: str) -> str:
    """Return a help line with names similar to an unknown name, or with the built-in specs."""
    from netspec import zoo

    names = sorted({*builtin_names(), *zoo.names()})
    plain = re.sub(r"\W|_", "", name).lower()
    alike = next((known for known in names if known.replace("_", "") == plain), None)
    known = f"did you mean `{alike}`?" if alike else did_you_mean(name, names)
    return known or f"the built-in specs are {', '.join(builtin_names())}; `netspec zoo` lists networks"


def file_exists(path: Path) -> bool:
    """Return True if a path exists, is accessible, and is not a folder."""
    try:
        return path.exists() and not path.is_dir()
    except (OSError, ValueError):
        return False


def read(path: Path, shown: str | None = None, *, regular_only: bool = False) -> Source:
    """Read a spec file; messages show the name `shown`, by default the path.

    With `regular_only`, pipes and devices are rejected, because reading from them may never end.

    Raises:
        SpecError: the file is missing, unreadable, empty, too large, or not UTF-8.
    """
    name = shown or str(path)
    try:
        if path.is_dir():
            raise refusal(name, f"{name} is a folder, not a file", "name a spec in it, such as one.net")
        if regular_only and not regular(path):
            raise refusal(name, f"{name} is a pipe or a device, not a file", None)
        if path.is_fifo() and not str(path).startswith(("/dev/", "/proc/")):
            raise refusal(name, f"{name} is a named pipe, which may never end", "save the spec as a file")
        with path.open("rb") as file:
            raw = file.read(LARGEST + 1)
    except FileNotFoundError:
        raise refusal(name, f"the file {name} does not exist", near(path.stem)) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise refusal(name, f"{name} cannot be read: {reason.lower()}", None) from None
    if len(raw) > LARGEST:
        raise refusal(name, f"{name} is larger than the limit of {LARGEST // 2**20} MiB", None)
    try:
        text = raw.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        message = f"{name} is not UTF-8 text: invalid byte 0x{raw[error.start]:02x} in line {line}"
        raise refusal(name, message, "save the file as UTF-8") from None
    if not text.strip():
        raise refusal(name, f"{name} is empty", "a spec begins with `network Name`, a recipe with `train {`")
    return Source(name, text)


def refusal(name: str, message: str, help: str | None) -> SpecError:
    return SpecError([Diagnostic("unreadable-file", message, Span(Source(name, ""), 0, 0), help=help)])


def inside(root: Path, path: Path) -> bool:
    """Return True if a path lies in the folder `root` after resolving symbolic links."""
    try:
        return path.resolve().is_relative_to(root.resolve())
    except (OSError, ValueError, RuntimeError):  # names too long, zero bytes, cyclic links
        return False


def regular(path: Path) -> bool:
    """Return True unless a path is a pipe or a device, since reading from these may never end."""
    try:
        return path.is_file() or not path.exists() or path.is_dir()
    except (OSError, ValueError):
        return True
