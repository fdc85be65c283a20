"""Read spec files, found by path or by the name of a built-in one, and say plainly why one cannot be read."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from netspec.diagnostics import Diagnostic, Source, Span, SpecError, did_you_mean

LARGEST = 2 * 2**20


def builtin_folder() -> Path:
    """Where the specs that come with netspec lie: inside the wheel, or beside the package in a checkout."""
    inside = Path(str(files("netspec"))) / "specs"
    return inside if inside.is_dir() else Path(str(files("netspec"))).parent / "specs"


def builtin_names() -> list[str]:
    return sorted(p.stem for p in builtin_folder().glob("*.net"))


def locate(spec: str | Path) -> Path:
    """The file of a spec: a path where a file is, or the name of a built-in spec."""
    path = Path(spec)
    if not holds_file(path) and path.name == str(spec) and not path.suffix and str(spec) in builtin_names():
        return builtin_folder() / f"{spec}.net"
    return path


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
        near = (
            did_you_mean(path.stem, builtin_names()) or f"the built-in specs are {', '.join(builtin_names())}"
        )
        raise refusal(name, f"there is no file {name}", near) from None
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
        raise refusal(name, f"{name} is empty", "a spec begins with `network Name` and an `input`")
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
