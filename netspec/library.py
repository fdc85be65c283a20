"""Find specs by path or by name, read them, and say plainly why one cannot be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from netspec.diagnostics import Diagnostic, Source, Span, SpecError, did_you_mean

if TYPE_CHECKING:
    from netspec.zoo import Card

LARGEST = 2 * 2**20


@dataclass(frozen=True)
class Found:
    """Where a spec lies, and the card of the zoo that it was named by."""

    path: Path
    card: Card | None = None

    @property
    def arguments(self) -> Mapping[str, object]:
        """The parameters that the card sets; others may be set beside or instead of them."""
        return self.card.arguments if self.card else {}


def builtin_folder() -> Path:
    """Where the specs that come with netspec lie: inside the wheel, or beside the package in a checkout."""
    inside = Path(str(files("netspec"))) / "specs"
    return inside if inside.is_dir() else Path(str(files("netspec"))).parent / "specs"


def builtin_names() -> list[str]:
    return sorted(p.stem for p in builtin_folder().glob("*.net"))


def locate(spec: str | Path) -> Found:
    """Find a spec: the file at a path, else a network of the zoo, else a built-in spec by its stem."""
    path, name = Path(spec), str(spec)
    if holds_file(path) or path.name != name or path.suffix:
        return Found(path)
    from netspec import zoo

    if name in zoo.names():
        card = zoo.card(name)
        return Found(builtin_folder() / f"{card.spec}.net", card)
    return Found(builtin_folder() / f"{name}.net" if name in builtin_names() else path)


def locate_recipe(recipe: str) -> Path:
    """Find a file of a recipe: the file at a path, else one that comes with netspec, by its stem.

    Raises:
        SpecError: there is neither.
    """
    path = Path(recipe)
    if holds_file(path) or path.name != recipe or path.suffix:
        return path
    folder = builtin_folder().parent / "recipes"
    known = sorted(each.stem for each in folder.glob("*.net"))
    if recipe not in known:
        help = did_you_mean(recipe, known) or f"there are {', '.join(known)}, or the path of a file"
        raise refusal(recipe, f"there is no recipe {recipe}", help)
    return folder / f"{recipe}.net"


def near(name: str) -> str:
    """The known names that are like one that is not, or where to find them all."""
    from netspec import zoo

    known = did_you_mean(name, sorted({*builtin_names(), *zoo.names()}))
    return known or f"the built-in specs are {', '.join(builtin_names())}, and `netspec zoo` lists networks"


def holds_file(path: Path) -> bool:
    """Whether a file, or a pipe, is at a path, as far as the system can tell."""
    try:
        return path.exists() and not path.is_dir()
    except (OSError, ValueError):
        return False


def read(path: Path, shown: str | None = None, *, regular_only: bool = False) -> Source:
    """Read a spec; with `regular_only`, not from a pipe or a device, which may never end.

    Raises:
        SpecError: the file is missing, unreadable, empty, too large, or not UTF-8.
    """
    name = shown or str(path)
    try:
        if path.is_dir():
            raise refusal(name, f"{name} is a folder; a spec is one file", "specs end in .net")
        if regular_only and not regular(path):
            raise refusal(name, f"{name} is a pipe or a device, not a file", None)
        with path.open("rb") as file:
            raw = file.read(LARGEST + 1)
    except FileNotFoundError:
        raise refusal(name, f"there is no file {name}", near(path.stem)) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise refusal(name, f"{name} cannot be read: {reason.lower()}", None) from None
    if len(raw) > LARGEST:
        raise refusal(name, f"{name} is larger than {LARGEST // 2**20} MiB, the most that is read", None)
    try:
        text = raw.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        message = f"{name} is not UTF-8 text: byte 0x{raw[error.start]:02x} stands in line {line}"
        raise refusal(name, message, "save the file as UTF-8") from None
    if not text.strip():
        raise refusal(name, f"{name} is empty", "a spec begins with `network Name`, a recipe with `train {`")
    return Source(name, text)


def refusal(name: str, message: str, help: str | None) -> SpecError:
    return SpecError([Diagnostic("unreadable-file", message, Span(Source(name, ""), 0, 0), help=help)])


def inside(root: Path, path: Path) -> bool:
    """Whether a path, links resolved, lies in the folder `root`."""
    try:
        return path.resolve().is_relative_to(root.resolve())
    except (OSError, ValueError, RuntimeError):  # names too long, zero bytes, links in a circle
        return False


def regular(path: Path) -> bool:
    """Whether a path is no pipe or device, which could be read without end."""
    try:
        return path.is_file() or not path.exists() or path.is_dir()
    except (OSError, ValueError):
        return True
