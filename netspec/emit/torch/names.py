"""Names in generated Python: always identifiers, never a surprise."""

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
    """The nearest Python name to a label.

    >>> identifier("block1-0"), identifier("0"), identifier("class")
    ('block1_0', '_0', 'class_')
    """
    name = re.sub(r"\W", "_", text, flags=re.ASCII).lstrip("_") or "x"
    name = f"_{name}" if name[0].isdigit() else name
    return f"{name}_" if name in TAKEN or name in definitions() else name


def unique(text: str, used: Iterable[str]) -> str:
    """A name near `text` that is not among those used."""
    used, name, count = set(used), identifier(text), 1
    while name in used:
        count += 1
        name = f"{identifier(text)}_{count}"
    return name


def camel_case(label: str) -> str:
    """A label as the name of a class: `inception4a` becomes `Inception4a`."""
    return (
        "".join(part[:1].upper() + part[1:] for part in re.split(r"\W|_", label, flags=re.ASCII) if part)
        or "Group"
    )


def plain(name: str) -> bool:
    """Whether a label can be written after a dot."""
    return name.isidentifier() and name.isascii() and not keyword.iskeyword(name)


def member(name: str, kind: str = "submodule") -> str:
    """How a module's child is reached, after the module; `kind` can be parameter or buffer too."""
    return f".{name}" if plain(name) else f".get_{kind}({python(name)})"


def own_child(name: str) -> str:
    """How a module calls its own child, quicker than `member` where the name is no identifier."""
    return f"self.{name}" if plain(name) else f"getattr(self, {python(name)})"


def reach(path: str, kind: str = "submodule") -> str:
    """How a child is reached from the network: `self.features.get_submodule("0")` for `features.0`."""
    *outer, last = path.split(".")
    return "self" + "".join(member(p) for p in outer) + member(last, kind)


TENSORS = {"param": "parameter", "buffer": "buffer"}
"""What PyTorch calls the raw tensors of the language."""
