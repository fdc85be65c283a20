"""Writing a drawing to a file: DOT as text, pictures by Graphviz."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from netspec.errors import FileError, PictureError
from netspec.files import write_file
from netspec.registry import Registry

PNG_RESOLUTION = "  dpi=160\n}\n"
"""More pixels than Graphviz's 96 to the inch, for print and slides."""

INSTALL = (
    "`apt-get install graphviz` (Debian, Ubuntu) or `brew install graphviz` (macOS) installs it; "
    "a file that ends in .dot can be written without it"
)

PICTURES: Registry[Callable[[str], bytes]] = Registry("picture format")
"""What a drawing can be written as, by the ending of the file: DOT text to the file's content."""


def dot_text(text: str) -> bytes:
    """DOT itself, which needs no Graphviz."""
    return text.encode()


def by_graphviz(kind: str) -> Callable[[str], bytes]:
    """A picture of this kind, drawn by Graphviz."""
    return lambda text: render(text, kind)


for _ending in (".dot", ".gv"):
    PICTURES.add(_ending, dot_text)
for _ending in (".svg", ".png", ".pdf"):
    PICTURES.add(_ending, by_graphviz(_ending[1:]))


def write_picture(text: str, path: Path) -> None:
    """Write DOT text to `path` in the format of its ending; a failed write leaves the old file as it was.

    Raises:
        PictureError: the ending is unknown, Graphviz is missing or fails, or the file cannot be written.
    """
    draw = PICTURES.find(path.suffix.lower())
    if draw is None:
        known = ", ".join(PICTURES)
        raise PictureError(f"{path} must end in one of {known}, which says what to write", wrong_use=True)
    if path.is_dir():
        raise PictureError(f"{path} cannot be written: it is a folder")
    if not path.parent.is_dir():
        raise PictureError(f"{path} cannot be written: there is no folder {path.parent}")
    content = draw(text)
    try:
        write_file(path, lambda file: file.write(content))
    except FileError as error:
        raise PictureError(str(error)) from error


def render(text: str, kind: str) -> bytes:
    """Run Graphviz on DOT text.

    Raises:
        PictureError: Graphviz is not installed, or refuses the text.
    """
    import graphviz

    if kind == "png":
        text = text.rstrip().removesuffix("}") + PNG_RESOLUTION
    try:
        return bytes(graphviz.pipe("dot", kind, text.encode(), quiet=True))
    except graphviz.ExecutableNotFound:
        message = "a picture needs the program `dot` of Graphviz, which is not installed"
        raise PictureError(f"{message}: {INSTALL}") from None
    except graphviz.CalledProcessError as error:
        output = (error.stderr or b"").decode(errors="replace").strip().splitlines()
        reason = output[0] if output else f"exit status {error.returncode}"
        raise PictureError(f"Graphviz cannot draw this as {kind}: {reason}") from None
