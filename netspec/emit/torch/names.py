"""Names in the generated source: valid identifiers that do not hide a builtin or an import."""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Iterable

from netspec.emit.torch.helpers import definitions
from netspec.language.values import python

TAKEN = {
    "nn",
    "torch",
    "self",
    "super",
    "module",
    "OrderedDict",
    *dir(builtins),
    *keyword.kwlist,
    *keyword.softkwlist,
}


def identifier(text: str) -> str:
    """Return a Python identifier for a label.

    >>> identifier("block1-0"), identifier("0"), identifier("class")
    ('block1_0', '_0', 'class_')
    """
    name = re.sub(r"\W", "_", text, flags=re.ASCII).lstrip("_") or "x"
    name = f"_{name}" if name[0].isdigit() else name
    return f"{name}_" if name in TAKEN or name in definitions() else name


def unique(text: str, used: Iterable[str]) -> str:
    """Return an identifier for `text` that is not in `used`. A number is appended if necessary."""
    used, name, count = set(used), identifier(text), 1
    while name in used:
        count += 1
        name = f"{identifier(text)}_{count}"
    return name


def camel_case(label: str) -> str:
    """Return a class name for a label: `Inception4a` for `inception4a`."""
    return (
        "".join(part[:1].upper() + part[1:] for part in re.split(r"\W|_", label, flags=re.ASCII) if part)
        or "Group"
    )


def plain(name: str) -> bool:
    """Return True if a label can be written as an attribute, as in `self.label`."""
    return name.isidentifier() and name.isascii() and not keyword.iskeyword(name)


def member(name: str, kind: str = "submodule") -> str:
    """Return the source that accesses a module's child. `kind` is submodule, parameter or buffer."""
    return f".{name}" if plain(name) else f".get_{kind}({python(name)})"


def own_child(name: str) -> str:
    """Return the source that accesses a child of `self`. A name that is not an identifier needs `getattr`."""
    return f"self.{name}" if plain(name) else f"getattr(self, {python(name)})"


def reach(path: str, kind: str = "submodule") -> str:
    """Return the source that accesses a path: `self.features.get_submodule("0")` for `features.0`."""
    *outer, last = path.split(".")
    return "self" + "".join(member(p) for p in outer) + member(last, kind)


TENSORS = {"param": "parameter", "buffer": "buffer"}
"""PyTorch's terms for raw tensors, by their keyword in the language."""
