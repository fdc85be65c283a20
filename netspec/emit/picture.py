"""Write a drawing to a file: DOT as it is, pictures by way of Graphviz."""

from __future__ import annotations

from pathlib import Path

from netspec.errors import FileError, PictureError
from netspec.files import write_file

TEXTS, PICTURES = (".dot", ".gv"), (".svg", ".png", ".pdf")
SHARP = "  dpi=160\n}\n"
"""PNG has pixels: more of them than Graphviz's 96 to the inch, for print and slides."""

INSTALL = (
    "`apt-get install graphviz` (Debian, Ubuntu) or `brew install graphviz` (macOS) installs it; "
    "with `-o net.dot` the drawing comes out as text without it"
)


def picture(text: str, path: Path) -> None:
    """Write DOT text to `path`, drawn by Graphviz where the suffix is that of a picture.

    The file is replaced as a whole or left as it was.

    Raises:
        PictureError: the suffix is unknown, Graphviz is missing or fails, or the file cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix not in TEXTS + PICTURES:
        known = ", ".join(TEXTS + PICTURES)
        raise PictureError(f"{path} does not end as a drawing can: the endings are {known}", wrong_use=True)
    if path.is_dir():
        raise PictureError(f"{path} is a folder, so no drawing can be written there")
    if not path.parent.is_dir():
        raise PictureError(f"{path} cannot be written: there is no folder {path.parent}")
    content = text.encode() if suffix in TEXTS else render(text, suffix[1:])
    try:
        write_file(path, lambda file: file.write(content))
    except FileError as error:
        raise PictureError(str(error)) from error


def render(text: str, kind: str) -> bytes:
    """Let Graphviz draw; raises PictureError."""
    import graphviz

    if kind == "png":
        text = text.rstrip().removesuffix("}") + SHARP
    try:
        return bytes(graphviz.pipe("dot", kind, text.encode(), quiet=True))
    except graphviz.ExecutableNotFound:
        message = "a picture needs the program `dot` of Graphviz, which is not installed"
        raise PictureError(f"{message}: {INSTALL}") from None
    except graphviz.CalledProcessError as error:
        said = (error.stderr or b"").decode(errors="replace").strip().splitlines()
        why = said[0] if said else f"exit status {error.returncode}"
        raise PictureError(f"Graphviz cannot draw this as {kind}: {why}") from None
