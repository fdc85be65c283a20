"""Writes a drawing to a file, as DOT text or as an image rendered with Graphviz."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from netspec.errors import FileError, PictureError
from netspec.files import reason, write_file
from netspec.registry import Registry

PNG_RESOLUTION = "  dpi=160\n}\n"
"""The end of a DOT text for PNG files; it sets 160 pixels per inch, which suits print and slides."""

INSTALL = (
    "install it with `apt-get install graphviz` (Debian, Ubuntu) or `brew install graphviz` (macOS), "
    "or write a .dot file, which does not need it"
)

PICTURES: Registry[Callable[[str], bytes]] = Registry("picture format")
"""Functions that convert DOT text to the content of an image file, by file suffix."""


def dot_text(text: str) -> bytes:
    """Return DOT text as bytes. This needs no Graphviz."""
    return text.encode()


def by_graphviz(kind: str) -> Callable[[str], bytes]:
    """Return a function that renders DOT text with Graphviz in a format such as `svg`."""
    return lambda text: render(text, kind)


for _ending in (".dot", ".gv"):
    PICTURES.add(_ending, dot_text)
for _ending in (".svg", ".png", ".pdf"):
    PICTURES.add(_ending, by_graphviz(_ending[1:]))


def write_picture(text: str, path: Path) -> None:
    """Write DOT text to `path` in the format of its suffix; after an error, an existing file is unchanged.

    Raises:
        PictureError: the suffix is unknown, Graphviz is missing or fails, or the file cannot be written.
    """
    draw = PICTURES.find(path.suffix.lower())
    if draw is None:
        known = ", ".join(PICTURES)
        message = f"the format of {path} is unknown: its name must end in one of {known}"
        raise PictureError(message, wrong_use=True)
    try:
        if path.is_dir():
            raise PictureError(f"{path} cannot be written: it is a folder")
        if not path.parent.is_dir():
            raise PictureError(f"{path} cannot be written: the folder {path.parent} does not exist")
    except OSError as error:
        raise PictureError(f"{path} cannot be written: {reason(error)}") from error
    content = draw(text)
    try:
        write_file(path, lambda file: file.write(content))
    except FileError as error:
        raise PictureError(str(error)) from error


def render(text: str, kind: str) -> bytes:
    """Return DOT text rendered with Graphviz in a format such as `svg`.

    Raises:
        PictureError: Graphviz is not installed or fails.
    """
    import graphviz

    if kind == "png":
        text = text.rstrip().removesuffix("}") + PNG_RESOLUTION
    try:
        return bytes(graphviz.pipe("dot", kind, text.encode(), quiet=True))
    except graphviz.ExecutableNotFound:
        message = "drawing a picture needs Graphviz's program `dot`, which is not installed"
        raise PictureError(f"{message}: {INSTALL}") from None
    except graphviz.CalledProcessError as error:
        output = (error.stderr or b"").decode(errors="replace").strip().splitlines()
        reason = output[0] if output else f"exit status {error.returncode}"
        raise PictureError(f"Graphviz cannot draw this network as {kind}: {reason}") from None
