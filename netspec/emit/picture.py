"""Write a drawing to a file: DOT as it is, pictures by way of Graphviz."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

TEXTS, PICTURES = (".dot", ".gv"), (".svg", ".png", ".pdf")
SHARP = "  dpi=160\n}\n"
"""PNG has pixels: more of them than Graphviz's 96 to the inch, for print and slides."""

INSTALL = (
    "`apt-get install graphviz` (Debian, Ubuntu) or `brew install graphviz` (macOS) installs it; "
    "with `-o net.dot` the drawing comes out as text without it"
)


class PictureError(Exception):
    """A picture that cannot be written; the message is one sentence, `help` says what to do."""

    def __init__(self, message: str, help: str | None = None) -> None:
        super().__init__(f"{message}: {help}" if help else message)
        self.message, self.help = message, help


class EndingError(PictureError):
    """A file name that ends as no drawing does."""

    wrong_use = True


def picture(text: str, path: Path) -> None:
    """Write DOT text to `path`, drawn by Graphviz where the suffix is that of a picture.

    The file is replaced as a whole or left as it was.

    Raises:
        PictureError: the suffix is unknown, Graphviz is missing or fails, or the file cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix not in TEXTS + PICTURES:
        known = ", ".join(TEXTS + PICTURES)
        raise EndingError(f"{path} does not end as a drawing can", f"the endings are {known}")
    if path.is_dir():
        raise PictureError(f"{path} is a folder, so no drawing can be written there")
    if not path.parent.is_dir():
        raise PictureError(f"{path} cannot be written: there is no folder {path.parent}")
    write(path, text.encode() if suffix in TEXTS else render(text, suffix[1:]))


def render(text: str, kind: str) -> bytes:
    """Let Graphviz draw; raises PictureError."""
    import graphviz

    if kind == "png":
        text = text.rstrip().removesuffix("}") + SHARP
    try:
        return bytes(graphviz.pipe("dot", kind, text.encode(), quiet=True))
    except graphviz.ExecutableNotFound:
        message = "a picture needs the program `dot` of Graphviz, which is not installed"
        raise PictureError(message, INSTALL) from None
    except graphviz.CalledProcessError as error:
        said = (error.stderr or b"").decode(errors="replace").strip().splitlines()
        why = said[0] if said else f"exit status {error.returncode}"
        raise PictureError(f"Graphviz cannot draw this as {kind}: {why}") from None


def write(path: Path, content: bytes) -> None:
    """Replace a file in one step; raises PictureError."""
    draft: Path | None = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            draft = Path(file.name)
            file.write(content)
        draft.chmod(0o666 & ~umask())
        draft.replace(path)
    except OSError as error:
        raise PictureError(f"{path} cannot be written: {error.strerror}") from None
    finally:
        if draft is not None:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)


def umask() -> int:
    """The mode bits that new files lose."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
